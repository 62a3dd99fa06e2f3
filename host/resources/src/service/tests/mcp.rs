// SPDX-License-Identifier: Apache-2.0
//! Tools over MCP.

use std::sync::Arc;

use bytes::Bytes;
use gym_protocol::{
    ServerName,
    environment::{Description, Lifetime},
};
use serde_json::{Value, json};

use super::fake::{Client, Fake, description, tool};
use crate::{CookieKeys, McpHeaders, ResourcesService, ServiceError, ServiceOptions};

const BOTH: &str = "application/json, text/event-stream";

fn try_serve(fake: Fake) -> Result<Client, ServiceError> {
    let options = ServiceOptions { tools_over_mcp: true, ..ServiceOptions::default() };
    let name = ServerName::new("c").unwrap();
    ResourcesService::new(name, Arc::new(fake), options, &CookieKeys::new([7; 32])).map(Client::new)
}

fn serve() -> Client {
    try_serve(Fake::new(description())).unwrap()
}

/// Status and body of a message of a client without cookies.
async fn send(client: &Client, token: Option<&str>, message: Value) -> (u16, Value) {
    let headers = McpHeaders { accept: Some(BOTH), content_type: Some("application/json"), version: None, token };
    let body = Bytes::from(message.to_string());
    let reply = client.service.mcp(headers, body, &Default::default()).await.reply;
    (reply.status, serde_json::from_slice(&reply.body).unwrap_or_default())
}

fn call(name: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
}

async fn result(client: &Client, token: Option<&str>, message: Value) -> Value {
    let (status, reply) = send(client, token, message).await;
    assert_eq!((status, &reply["jsonrpc"], &reply["id"]), (200, &json!("2.0"), &json!(1)), "{reply}");
    reply["result"].clone()
}

/// Seeds a session and returns its token.
async fn token(client: &mut Client, count: i64) -> String {
    let (status, reply) = client.post("/seed_session", json!({"initial_count": count})).await;
    assert_eq!(status, 200);
    let mut reply: Value = serde_json::from_str(&reply).unwrap();
    let token = reply["mcp"]["headers"]["X-NeMo-Gym-Session-Token"].take().as_str().unwrap().to_owned();
    let headers = json!({"X-NeMo-Gym-Session-Token": null});
    let mcp = json!({"server_name": "c", "url_path": "/mcp", "transport": "http", "headers": headers});
    assert_eq!(reply, json!({"mcp": mcp}));
    token
}

#[tokio::test]
async fn a_call_over_mcp_runs_in_the_session_of_the_seed() {
    let mut client = serve();
    let mut other = Client::new(client.service.clone());
    let token = token(&mut client, 3).await;
    other.post("/seed_session", json!({"initial_count": 100})).await;
    let added = result(&client, Some(&token), call("add", json!({"count": 4}))).await;
    let content = json!([{"type": "text", "text": "{\"count\":7}"}]);
    assert_eq!(added, json!({"content": content, "structuredContent": {"count": 7}, "isError": false}));
    assert_eq!(client.post("/get", "{}").await, (200, "{\"count\":7}".to_owned()));
    assert_eq!(client.verify(json!({"expected_count": 7})).await["reward"], 1.0);
    assert_eq!(other.post("/get", "{}").await, (200, "{\"count\":100}".to_owned()));
}

#[tokio::test]
async fn typed_seeds_tell_of_the_tools_too() {
    let mut client = serve();
    let seed = json!({"resources_session_id": "s", "episode_id": {"rollout_id": "r"},
        "task_id": {"taskset": "t", "task_id": "1"}, "task_data": {"initial_count": 5}});
    let (_, reply) = client.post("/seed_session", seed).await;
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["resources_tools"]["server_name"], "c");
    assert_eq!(reply.as_object().unwrap().len(), 3, "the reader forbids other keys");
    let token = reply["resources_tools"]["headers"]["X-NeMo-Gym-Session-Token"].as_str().unwrap();
    let count = result(&client, Some(token), call("get", json!({}))).await;
    assert_eq!(count["structuredContent"], json!({"count": 5}));
}

