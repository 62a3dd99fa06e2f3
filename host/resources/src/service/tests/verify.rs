// SPDX-License-Identifier: Apache-2.0
use std::sync::Arc;

use bytes::Bytes;
use gym_agents::{RequestContext, ResourcesServer, Route};
use gym_protocol::{
    ServerName,
    environment::{Description, Lifetime},
};
use serde_json::{Value, json};

use super::fake::{Client, Fake, attempt, description, response, serve, without_incident};
use crate::{CookieKeys, InstanceFor, Method, ResourcesService, ServiceOptions};

fn keys(reply: &Value) -> Vec<&str> {
    reply.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn the_reply_repeats_the_request_and_adds_the_grade() {
    let (mut client, fake) = serve(description());
    client.seed(3).await;
    let reply = client.verify(json!({"expected_count": "3", "label": "l", "uuid": "dropped", "weight": 2})).await;
    assert_eq!(
        keys(&reply),
        [
            "responses_create_params",
            "response",
            "reward",
            "mask_sample",
            "failure_kind",
            "failure_reason",
            "weight",
            "label"
        ]
    );
    assert_eq!(reply["responses_create_params"]["parallel_tool_calls"], true);
    assert_eq!(reply["response"]["user"], Value::Null);
    assert_eq!(reply["reward"].to_string(), "1.0");
    assert_eq!((&reply["weight"], &reply["label"]), (&json!(2.0), &json!("l")));
    assert_eq!((&reply["mask_sample"], &reply["failure_kind"]), (&json!(false), &Value::Null));
    let request: Value = serde_json::from_str(&fake.seen.lock()[1].1).unwrap();
    assert_eq!(keys(&request), ["responses_create_params", "response", "expected_count", "label", "weight"]);
    assert_eq!(request["expected_count"], 3);
}

#[tokio::test]
async fn fields_of_the_environment_win_over_repeated_ones() {
    let (mut client, _) = serve(description());
    let reply = client.verify(json!({"expected_count": 1, "label": "fields"})).await;
    assert_eq!(keys(&reply)[6..], ["weight", "label", "extracted"]);
    assert_eq!((&reply["label"], &reply["extracted"]), (&Value::Null, &json!("C")));
    let reply = client.verify(json!({"expected_count": 1, "label": "parts"})).await;
    assert_eq!(reply["reward_components"], json!({"a": 0.25, "b": 0.5}));
    assert_eq!(keys(&reply)[5..7], ["failure_reason", "reward_components"]);
}

#[tokio::test]
async fn further_fields_are_kept_where_the_schema_keeps_them() {
    let schema = json!({"type": "object", "properties": {"label": {}}, "additionalProperties": true}).to_string();
    let (mut client, _) = serve(Description { verify_fields: schema, echo: vec!["uuid".into()], ..description() });
    let reply = client.verify(json!({"expected_count": 0, "uuid": 7, "agent_ref": {"name": "a"}})).await;
    assert_eq!(keys(&reply)[6..], ["uuid", "expected_count", "agent_ref"]);
    // A row that was graded before: what the host writes is written once, and the name of the rollout is taken away.
    let graded = json!({
        "expected_count": 0, "reward": 5, "mask_sample": true, "failure_kind": "x", "failure_reason": "y",
        "_ng_failure_class": "x", "_ng_rollout_id": "r", "capture_rollout_id": "r",
    });
    let reply = client.verify(graded).await;
    assert_eq!(keys(&reply)[6..], ["expected_count"]);
    assert_eq!((&reply["mask_sample"], &reply["failure_kind"]), (&json!(false), &Value::Null));
    assert_ne!(reply["reward"], 5);
}

#[tokio::test]
async fn faults_become_masked_rows_and_never_rewards() {
    for (label, kind, reason) in [
        ("trap", "verifier_error", "the environment trapped"),
        ("judge", "judge_failed", "the judge answered 500"),
        ("nan", "verifier_error", "the environment gave a reward that is not a finite number"),
        ("no object", "verifier_error", "the fields that the environment gave are not a JSON object"),
        ("reserved", "verifier_error", "the environment gave the field `reward`, which belongs to the host"),
        ("twin parts", "verifier_error", "two components of the reward have the name `a`"),
        ("bad parts", "verifier_error", "the components of the reward add up to 0.25, not to 0.75"),
        ("refuse oddly", "verifier_error", "the environment refused with status 200, which is not an error"),
        ("reject", "verifier_error", "the environment rejected a call that no model made"),
    ] {
        let (mut client, _) = serve(description());
        let reply = client.verify(json!({"expected_count": 0, "label": label})).await;
        assert_eq!(reply["reward"].to_string(), "0.0", "{label}");
        assert_eq!(reply["mask_sample"], true, "{label}");
        assert_eq!(reply["failure_kind"], kind, "{label}");
        assert_eq!(reply["_ng_failure_class"], kind, "{label}");
        assert_eq!(without_incident(reply["failure_reason"].as_str().unwrap()), reason);
        assert_eq!(reply["instance_config"], json!({"mask_sample": true}));
        assert_eq!(reply.get("_ng_failure_judge_error").is_some(), label == "judge");
        assert_eq!(reply["expected_count"], 0, "the whole request is repeated");
        assert_eq!(reply["label"], label);
    }
}

#[tokio::test]
async fn a_refusal_is_the_callers_and_no_room_is_said_so() {
    let (mut client, _) = serve(description());
    let body = attempt(json!({"expected_count": 0, "label": "refuse"}));
    assert_eq!(client.post("/verify", body).await, (422, r#"{"detail":[]}"#.to_owned()));
    let body = attempt(json!({"expected_count": 0, "label": "busy"})).to_string();
    let outcome = client.send(Method::Post, "/verify", Some("application/json"), &body).await;
    assert_eq!((outcome.reply.status, outcome.reply.retry_after), (503, Some(3)));
}

fn token_item(name: &str) -> Value {
    json!({"type": "function_call", "call_id": "1", "name": name, "arguments": "{}",
        "prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.5]})
}

#[tokio::test]
async fn environments_see_no_token_data_and_bare_tool_names_but_replies_have_both() {
    for (token_ids, tools_over_mcp) in [(false, true), (true, true), (false, false)] {
        let fake = Arc::new(Fake::new(Description { token_ids, ..description() }));
        let options = ServiceOptions { tools_over_mcp, ..ServiceOptions::default() };
        let name = ServerName::new("c").unwrap();
        let service = ResourcesService::new(name, fake.clone(), options, &CookieKeys::new([7; 32])).unwrap();
        let mut client = Client::new(service);
        let mut body = attempt(json!({"expected_count": 0}));
        body["response"] = response(json!([token_item("mcp__c__add"), token_item("mcp__d__add")]));
        body["responses_create_params"]["input"] = json!([token_item("mcp__c__get")]);
        let (status, reply) = client.post("/verify", body).await;
        assert_eq!(status, 200, "{reply}");
        let reply: Value = serde_json::from_str(&reply).unwrap();
        let request: Value = serde_json::from_str(&fake.seen.lock()[0].1).unwrap();
        let names = |value: &Value| [0, 1].map(|at| value["response"]["output"][at]["name"].clone());
        assert_eq!(names(&reply), ["mcp__c__add", "mcp__d__add"]);
        // Names have the prefix for a reason only where tools are offered over MCP.
        let (add, get) = if tools_over_mcp { ("add", "get") } else { ("mcp__c__add", "mcp__c__get") };
        assert_eq!(names(&request), [add, "mcp__d__add"]);
        assert_eq!(request["responses_create_params"]["input"][0]["name"], get);
        assert_eq!(reply["response"]["output"][0]["generation_log_probs"], json!([-0.5]));
        assert_eq!(request["response"]["output"][0].get("prompt_token_ids").is_some(), token_ids);
        assert_eq!(request["responses_create_params"]["input"][0].get("prompt_token_ids").is_some(), token_ids);
    }
}

#[tokio::test]
async fn calls_run_where_the_environment_says_and_stateless_ones_leave_no_session() {
    for (lifetime, expected) in [(Lifetime::Call, InstanceFor::Call), (Lifetime::Pooled, InstanceFor::Pooled)] {
        let (mut client, fake) =
            serve(Description { tools_run_in: lifetime, verify_runs_in: lifetime, ..description() });
        client.seed(5).await;
        client.post("/add", json!({"count": 1})).await;
        let reply = client.verify(json!({"expected_count": 0})).await;
        assert_eq!(reply["reward"], 1.0);
        assert_eq!(*fake.made.lock(), [expected, expected], "the seed is not passed on");
        assert_eq!(client.service.live_sessions(), 0);
        assert_eq!(client.post("/trap", "{}").await.0, 500);
        assert_eq!(client.post("/get", "").await, (200, r#"{"count":0}"#.to_owned()), "there was nothing to lose");
    }
}

#[tokio::test]
async fn in_this_process_the_same_server_answers_without_http() {
    let (client, _) = serve(description());
    let service = client.service;
    let mut session = service.session(&RequestContext::default());
    let mut post = async |route: Route, body: &str| {
        let reply = session.post(&route, Bytes::copy_from_slice(body.as_bytes())).await.unwrap();
        (reply.status, String::from_utf8(reply.body.to_vec()).unwrap(), session.cookies().clone())
    };
    let (status, body, cookies) = post(Route::Seed, r#"{"initial_count":2}"#).await;
    assert_eq!((status, body.as_str()), (200, "{}"));
    assert!(cookies.get("CounterResourcesServer___c").is_some());
    assert_eq!(post(Route::Tool("get".into()), "{}").await.1, r#"{"count":2}"#);
    assert_eq!(post(Route::Tool("verify".into()), "{}").await.0, 404, "no model calls a fixed route");
    assert_eq!(post(Route::Tool("a/../verify".into()), "{}").await.0, 404);
    assert_eq!(post(Route::Reset, "{}").await.0, 404);
    // The cookies lead to the same session over HTTP.
    let context = RequestContext { cookies, ..RequestContext::default() };
    let outcome = service.handle(Method::Post, "/get", None, Bytes::new(), &context).await;
    assert_eq!(outcome.reply.body, r#"{"count":2}"#);
    assert_eq!(post(Route::CloseSession, "{}").await.1, r#"{"closed":true}"#);
    assert_eq!(service.live_sessions(), 0);
}

#[tokio::test]
async fn a_session_that_began_in_this_process_ends_when_its_caller_is_done() {
    let (client, _) = serve(description());
    let service = client.service;
    let seed = Bytes::from_static(br#"{"initial_count":2}"#);
    let mut own = service.session(&RequestContext::default());
    own.post(&Route::Seed, seed.clone()).await.unwrap();
    assert_eq!(service.live_sessions(), 1);
    // A second caller that came with the cookie is a guest: its end is not the session's.
    let mut guest = service.session(&RequestContext { cookies: own.cookies().clone(), ..RequestContext::default() });
    assert_eq!(guest.post(&Route::Tool("get".into()), Bytes::new()).await.unwrap().body, r#"{"count":2}"#);
    guest.end().await;
    assert_eq!(service.live_sessions(), 1);
    own.end().await;
    assert_eq!(service.live_sessions(), 0);
}
