// SPDX-License-Identifier: Apache-2.0
//! The environment: a counter, with tools that go wrong in every way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Cookies, RequestContext};
use gym_protocol::{
    Fault, FaultKind, ServerName,
    environment::{CallError, Description, Lifetime, Observation, ReverifyMode, StepOutcome, Style, Tool, Verdict},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::{CookieKeys, Environment, Instance, InstanceFor, Method, Outcome, ResourcesService, SessionOptions};

pub(super) struct Fake {
    description: Description,
    /// What the instances were made for.
    pub(super) made: Arc<Mutex<Vec<InstanceFor>>>,
    /// All requests that reached an instance, in order.
    pub(super) seen: Arc<Mutex<Vec<(&'static str, String)>>>,
    pub(super) alive: Arc<AtomicUsize>,
    room: usize,
}

pub(super) fn tool(name: &str, parameters: Value) -> Tool {
    Tool { name: name.to_owned(), description: "A tool.".to_owned(), parameters: parameters.to_string() }
}

fn no_parameters() -> Value {
    json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false})
}

/// A counter whose sessions begin at `initial_count`.
pub(in crate::service) fn description() -> Description {
    let integer = |name: &str| {
        json!({"type": "object", "properties": {name: {"type": "integer"}}, "required": [name],
            "additionalProperties": false})
    };
    Description {
        name: "counter".to_owned(),
        version: "1.0.0".to_owned(),
        style: Style::Tools,
        tools_run_in: Lifetime::Session,
        verify_runs_in: Lifetime::Session,
        reverify: ReverifyMode::Unsupported,
        seed_fields: Some(
            json!({"type": "object", "properties": {"initial_count": {"type": "integer"}}, "required": ["initial_count"]})
                .to_string(),
        ),
        verify_fields: json!({"type": "object", "properties": {
                "expected_count": {"type": "integer"}, "label": {"type": ["string", "null"]},
                "weight": {"type": "number", "default": 1.0}}, "required": ["expected_count"]})
        .to_string(),
        echo: vec!["weight".to_owned(), "label".to_owned()],
        tools: vec![
            tool("add", integer("count")),
            tool("get", no_parameters()),
            tool("slow_add", integer("count")),
            tool("reject", no_parameters()),
            tool("refuse", no_parameters()),
            tool("trap", no_parameters()),
            tool("report", no_parameters()),
            tool("deadline", no_parameters()),
        ],
        any_tool: false,
        token_ids: false,
        metrics: None,
        own_metrics: false,
    }
}

impl Fake {
    pub(super) fn new(description: Description) -> Self {
        Self { description, made: Arc::default(), seen: Arc::default(), alive: Arc::default(), room: usize::MAX }
    }

    pub(super) fn with_room(self, room: usize) -> Self {
        Self { room, ..self }
    }
}

#[async_trait]
impl Environment for Fake {
    fn description(&self) -> &Description {
        &self.description
    }

    fn digest(&self) -> &str {
        "00"
    }

    async fn instance(&self, purpose: InstanceFor) -> Result<Box<dyn Instance>, Fault> {
        if self.alive.load(Ordering::SeqCst) >= self.room {
            return Err(Fault::busy("there is no room for another instance", 7));
        }
        self.made.lock().push(purpose);
        self.alive.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Counter { count: 0, usable: true, seen: self.seen.clone(), alive: self.alive.clone() }))
    }
}