#[tokio::test]
async fn what_goes_wrong_with_a_call_is_a_text_for_the_model() {
    let mut client = serve();
    let good = token(&mut client, 1).await;
    let foreign = {
        let name = ServerName::new("d").unwrap();
        let options = ServiceOptions { tools_over_mcp: true, ..ServiceOptions::default() };
        let fake = Arc::new(Fake::new(description()));
        let mut other = Client::new(ResourcesService::new(name, fake, options, &CookieKeys::new([7; 32])).unwrap());
        let (_, reply) = other.post("/seed_session", json!({"initial_count": 1})).await;
        let reply: Value = serde_json::from_str(&reply).unwrap();
        reply["mcp"]["headers"]["X-NeMo-Gym-Session-Token"].as_str().unwrap().to_owned()
    };
    let tools = "['add', 'get', 'slow_add', 'reject', 'refuse', 'trap', 'report', 'deadline']";
    for (token, name, arguments, expected) in [
        (None, "get", json!({}), "Missing X-NeMo-Gym-Session-Token for Gym MCP tool call.".to_owned()),
        (Some("x"), "get", json!({}), "Invalid Gym MCP session token.".to_owned()),
        (Some(foreign.as_str()), "get", json!({}), "Invalid Gym MCP session token.".to_owned()),
        (Some(&good), "verify", json!({}), format!("Unknown tool: 'verify'. Available tools: {tools}")),
        (Some(&good), "refuse", json!({}), "HTTP 418 from POST /refuse: {\"a\":1}".to_owned()),
    ] {
        let reply = result(&client, token, call(name, arguments)).await;
        assert_eq!(reply, json!({"content": [{"type": "text", "text": expected}], "isError": true}));
    }
    let reply = result(&client, Some(&good), call("add", json!({"count": "x"}))).await;
    let text = reply["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("HTTP 422 from POST /add: [{\"type\":\"int_parsing\""), "{text}");
    let rejected = result(&client, Some(&good), call("reject", json!({}))).await;
    assert_eq!(rejected["structuredContent"], json!({"error": "the count is \"odd\""}), "the model reads it");
    let trapped = result(&client, Some(&good), call("trap", json!({}))).await;
    assert_eq!(trapped["isError"], true);
    let lost = result(&client, Some(&good), call("get", json!({}))).await;
    assert_eq!(lost["isError"], true, "the session ended with the trap");
}

#[tokio::test]
async fn clients_are_greeted_and_told_the_tools() {
    let client = serve();
    let hello = |version: &str| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}})
    };
    for (asked, answered) in [("2025-03-26", "2025-03-26"), ("2025-06-18", "2025-06-18"), ("1999", "2025-11-25")] {
        let reply = result(&client, None, hello(asked)).await;
        assert_eq!(reply["protocolVersion"], answered);
        assert_eq!(reply["serverInfo"]["name"], "c");
    }
    let list = result(&client, None, json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await;
    let names: Vec<_> = list["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["add", "get", "slow_add", "reject", "refuse", "trap", "report", "deadline"]);
    assert_eq!(list["tools"][0]["inputSchema"]["required"], json!(["count"]));
    let notified = send(&client, None, json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!(notified, (202, Value::Null));
    assert_eq!(result(&client, None, json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await, json!({}));
}

#[tokio::test]
async fn a_schema_for_models_only_is_listed_and_checks_nothing() {
    let parameters = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
        "x-gym-unchecked": true});
    let description = Description { any_tool: true, tools: vec![tool("free", parameters)], ..description() };
    let mut client = try_serve(Fake::new(description)).unwrap();
    let list = result(&client, None, json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await;
    let listed = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    assert_eq!(list["tools"], json!([{"name": "free", "description": "A tool.", "inputSchema": listed}]));
    let reply = client.post("/free", json!({"n": "many"})).await;
    assert_eq!(reply, (200, r#"{"called":"free"}"#.to_owned()));
}

#[tokio::test]
async fn what_is_no_message_is_an_error() {
    let client = serve();
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let json = Some("application/json");
    let headers = |accept, content_type, version| McpHeaders { accept, content_type, version, token: None };
    for (headers, body, status, code) in [
        (headers(None, json, None), ping.as_str(), 406, -32600),
        (headers(Some("application/json"), json, None), &ping, 406, -32600),
        (headers(Some(BOTH), Some("text/plain"), None), &ping, 415, -32600),
        (headers(Some(BOTH), json, Some("1999-01-01")), &ping, 400, -32600),
        (headers(Some(BOTH), json, None), "{", 400, -32700),
        (headers(Some(BOTH), json, None), "[]", 400, -32600),
        (headers(Some(BOTH), json, None), r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, 400, -32600),
        (headers(Some(BOTH), json, None), r#"{"jsonrpc":"2.0","id":2,"method":"no"}"#, 200, -32601),
        (headers(Some(BOTH), json, None), r#"{"jsonrpc":"2.0","id":2,"method":"tools/call"}"#, 200, -32602),
    ] {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let reply = client.service.mcp(headers, body.clone(), &Default::default()).await.reply;
        let value: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, value["error"]["code"].as_i64()), (status, Some(code)), "{headers:?} {body:?}");
    }
    for accept in ["*/*", "text/event-stream; q=0.5 , APPLICATION/json", "application/*, text/*"] {
        let headers = headers(Some(accept), Some("application/json; charset=utf-8"), Some("2025-06-18"));
        let reply = client.service.mcp(headers, Bytes::from(ping.clone()), &Default::default()).await.reply;
        assert_eq!(reply.status, 200, "{accept}");
    }
}

#[test]
fn names_that_mcp_clients_do_not_take_are_an_error_when_tools_are_offered() {
    let mut description = description();
    description.tools.push(tool("count up", json!({"type": "object", "properties": {}})));
    assert!(matches!(try_serve(Fake::new(description)), Err(ServiceError::McpToolName(name)) if name == "count up"));
}

#[tokio::test]
async fn tools_without_a_session_need_a_token_as_well() {
    let mut description = description();
    description.tools_run_in = Lifetime::Call;
    let mut client = try_serve(Fake::new(description)).unwrap();
    let token = token(&mut client, 0).await;
    let added = result(&client, Some(&token), call("add", json!({"count": 2}))).await;
    assert_eq!(added["structuredContent"], json!({"count": 2}));
}
