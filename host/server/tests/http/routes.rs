// SPDX-License-Identifier: Apache-2.0

use gym_server::{HttpLimits, Purpose};
use serde_json::json;

use crate::{
    client::{Client, post},
    fixture::{Running, name},
};

async fn fake() -> (Running, Client) {
    let running = Running::new(HttpLimits::default()).await;
    let client = Client::connect(running.fake()).await;
    (running, client)
}

#[tokio::test]
async fn every_server_says_that_it_lives() {
    let (running, mut client) = fake().await;
    for path in ["/", "/livez", "/readyz", "/healthz", "/health", "/ng-rollout/3-1"] {
        let response = client.get(path).await;
        assert_eq!((response.status, &*response.body), (200, r#"{"status":"ok"}"#), "{path}");
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    drop(running);
}

#[tokio::test]
async fn unknown_paths_methods_and_slashes_have_the_answers_of_fastapi() {
    let (_running, mut client) = fake().await;
    for (request, status, body, header) in [
        ("GET /nothing", 404, r#"{"detail":"Not Found"}"#, None),
        ("POST /nothing", 404, r#"{"detail":"Not Found"}"#, None),
        ("GET /a/b", 404, r#"{"detail":"Not Found"}"#, None),
        ("GET /run", 404, r#"{"detail":"Not Found"}"#, None),
        ("GET /ng-rollout/-x/echo", 404, r#"{"detail":"Not Found"}"#, None),
        ("POST /%76erify", 404, r#"{"detail":"Not Found"}"#, None),
        ("GET /verify", 405, r#"{"detail":"Method Not Allowed"}"#, Some(("allow", "POST"))),
        ("GET /echo", 405, r#"{"detail":"Method Not Allowed"}"#, Some(("allow", "POST"))),
        ("POST /reverify_mode", 405, r#"{"detail":"Method Not Allowed"}"#, Some(("allow", "GET"))),
        ("DELETE /verify", 405, r#"{"detail":"Method Not Allowed"}"#, Some(("allow", "POST"))),
        ("POST /verify/?a=b", 307, "", Some(("location", "/verify?a=b"))),
        ("POST /ng-rollout/1/verify/", 307, "", Some(("location", "/ng-rollout/1/verify"))),
        ("GET //verify/", 404, r#"{"detail":"Not Found"}"#, None),
        ("GET /reverify_mode?x=1", 200, "\"stateless\"", None),
    ] {
        client.send(format!("{request} HTTP/1.1\r\nhost: x\r\n\r\n")).await;
        let response = client.response().await;
        assert_eq!((response.status, &*response.body), (status, body), "{request}");
        if let Some((name, value)) = header {
            assert_eq!(response.header(name), Some(value), "{request}");
        }
        assert_eq!(response.cookies(), ["fake=new"], "{request}");
    }
}

#[tokio::test]
async fn prefixes_headers_and_cookies_reach_the_server() {
    let (_running, mut client) = fake().await;
    client
        .send(
            "POST /ng-rollout/7-2/training-token-capture/context HTTP/1.1\r\nhost: x\r\ntraceparent: 00-1\r\n\
             cookie: other=1; fake=\"me\"\r\ncookie: third=3\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    assert_eq!(response.json(), json!(r#"Some("7-2") true Some("00-1") other=1; fake=me; third=3"#));
    assert_eq!(response.header("set-cookie"), Some("fake=me; path=/; Max-Age=1209600; httponly; samesite=lax"));
    assert_eq!(response.header("vary"), Some("Cookie"));
}

#[tokio::test]
async fn bodies_must_be_declared_as_json() {
    let running = Running::new(HttpLimits::default()).await;
    let mut client = Client::connect(running.address(&Purpose::Server(name("fake_agent")))).await;
    client.send("POST /run HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").await;
    let response = client.response().await;
    assert_eq!(response.status, 422);
    assert_eq!(
        response.json(),
        json!({"detail": [{
            "type": "model_attributes_type", "loc": ["body"],
            "msg": "Input should be a valid dictionary or object to extract fields from", "input": "{}",
        }]})
    );
    client
        .send("POST /run HTTP/1.1\r\nhost: x\r\ncontent-type: application/x+json\r\ncontent-length: 2\r\n\r\n{}")
        .await;
    assert_eq!(client.response().await.json()["row"], json!({}));
}

#[tokio::test]
async fn a_panic_is_one_answer_and_the_connection_lives() {
    let (_running, mut client) = fake().await;
    client.send("POST /panic HTTP/1.1\r\nhost: x\r\ncookie: fake=mine\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!(response.status, 500);
    let text = response.json().as_str().unwrap().to_owned();
    assert!(text.starts_with("An unknown error occurred (incident "), "{text}");
    assert!(!text.contains("secret"));
    assert_eq!(response.cookies(), ["fake=mine"]);
    assert_eq!(client.post("/echo", "[1]").await.body, "[1]");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let (_running, mut client) = fake().await;
    let all: String = (0..40).map(|number| post("/echo", &format!("[{number}]"))).collect();
    client.send(all).await;
    for number in 0..40 {
        assert_eq!(client.response().await.body, format!("[{number}]"));
    }
}

#[tokio::test]
async fn what_follows_a_request_with_two_lengths_is_never_taken_for_a_request() {
    let (running, mut client) = fake().await;
    client
        .send(
            "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 3\r\n\
             transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /verify HTTP/1.1\r\nhost: x\r\n\r\n",
        )
        .await;
    let response = client.response().await;
    assert_eq!((response.status, response.header("connection")), (200, Some("close")));
    assert!(client.is_closed().await);
    let mut client = Client::connect(running.fake()).await;
    client.send("POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\n[1]..").await;
    assert_eq!(client.response().await.status, 400);
}

#[tokio::test]
async fn a_thousand_clients_at_once_get_their_own_answers() {
    let running = Running::new(HttpLimits::default()).await;
    let address = running.fake();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..1_000 {
        tasks.spawn(async move {
            let mut client = Client::connect(address).await;
            for round in 0..5 {
                let body = format!("[{number},{round}]");
                let response = client.post("/echo", &body).await;
                assert_eq!((response.status, response.body), (200, body));
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let status = running.server.status();
    assert_eq!(status["servers"]["fake"]["routes"]["tool"]["ok"], json!(5_000));
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call() {
    let (running, mut client) = fake().await;
    client.send(post("/wait", "{}")).await;
    running.watch.until(&running.watch.waiting, 1).await;
    drop(client);
    running.watch.until(&running.watch.dropped, 1).await;
}

#[tokio::test]
async fn agents_set_the_cookies_of_the_servers_they_used() {
    let running = Running::new(HttpLimits::default()).await;
    let mut client = Client::connect(running.address(&Purpose::Server(name("fake_agent")))).await;
    for path in ["/run", "/ng-rollout/5/v1/responses"] {
        let response = client.post(path, r#"{"input":"q"}"#).await;
        assert_eq!(response.status, 200, "{path}");
        let cookies = response.cookies();
        assert_eq!(cookies.len(), 2, "{path}");
        assert!(cookies[0].starts_with("fake_agent___client="));
        assert_eq!(cookies[1], "fake=of-the-tool");
    }
}

#[tokio::test]
async fn typed_episodes_are_answered_in_kind_by_agents_and_environment_servers() {
    let running = Running::new(HttpLimits::default()).await;
    let episode = r#"{"episode_id":{"rollout_id":"r","attempt":1},"task":{"task_id":{"taskset":"s","task_id":"t"},"task_input":{"responses_create_params":{"input":"q"}}}}"#;
    for server in ["fake_agent", "fake_environment_server"] {
        let mut client = Client::connect(running.address(&Purpose::Server(name(server)))).await;
        let response = client.post("/run", episode).await;
        assert_eq!(
            response.json(),
            json!({
                "episode_id": {"rollout_id": "r", "attempt": 1}, "task_id": {"taskset": "s", "task_id": "t"},
                "result": {"reward": 1.0, "rollout": "r-a1", "row": {"responses_create_params": {"input": "q"}}},
                "failure": null,
            })
        );
        let flat = client.post("/run", r#"{"responses_create_params":{}}"#).await;
        assert_eq!(flat.json()["row"], json!({"responses_create_params": {}}));
    }
}

#[tokio::test]
async fn model_servers_check_bodies_and_map_faults() {
    let running = Running::new(HttpLimits::default()).await;
    let mut client = Client::connect(running.address(&Purpose::Server(name("fake_model")))).await;
    let missing = client.post("/v1/responses", "{}").await;
    assert_eq!(
        (missing.status, missing.json()),
        (422, json!({"detail": [{"type": "missing", "loc": ["body", "input"], "msg": "Field required", "input": {}}]}))
    );
    let broken = client.post("/v1/responses", "{").await;
    assert_eq!((broken.status, &broken.json()["detail"][0]["type"]), (422, &json!("json_invalid")));
    let failed = client.post("/v1/responses", r#"{"input":"q","user":"u"}"#).await;
    assert_eq!((failed.status, failed.json()), (502, json!({"detail": "the model is away"})));
    let good = client.post("/v1/responses", r#"{"input":"q"}"#).await;
    assert_eq!(good.status, 200);
    let cookies = good.cookies();
    assert!(cookies[0].starts_with("fake_model___client=") && cookies[1] == "replica=2", "{cookies:?}");
    assert_eq!(client.post("/v1/messages", "{}").await.status, 404);
}

#[tokio::test]
async fn an_agent_session_is_named_by_the_agents_cookie() {
    let running = Running::new(HttpLimits::default()).await;
    let address = running.address(&Purpose::Server(name("fake_agent")));
    let mut client = Client::connect(address).await;
    let opening = json!({
        "agent_session_id": "s1", "episode_id": {"rollout_id": "r"}, "task_id": {"taskset": "s", "task_id": "t"},
        "tool_accesses": [{
            "kind": "direct_http", "name": "fake.direct_http", "required": true, "base_url": "http://127.0.0.1:1",
            "cookies": {"fake": "granted"}, "headers": {},
        }],
    });
    let opened = client.post("/v1/agent_sessions", &opening.to_string()).await;
    assert_eq!((opened.status, opened.json()), (200, json!({"agent_session_id": "s1"})));
    let cookie = opened.cookies()[0].to_owned();
    let body = r#"{"input":"q"}"#;
    client
        .send(format!(
            "POST /v1/responses HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    assert_eq!(client.response().await.status, 200);
    let closing = json!({"agent_session_id": "s1", "episode_id": {"rollout_id": "r"}}).to_string();
    let closed = client.post("/v1/agent_sessions/close", &closing).await;
    assert_eq!(
        closed.json(),
        json!({"agent_session_id": "s1", "agent_observations": null, "resources_cookies": {"fake": "of-the-tool"}})
    );
    assert_eq!(client.get("/v1/agent_sessions").await.status, 405);
}
