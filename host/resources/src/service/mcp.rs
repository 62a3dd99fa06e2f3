// SPDX-License-Identifier: Apache-2.0
//! The tools over MCP: `POST /mcp`, stateless Streamable HTTP with JSON replies.
//!
//! The reply of a seed says where, and has a token in place of a cookie: a call over MCP runs in the session of the
//! seed, which tools over HTTP and verify share. Formats: Model Context Protocol 2024-11-05 to 2025-11-25; texts and the
//! header's name are those of NeMo Gym.

use std::sync::Arc;

use bytes::Bytes;
use gym_agents::{Reply, Route};
use gym_protocol::{Raw, raw::write_string};
use serde_json::{Value, json};

use super::{Caller, Outcome, ResourcesService, Server, body::Payload, compiled::UNCHECKED};
use crate::cookie::set_cookie;

/// The header that carries the session's token.
pub const MCP_TOKEN_HEADER: &str = "X-NeMo-Gym-Session-Token";

/// Versions of the protocol, the newest first. What is used here is the same in all of them.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;

/// The headers of an MCP request that matter.
#[derive(Clone, Copy, Debug, Default)]
pub struct McpHeaders<'a> {
    /// `Accept`.
    pub accept: Option<&'a str>,
    /// `Content-Type`.
    pub content_type: Option<&'a str>,
    /// `MCP-Protocol-Version`.
    pub version: Option<&'a str>,
    /// [`MCP_TOKEN_HEADER`].
    pub token: Option<&'a str>,
}

impl ResourcesService {
    /// Whether the tools are offered over MCP.
    pub fn has_mcp(&self) -> bool {
        self.server.mcp
    }

    /// Answers `POST /mcp`. The cookies of `context` say nothing about the session, the token does.
    pub async fn mcp(&self, headers: McpHeaders<'_>, body: Bytes, context: &gym_agents::RequestContext) -> Outcome {
        let caller = self.server.caller(context);
        let reply = self.server.mcp(headers, body).await;
        Outcome { reply, set_cookie: set_cookie(&self.server.cookie(&caller)), allow: None, location: None }
    }
}

impl Server {
    /// What a seed tells of the tools, as JSON; `None` if they are not offered over MCP.
    pub(super) fn mcp_access(&self, caller: &Caller) -> Option<String> {
        self.mcp.then(|| {
            json!({
                "server_name": self.name.as_str(),
                "url_path": "/mcp",
                "transport": "http",
                "headers": {MCP_TOKEN_HEADER: self.jar.token(&caller.ticket)},
            })
            .to_string()
        })
    }