struct Counter {
    count: i64,
    usable: bool,
    seen: Arc<Mutex<Vec<(&'static str, String)>>>,
    alive: Arc<AtomicUsize>,
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

fn read(request: &str) -> Value {
    serde_json::from_str(request).expect("the host sends JSON")
}

impl Counter {
    fn note(&self, call: &'static str, request: &str) {
        self.seen.lock().push((call, request.to_owned()));
    }

    fn trap(&mut self, kind: FaultKind) -> CallError {
        self.usable = false;
        CallError::Fault(Fault::new(kind, "the environment trapped").with_internal("at line 1"))
    }
}

#[async_trait]
impl Instance for Counter {
    fn is_usable(&self) -> bool {
        self.usable
    }

    async fn seed_session(&mut self, request: &str) -> Result<String, CallError> {
        self.note("seed", request);
        self.count = read(request)["initial_count"].as_i64().unwrap_or(0);
        if self.count == 13 {
            return Err(CallError::Refused { status: 409, detail: "\"unlucky\"".to_owned() });
        }
        Ok("{}".to_owned())
    }

    async fn call_tool(&mut self, name: &str, arguments: &str) -> Result<String, CallError> {
        self.note("tool", arguments);
        match name {
            "add" => self.count += read(arguments)["count"].as_i64().expect("checked by the host"),
            "slow_add" => {
                let before = self.count;
                tokio::time::sleep(Duration::from_millis(10)).await;
                self.count = before + read(arguments)["count"].as_i64().expect("checked by the host");
            }
            "step" => self.count += 1,
            "get" => {}
            "reject" => return Err(CallError::Rejected("the count is \"odd\"".to_owned())),
            "refuse" => return Err(CallError::Refused { status: 418, detail: "{\"a\":1}".to_owned() }),
            "trap" => return Err(self.trap(FaultKind::Trap)),
            "deadline" => return Err(self.trap(FaultKind::CpuDeadline)),
            "report" => return Err(CallError::Fault(Fault::new(FaultKind::Reported, "something is odd"))),
            other => return Ok(json!({"called": other}).to_string()),
        }
        Ok(format!("{{\"count\":{}}}", self.count))
    }

    async fn verify(&mut self, request: &str) -> Result<Verdict, CallError> {
        self.note("verify", request);
        let request = read(request);
        let verdict = |reward: f64, fields: &str| Verdict { reward, components: Vec::new(), fields: fields.to_owned() };
        match request["label"].as_str() {
            Some("trap") => Err(self.trap(FaultKind::Memory)),
            Some("judge") => Err(CallError::Fault(Fault::new(FaultKind::JudgeFailed, "the judge answered 500"))),
            Some("busy") => Err(CallError::Fault(Fault::busy("no room", 3))),
            Some("refuse") => Err(CallError::Refused { status: 422, detail: "[]".to_owned() }),
            Some("refuse oddly") => Err(CallError::Refused { status: 200, detail: "[]".to_owned() }),
            Some("reject") => Err(CallError::Rejected("no".to_owned())),
            Some("nan") => Ok(verdict(f64::NAN, "{}")),
            Some("no object") => Ok(verdict(1.0, "[]")),
            Some("reserved") => Ok(verdict(1.0, "{\"reward\":2}")),
            Some("fields") => Ok(verdict(0.5, "{\"label\":null,\"extracted\":\"B\",\"extracted\":\"C\"}")),
            Some("parts") => {
                Ok(Verdict { components: vec![("a".to_owned(), 0.25), ("b".to_owned(), 0.5)], ..verdict(0.75, "{}") })
            }
            Some("twin parts") => {
                Ok(Verdict { components: vec![("a".to_owned(), 0.25), ("a".to_owned(), 0.5)], ..verdict(0.75, "{}") })
            }
            Some("bad parts") => Ok(Verdict { components: vec![("a".to_owned(), 0.25)], ..verdict(0.75, "{}") }),
            _ => Ok(verdict(f64::from(u8::from(request["expected_count"] == self.count)), "{}")),
        }
    }

    async fn reset(&mut self, request: &str) -> Result<Observation, CallError> {
        self.note("reset", request);
        Ok(Observation { text: Some("begin".to_owned()), info: "{}".to_owned() })
    }

    async fn step(&mut self, request: &str) -> Result<StepOutcome, CallError> {
        self.note("step", request);
        self.count += 1;
        let terminated = self.count == 2;
        let text = (!terminated).then(|| format!("step {}", self.count));
        let observation = Observation { text, info: "{\"k\":[1]}".to_owned() };
        Ok(StepOutcome { observation, reward: self.count as f64, terminated, truncated: false })
    }

    async fn close(&mut self) -> Result<(), CallError> {
        self.note("close", "");
        Ok(())
    }

    async fn aggregate_metrics(&mut self, request: &str) -> Result<String, CallError> {
        self.note("metrics", request);
        Ok(json!({"agent_metrics": {"own": 1.5}, "key_metrics": {"own": 1.5},
            "per_task_metrics": [{"_ng_task_index": 1, "hard": true}, {"_ng_task_index": 9}]})
        .to_string())
    }
}

/// A client with its cookies.
pub(in crate::service) struct Client {
    pub(super) service: ResourcesService,
    pub(super) context: RequestContext,
}

pub(super) fn service_of(fake: Arc<Fake>, options: SessionOptions) -> ResourcesService {
    let name = ServerName::new("c").expect("a name");
    ResourcesService::new(name, fake, options, &CookieKeys::new([7; 32])).expect("a good description")
}

pub(super) fn serve(description: Description) -> (Client, Arc<Fake>) {
    let fake = Arc::new(Fake::new(description));
    (Client::new(service_of(fake.clone(), SessionOptions::default())), fake)
}

impl Client {
    pub(in crate::service) fn new(service: ResourcesService) -> Self {
        Self { service, context: RequestContext::default() }
    }

    pub(super) async fn send(&mut self, method: Method, path: &str, content_type: Option<&str>, body: &str) -> Outcome {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let outcome = self.service.handle(method, path, content_type, body, &self.context).await;
        let set = outcome.set_cookie.split(';').next().expect("there is a first part").to_owned();
        self.context.cookies.merge(&Cookies::parse([set.as_str()]));
        outcome
    }

    /// Status and body of a POST. The client keeps the cookie.
    pub(in crate::service) async fn post(&mut self, path: &str, body: impl ToString) -> (u16, String) {
        let outcome = self.send(Method::Post, path, Some("application/json"), &body.to_string()).await;
        (outcome.reply.status, String::from_utf8(outcome.reply.body.to_vec()).expect("replies are text"))
    }

    pub(super) async fn seed(&mut self, count: i64) {
        assert_eq!(self.post("/seed_session", json!({"initial_count": count})).await, (200, "{}".to_owned()));
    }

    pub(super) async fn verify(&mut self, fields: Value) -> Value {
        let (status, body) = self.post("/verify", attempt(fields)).await;
        assert_eq!(status, 200, "{body}");
        read(&body)
    }
}

pub(super) fn response(output: Value) -> Value {
    json!({"id": "r", "created_at": 1.0, "model": "m", "object": "response", "output": output,
        "parallel_tool_calls": true, "tool_choice": "auto", "tools": []})
}

/// A verify request with these fields of the row.
pub(in crate::service) fn attempt(fields: Value) -> Value {
    let mut body = json!({"responses_create_params": {"input": "hi"}, "response": response(json!([]))});
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    body
}

/// Text without the part that is different each time.
pub(super) fn without_incident(text: &str) -> String {
    let Some((before, after)) = text.split_once(" (incident ") else { return text.to_owned() };
    let (id, after) = after.split_once(')').expect("the incident ends");
    assert_eq!(id.len(), 36, "an incident is a UUID");
    format!("{before}{after}")
}
