// SPDX-License-Identifier: Apache-2.0
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::*;
use crate::outbound::OutboundSettings;
use crate::test_upstream::{Act, TestUpstream};

fn model(url: &str, mut block: Value) -> OpenAiModel {
    block["openai_base_url"] = json!(format!("{url}/v1/"));
    let server = ServerName::new("policy_model").expect("not empty");
    let outbound = Outbound::new(OutboundSettings::default()).expect("a client");
    OpenAiModel::new(Settings::new(&server, block.as_object().expect("a mapping")), &outbound).expect("a model")
}

fn request(body: Value) -> ModelRequest {
    ModelRequest::parse(Bytes::from(body.to_string())).expect("a request")
}

#[tokio::test]
async fn a_request_goes_out_over_the_extra_body_with_the_model_forced() {
    let upstream = TestUpstream::start(vec![TestUpstream::json(r#"{"id":"resp_1"}"#)]).await;
    let model = model(
        &upstream.url,
        json!({"openai_api_key": "key", "openai_model": "gpt", "extra_body": {"top_p": 0.5, "store": false},
               "openai_default_headers": {"X-Team": "a"}}),
    );
    let mut context = RequestContext { traceparent: Some("00-1-2-01".into()), ..RequestContext::default() };
    let body = json!({"input": "hi", "model": "other", "top_p": 1.0, "stream": true, "stream_options": {}});
    let reply = model.respond(request(body), &mut context).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (200, &br#"{"id":"resp_1"}"#[..]));
    let seen = &upstream.seen()[0];
    assert_eq!(seen.path, "/v1/responses");
    assert_eq!(seen.json(), json!({"input": "hi", "store": false, "top_p": 1.0, "model": "gpt"}));
    for (name, value) in [
        ("authorization", "Bearer key"),
        ("x-team", "a"),
        ("traceparent", "00-1-2-01"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn numbers_are_passed_on_as_they_came() {
    let upstream = TestUpstream::start(vec![TestUpstream::json("{}")]).await;
    let body = r#"{"input":[{"generation_log_probs":[-0.10,-1e-05,-0.30000000000000004]}],"temperature":1.0}"#;
    let request = ModelRequest::parse(Bytes::from_static(body.as_bytes())).unwrap();
    model(&upstream.url, json!({})).respond(request, &mut RequestContext::default()).await.unwrap();
    assert_eq!(upstream.seen()[0].body, body);
}

#[tokio::test]
async fn reasoning_items_are_dropped_when_asked() {
    let upstream = TestUpstream::start(vec![TestUpstream::json("{}")]).await;
    let model = model(&upstream.url, json!({"drop_input_reasoning_items": true}));
    let items = json!([{"role": "user", "content": "q"}, {"type": "reasoning", "id": "r", "summary": []}]);
    model.respond(request(json!({"input": items})), &mut RequestContext::default()).await.unwrap();
    assert_eq!(upstream.seen()[0].json(), json!({"input": [{"role": "user", "content": "q"}]}));
}

#[tokio::test]
async fn chat_requests_go_to_the_chat_path() {
    let upstream = TestUpstream::start(vec![Act::Answer(400, "", r#"{"error":{}}"#.into())]).await;
    let model = model(&upstream.url, json!({"openai_model": "gpt"}));
    let mut context = RequestContext::default();
    let reply = model.chat(Bytes::from_static(br#"{"messages":[],"stream":false}"#), &mut context).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (400, &br#"{"error":{}}"#[..]));
    assert_eq!(upstream.seen()[0].path, "/v1/chat/completions");
    assert_eq!(upstream.seen()[0].json(), json!({"messages": [], "model": "gpt"}));
    assert_eq!(model.chat(Bytes::from_static(b"[]"), &mut context).await.unwrap().status, 400);
}

#[tokio::test]
async fn streams_are_passed_on() {
    let upstream = TestUpstream::start(vec![Act::Events(vec!["data: a\n\n"], false)]).await;
    let model = model(&upstream.url, json!({}));
    let body = Bytes::from_static(br#"{"input":[],"stream":true}"#);
    let mut context = RequestContext::default();
    let Some(Ok(Streamed::Events(events))) = model.respond_stream(ModelRoute::Responses, &body, &mut context).await
    else {
        panic!("a stream");
    };
    let chunks: Vec<_> = events.map(Result::unwrap).collect().await;
    assert_eq!(chunks.concat(), b"data: a\n\n");
    assert_eq!(upstream.seen()[0].json(), json!({"input": [], "stream": true}));
}

#[test]
fn an_endpoint_does_not_print_its_key() {
    let endpoint = Endpoint::bearer("http://h/v1", &Secret::new("sk-secret"), Vec::new());
    assert!(!format!("{endpoint:?}").contains("sk-secret"));
}

#[test]
fn a_base_url_must_be_one() {
    let server = ServerName::new("m").expect("not empty");
    let outbound = Outbound::new(OutboundSettings::default()).expect("a client");
    for (block, text) in [
        (json!({}), "model server `m` needs `openai_base_url`"),
        (
            json!({"openai_base_url": "ftp://x"}),
            "`openai_base_url` of model server `m` must be an http or https URL, but is another text",
        ),
    ] {
        let map = block.as_object().expect("a mapping");
        let error = OpenAiModel::new(Settings::new(&server, map), &outbound).err().expect("an error");
        assert_eq!(error.to_string(), text);
    }
}