    async fn mcp(self: &Arc<Self>, headers: McpHeaders<'_>, body: Bytes) -> Reply {
        if !accepts(headers.accept) {
            let text = "Not Acceptable: Client must accept both application/json and text/event-stream";
            return failed(406, Value::from("server-error"), INVALID_REQUEST, text);
        }
        let kind = headers.content_type.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let text = "Unsupported Media Type: Content-Type must be application/json";
            return failed(415, Value::from("server-error"), INVALID_REQUEST, text);
        }
        let Ok(raw) = Raw::parse(body) else {
            return failed(400, Value::from("server-error"), PARSE_ERROR, "Parse error: the body is not JSON");
        };
        let Ok(message) = serde_json::from_str::<Value>(raw.as_str()) else {
            return failed(400, Value::from("server-error"), PARSE_ERROR, "Parse error: the body cannot be read");
        };
        let id = message.get("id").filter(|id| id.is_string() || id.is_i64() || id.is_u64()).cloned();
        let method = message.get("method").and_then(Value::as_str);
        if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            let id = id.unwrap_or_else(|| Value::from("server-error"));
            return failed(400, id, INVALID_REQUEST, "Invalid request: not one JSON-RPC 2.0 message");
        }
        let (Some(method), Some(id)) = (method, id) else {
            let has_id = message.get("id").is_some_and(|id| !id.is_null());
            let is_answer = message.get("result").is_some() || message.get("error").is_some();
            // Notifications, and answers to requests that this server never makes.
            return if (method.is_some() && !has_id) || is_answer {
                Reply::new(202, Bytes::new())
            } else {
                failed(400, Value::from("server-error"), INVALID_REQUEST, "Invalid request: no method or no id")
            };
        };
        if let Some(version) = headers.version.filter(|_| method != "initialize")
            && !VERSIONS.contains(&version)
        {
            let text = format!("Bad Request: Unsupported protocol version: {version}");
            return failed(400, id, INVALID_REQUEST, &text);
        }
        let params = message.get("params");
        match method {
            "initialize" => succeeded(&id, self.hello(params)),
            "ping" => succeeded(&id, json!({})),
            "tools/list" => match headers.token.map(|token| self.jar.read_token(token)) {
                Some(None) => failed(200, id, INVALID_PARAMS, "Invalid Gym MCP session token."),
                _ => succeeded(&id, self.tool_list()),
            },
            "tools/call" => {
                let Some(name) = params.and_then(|params| params.get("name")).and_then(Value::as_str) else {
                    return failed(200, id, INVALID_PARAMS, "Invalid request parameters: `name` is missing");
                };
                // Taken from the text, so that numbers reach the environment as they were written.
                let arguments = raw.members().ok().and_then(|message| message.get_set("params")?.members().ok());
                let arguments = arguments.and_then(|params| params.get_set("arguments").cloned());
                if arguments.as_ref().is_some_and(|arguments| !arguments.is_object()) {
                    let text = "Invalid request parameters: `arguments` is not an object";
                    return failed(200, id, INVALID_PARAMS, text);
                }
                let arguments = arguments.unwrap_or_else(|| Raw::trusted("{}"));
                let result = self.tool_over_mcp(name, arguments, headers.token).await;
                succeeded_with(&id, result.unwrap_or_else(|text| content(&text, true, None)))
            }
            _ => failed(200, id, METHOD_NOT_FOUND, &format!("Method not found: {method}")),
        }
    }

    fn hello(&self, params: Option<&Value>) -> Value {
        let wanted = params.and_then(|params| params.get("protocolVersion")).and_then(Value::as_str);
        let version = VERSIONS.into_iter().find(|version| Some(*version) == wanted).unwrap_or(VERSIONS[0]);
        json!({
            "protocolVersion": version,
            "capabilities": {"tools": {"listChanged": false}},
            "serverInfo": {"name": self.name.as_str(), "version": env!("CARGO_PKG_VERSION")},
        })
    }

    fn tool_list(&self) -> Value {
        let description = self.environment.description();
        let of_models = description.tools.iter().filter(|tool| !description.is_agents_tool(&tool.name));
        let tools = of_models.map(|tool| {
            let mut schema: Value = serde_json::from_str(&tool.parameters).expect("the schema was compiled");
            if let Some(members) = schema.as_object_mut() {
                members.shift_remove(UNCHECKED);
            }
            json!({"name": tool.name, "description": tool.description, "inputSchema": schema})
        });
        json!({"tools": tools.collect::<Vec<_>>()})
    }

    /// The result of a call as JSON text, or the text of an error for the model.
    async fn tool_over_mcp(self: &Arc<Self>, name: &str, body: Raw, token: Option<&str>) -> Result<String, String> {
        let token = token.ok_or_else(|| format!("Missing {MCP_TOKEN_HEADER} for Gym MCP tool call."))?;
        let ticket = self.jar.read_token(token).ok_or("Invalid Gym MCP session token.")?;
        let tools = &self.environment.description().tools;
        if !tools.iter().any(|tool| tool.name == name) {
            let names: Vec<String> = tools.iter().map(|tool| format!("'{}'", tool.name)).collect();
            return Err(format!("Unknown tool: '{name}'. Available tools: [{}]", names.join(", ")));
        }
        let route = Route::Tool(name.to_owned());
        let reply = self.post(&route, Payload::Local(body.bytes().clone()), &mut Caller { ticket }).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let value = Raw::parse(reply.body.clone()).ok();
        if !reply.is_success() {
            let detail = value.as_ref().and_then(|value| value.members().ok()?.get("detail").cloned());
            let detail = detail.as_ref().or(value.as_ref()).map_or(text.as_str(), Raw::as_str);
            return Err(format!("HTTP {} from POST /{name}: {detail}", reply.status));
        }
        Ok(match &value {
            Some(object) if object.is_object() => content(object.as_str(), false, Some(object)),
            // A text is itself, without quotes and escapes.
            Some(string) if string.is_string() => content(&string.read::<String>().unwrap_or(text), false, None),
            _ => content(&text, false, None),
        })
    }
}

/// Whether both kinds of answer are accepted.
fn accepts(accept: Option<&str>) -> bool {
    let has = |kind: &str| {
        let family = kind.split('/').next().unwrap_or_default();
        accept.unwrap_or_default().split(',').any(|part| {
            let part = part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            part == kind || part == "*/*" || part.strip_suffix("/*") == Some(family)
        })
    };
    has("application/json") && has("text/event-stream")
}

/// A tool result with one text. The object is written as it is, so that numbers keep their form.
fn content(text: &str, is_error: bool, structured: Option<&Raw>) -> String {
    let mut result = br#"{"content":[{"type":"text","text":"#.to_vec();
    write_string(&mut result, text);
    result.extend_from_slice(b"}]");
    if let Some(object) = structured {
        result.extend_from_slice(b",\"structuredContent\":");
        result.extend_from_slice(object.bytes());
    }
    result.extend_from_slice(if is_error { b",\"isError\":true}" } else { b",\"isError\":false}" });
    String::from_utf8_lossy(&result).into_owned()
}

fn succeeded(id: &Value, result: Value) -> Reply {
    succeeded_with(id, result.to_string())
}

fn succeeded_with(id: &Value, result: String) -> Reply {
    Reply::ok(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}

fn failed(status: u16, id: Value, code: i64, message: &str) -> Reply {
    let body = json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}});
    Reply::new(status, body.to_string())
}
