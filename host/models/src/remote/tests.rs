// SPDX-License-Identifier: Apache-2.0
use futures_util::StreamExt as _;
use serde_json::json;

use super::*;
use crate::outbound::OutboundSettings;
use crate::test_upstream::{Act, TestUpstream, refused};

fn parts() -> (ServerName, Map<String, Value>, Arc<Outbound>) {
    let block = json!({"retry_base_s": 0.001, "attempt_timeout_s": 2, "total_timeout_s": 60});
    let outbound = Outbound::new(OutboundSettings { observability: true, ..Default::default() }).expect("a client");
    (ServerName::new("there").expect("not empty"), block.as_object().cloned().expect("a mapping"), outbound)
}

fn resources(url: &str) -> RemoteResourcesServer {
    let (name, block, outbound) = parts();
    RemoteResourcesServer::new(&name, url, &block, &outbound).expect("a server")
}

fn model(url: &str) -> RemoteModel {
    let (name, block, outbound) = parts();
    RemoteModel::new(&name, url, &block, &outbound).expect("a server")
}

const SETS_COOKIE: &str = "set-cookie: S___there=one; Path=/; HttpOnly\r\n";

#[tokio::test]
async fn a_session_is_its_cookies() {
    let upstream = TestUpstream::start(vec![
        Act::Answer(200, SETS_COOKIE, "{}".into()),
        Act::Answer(404, "set-cookie: S___there=two\r\n", r#"{"detail":"Not Found"}"#.into()),
        Act::Answer(500, "", r#""Hit an exception""#.into()),
        TestUpstream::json(r#"{"reward":1.0}"#),
    ])
    .await;
    let context = RequestContext {
        cookies: Cookies::parse(["other=x"]),
        rollout_id: Some("3-0".into()),
        token_capture: true,
        ..RequestContext::default()
    };
    let mut session = resources(&upstream.url).session(&context);
    let body = || Bytes::from_static(b"{}");
    assert_eq!(session.post(&Route::Seed, body()).await.unwrap().status, 200);
    let reply = session.post(&Route::Tool("a/b c".into()), body()).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (404, &br#"{"detail":"Not Found"}"#[..]));
    assert_eq!(session.post(&Route::Tool("f".into()), body()).await.unwrap().status, 500);
    assert_eq!(session.post(&Route::Verify, body()).await.unwrap().body, r#"{"reward":1.0}"#);
    let seen = upstream.seen();
    let paths: Vec<&str> = seen.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(
        paths,
        ["/ng-rollout/3-0/seed_session", "/ng-rollout/3-0/a%2Fb%20c", "/ng-rollout/3-0/f", "/ng-rollout/3-0/verify"]
    );
    let cookies: Vec<_> = seen.iter().map(|request| request.header("cookie")).collect();
    assert_eq!(
        cookies,
        [
            Some("other=x"),
            Some("other=x; S___there=one"),
            Some("other=x; S___there=two"),
            Some("other=x; S___there=two")
        ]
    );
    assert_eq!(session.cookies().get("S___there"), Some("two"));
}

#[tokio::test]
async fn a_rollout_is_named_in_paths_only_where_it_is_observed_or_captured() {
    let plain = RequestContext { rollout_id: Some("3-0".into()), ..RequestContext::default() };
    let prefixed = RequestContext { prefixed: true, ..plain.clone() };
    let captured = RequestContext { token_capture: true, ..plain.clone() };
    let (name, block, _) = parts();
    for (observability, context, model, tool) in [
        (false, &plain, "/v1/responses", "/f"),
        (false, &prefixed, "/ng-rollout/3-0/v1/responses", "/f"),
        (false, &captured, "/ng-rollout/3-0/training-token-capture/v1/responses", "/f"),
        (true, &plain, "/ng-rollout/3-0/v1/responses", "/ng-rollout/3-0/f"),
        (true, &RequestContext::default(), "/v1/responses", "/f"),
    ] {
        let upstream = TestUpstream::start(vec![TestUpstream::json("{}")]).await;
        let outbound = Outbound::new(OutboundSettings { observability, ..Default::default() }).expect("a client");
        let to_model = RemoteModel::new(&name, &upstream.url, &block, &outbound).expect("a server");
        let request = ModelRequest::parse(Bytes::from_static(br#"{"input":[]}"#)).unwrap();
        to_model.respond(request, &mut context.clone()).await.unwrap();
        let resources = RemoteResourcesServer::new(&name, &upstream.url, &block, &outbound).expect("a server");
        let mut session = resources.session(context);
        session.post(&Route::Tool("f".into()), Bytes::from_static(b"{}")).await.unwrap();
        let paths: Vec<_> = upstream.seen().into_iter().map(|request| request.path).collect();
        assert_eq!(paths, [model, tool], "{observability} {context:?}");
    }
}

#[tokio::test]
async fn a_request_that_was_sent_is_not_sent_again() {
    for act in [Act::Reset, Act::Half, Act::Hang] {
        let upstream = TestUpstream::start(vec![act.clone(), TestUpstream::json("{}")]).await;
        let mut session = resources(&upstream.url).session(&RequestContext::default());
        let fault = session.post(&Route::Step, Bytes::from_static(b"{}")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreachable);
        assert_eq!(upstream.seen().len(), 1, "{act:?}");
    }
    let upstream = TestUpstream::start(vec![Act::Reset, TestUpstream::json("{}")]).await;
    let mut session = resources(&upstream.url).session(&RequestContext::default());
    assert_eq!(session.post(&Route::CloseSession, Bytes::from_static(b"{}")).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_fault() {
    let url = refused().await;
    let mut session = resources(&url).session(&RequestContext::default());
    let fault = session.post(&Route::Seed, Bytes::from_static(b"{}")).await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.message.as_str()),
        (FaultKind::Unreachable, "server `there` could not be reached (6 tries)")
    );
    let (name, block, outbound) = parts();
    let agent = RemoteAgent::new(&name, &url, &block, &outbound).unwrap();
    let reply = agent.run(Bytes::from_static(b"{}"), &mut RequestContext::default()).await;
    assert_eq!(
        (reply.status, &reply.body[..]),
        (502, &br#"{"detail":"server `there` could not be reached (6 tries)"}"#[..])
    );
    assert_eq!(outbound.stats()[0].failures["connect"], 6);
}

#[tokio::test]
async fn a_model_server_gets_its_cookies_back_and_the_capture_prefix() {
    let upstream = TestUpstream::start(vec![
        Act::Answer(503, "retry-after: 0\r\n", "{}".into()),
        Act::Answer(200, SETS_COOKIE, r#"{"id":"resp_1"}"#.into()),
        Act::Events(vec!["data: x\n\n"], false),
    ])
    .await;
    let model = model(&upstream.url);
    let mut context = RequestContext { rollout_id: Some("r".into()), token_capture: true, ..RequestContext::default() };
    let request = ModelRequest::parse(Bytes::from_static(br#"{"input":[],"stream":true}"#)).unwrap();
    assert_eq!(model.respond(request, &mut context).await.unwrap().body, r#"{"id":"resp_1"}"#);
    let body = Bytes::from_static(br#"{"messages":[],"stream":true}"#);
    let Some(Ok(Streamed::Events(events))) = model.respond_stream(ModelRoute::Messages, &body, &mut context).await
    else {
        panic!("a stream");
    };
    assert_eq!(events.map(Result::unwrap).collect::<Vec<_>>().await.concat(), b"data: x\n\n");
    let seen = upstream.seen();
    assert_eq!(seen[1].path, "/ng-rollout/r/training-token-capture/v1/responses");
    assert_eq!(seen[1].json(), json!({"input": []}));
    assert_eq!(seen[2].path, "/ng-rollout/r/training-token-capture/v1/messages");
    assert_eq!(seen[2].header("cookie"), Some("S___there=one"));
}

#[test]
fn an_address_must_be_one() {
    let (name, block, outbound) = parts();
    assert!(RemoteModel::new(&name, "127.0.0.1:80", &block, &outbound).is_err());
}
