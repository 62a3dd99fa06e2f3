// SPDX-License-Identifier: Apache-2.0
use gym_protocol::environment::Description;
use serde_json::{Value, json};

use super::fake::{Client, attempt, description, serve, tool};

/// The counter, with sessions that are known by `env_id`; `step` adds one.
fn known_by_env_id() -> Description {
    let by_id = json!({"type": "object", "properties": {"env_id": {"type": "string"}}, "required": ["env_id"],
        "additionalProperties": false});
    Description { tools: vec![tool("step", by_id.clone()), tool("close", by_id)], ..description() }
}

async fn seed(client: &mut Client, count: i64) -> String {
    let (status, reply) = client.post("/seed_session", json!({"initial_count": count})).await;
    assert_eq!(status, 200, "{reply}");
    let reply: Value = serde_json::from_str(&reply).unwrap();
    reply["env_id"].as_str().unwrap().to_owned()
}

fn graded(env_id: &str, expected: i64, output: Value) -> Value {
    let mut body = attempt(json!({"expected_count": expected}));
    body["response"]["env_id"] = env_id.into();
    body["response"]["group_id"] = "7".into();
    body["response"]["contains_transitions"] = true.into();
    body["response"]["output"] = output;
    body
}

#[tokio::test]
async fn each_seed_begins_a_session_and_requests_name_it() {
    let (mut client, _) = serve(known_by_env_id());
    let (one, two) = (seed(&mut client, 10).await, seed(&mut client, 20).await);
    assert_ne!(one, two, "the cookie of the first seed came with the second");
    assert_eq!(uuid::Uuid::parse_str(&one).unwrap().get_version_num(), 4);
    let mut other = Client::new(client.service.clone());
    assert_eq!(other.post("/step", json!({"env_id": one})).await, (200, r#"{"count":11}"#.to_owned()));
    assert_eq!(other.post("/step", json!({"env_id": two})).await, (200, r#"{"count":21}"#.to_owned()));
    assert_eq!(client.post("/step", json!({"env_id": one})).await, (200, r#"{"count":12}"#.to_owned()));
    assert_eq!(client.post("/close", json!({"env_id": one})).await.0, 200);
    let mut stranger = Client::new(client.service.clone());
    for (env_id, count) in [(&one, 12), (&two, 21)] {
        let (status, reply) = stranger.post("/verify", graded(env_id, count, json!([]))).await;
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!((status, &reply["reward"], &reply["response"]["env_id"]), (200, &json!(1.0), &json!(env_id)));
    }
    assert_eq!(client.service.live_sessions(), 2);
}

#[tokio::test]
async fn an_id_that_is_not_known_reaches_the_environment_without_a_session_and_is_no_reward() {
    let (mut client, _) = serve(known_by_env_id());
    seed(&mut client, 10).await;
    for env_id in ["00000000-0000-4000-8000-000000000000", "nonsense"] {
        assert_eq!(client.post("/step", json!({"env_id": env_id})).await.1, r#"{"count":1}"#);
        let (status, reply) = client.post("/verify", graded(env_id, 0, json!([]))).await;
        let reply: Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(
            (status, &reply["mask_sample"], &reply["failure_kind"]),
            (200, &json!(true), &json!("session_lost"))
        );
    }
    assert_eq!(client.service.live_sessions(), 1);
    assert_eq!(client.post("/step", json!({})).await.0, 422);
}

#[tokio::test]
async fn the_output_may_be_a_list_for_each_step() {
    let (mut client, fake) = serve(known_by_env_id());
    let env_id = seed(&mut client, 3).await;
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}",
        "prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.5]});
    let user = json!({"type": "message", "role": "user", "content": "go on"});
    let output = json!([[call], [call, user]]);
    let (status, reply) = client.post("/verify", graded(&env_id, 3, output)).await;
    assert_eq!(status, 200, "{reply}");
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["response"]["output"][1][0]["generation_token_ids"], json!([2]));
    assert_eq!(reply["response"]["contains_transitions"], true);
    let seen = fake.seen.lock().last().unwrap().1.clone();
    assert!(seen.contains("go on") && !seen.contains("token_ids"), "{seen}");
    for output in [json!([[call], call]), json!([[1]]), json!([[[call]]])] {
        assert_eq!(client.post("/verify", graded(&env_id, 3, output.clone())).await.0, 422, "{output}");
    }
    let mut without = graded(&env_id, 3, json!([]));
    without["response"].as_object_mut().unwrap().remove("group_id");
    assert_eq!(client.post("/verify", without).await.0, 422);
}

#[tokio::test]
async fn other_servers_have_no_such_routes_and_no_such_output() {
    let (mut client, _) = serve(description());
    for path in ["/step", "/close"] {
        assert_eq!(client.post(path, json!({"env_id": "x"})).await.0, 404);
    }
    let mut body = attempt(json!({"expected_count": 0}));
    body["response"]["output"] = json!([[]]);
    assert_eq!(client.post("/verify", body).await.0, 422);
}
