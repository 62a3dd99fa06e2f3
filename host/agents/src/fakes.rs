// SPDX-License-Identifier: Apache-2.0
//! A model and a resources server for tests: they answer from a list and keep what they were asked.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use gym_protocol::{Fault, ModelRequest, ServerKind, ServerName, ServerRef};
use serde_json::Value;

use crate::{
    directory::{AgentError, Directory, build_agent},
    ports::{Agent, Cookie, Cookies, Model, Reply, RequestContext, ResourcesServer, Route, Session},
};

/// What a fake answers with.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Reply(Reply),
    Fault(Fault),
    /// Never.
    Hang,
}

/// A body that ends well.
pub(crate) fn ok(body: impl Into<String>) -> Answer {
    Answer::Reply(Reply::ok(body.into()))
}

/// An HTTP error.
pub(crate) fn status(status: u16, body: &str) -> Answer {
    Answer::Reply(Reply::new(status, body.to_owned()))
}

async fn give(answer: Option<Answer>, what: &str) -> Result<Reply, Fault> {
    match answer {
        Some(Answer::Reply(reply)) => Ok(reply),
        Some(Answer::Fault(fault)) => Err(fault),
        Some(Answer::Hang) => std::future::pending().await,
        None => panic!("nothing was prepared for {what}"),
    }
}

/// Everything that was asked, in order: `model <body>`, `seed <body>`, `tool get_weather <body>`, ….
#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<String>>);

impl Log {
    fn add(&self, entry: String) {
        self.0.lock().unwrap().push(entry);
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// The entries that start like this, without it.
    pub(crate) fn of(&self, prefix: &str) -> Vec<String> {
        self.entries().iter().filter_map(|entry| entry.strip_prefix(prefix)).map(str::to_owned).collect()
    }
}

/// A world of one model (`m`), one user model (`u`) and one resources server (`r`).
pub(crate) struct World {
    pub(crate) log: Arc<Log>,
    pub(crate) model: Arc<FakeModel>,
    pub(crate) user: Arc<FakeModel>,
    pub(crate) resources: Arc<FakeResources>,
}

pub(crate) struct FakeModel {
    name: ServerName,
    log: Arc<Log>,
    answers: Mutex<VecDeque<Answer>>,
    /// The contexts that came with the requests.
    pub(crate) contexts: Mutex<Vec<RequestContext>>,
}

pub(crate) struct FakeResources {
    name: ServerName,
    log: Arc<Log>,
    answers: Mutex<Vec<(String, VecDeque<Answer>)>>,
    /// Sessions that are alive.
    pub(crate) sessions: Arc<()>,
    /// How many sessions were ended.
    pub(crate) ended: Arc<AtomicUsize>,
}

struct FakeSession {
    server: Arc<FakeResources>,
    cookies: Cookies,
    _alive: Arc<()>,
}

impl World {
    /// The model gives these answers, the user model those. Routes answer as [`FakeResources::route`] says.
    pub(crate) fn new(model: impl IntoIterator<Item = Answer>, user: impl IntoIterator<Item = Answer>) -> Self {
        let log = Arc::new(Log::default());
        let fake = |name: &str, answers| {
            Arc::new(FakeModel {
                name: ServerName::new(name).unwrap(),
                log: log.clone(),
                answers: Mutex::new(answers),
                contexts: Mutex::default(),
            })
        };
        Self {
            model: fake("m", model.into_iter().collect()),
            user: fake("u", user.into_iter().collect()),
            resources: Arc::new(FakeResources {
                name: ServerName::new("r").unwrap(),
                log: log.clone(),
                answers: Mutex::default(),
                sessions: Arc::new(()),
                ended: Arc::default(),
            }),
            log,
        }
    }
}

impl World {
    /// Prepares the answers of a route: `seed`, `verify`, `reset`, `step`, `close` or `tool <name>`. The last one is
    /// given again and again.
    pub(crate) fn route(self, route: &str, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.resources.answers.lock().unwrap().push((route.to_owned(), answers.into_iter().collect()));
        self
    }

    /// The agent of this configuration; references to `m` and `r` are added.
    pub(crate) fn agent(&self, implementation: &str, config: Value) -> Arc<dyn Agent> {
        self.try_agent(implementation, config).unwrap()
    }

    pub(crate) fn try_agent(&self, implementation: &str, config: Value) -> Result<Arc<dyn Agent>, AgentError> {
        let mut block = serde_json::json!({
            "model_server": {"type": "responses_api_models", "name": "m"},
            "resources_server": {"type": "resources_servers", "name": "r"},
        });
        for (key, value) in config.as_object().unwrap() {
            block[key] = value.clone();
        }
        block.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let name = ServerName::new("agent").unwrap();
        build_agent(implementation, &name, block.as_object().unwrap(), self)
    }

    /// The reply of `/run`.
    pub(crate) async fn run(&self, agent: &dyn Agent, row: &str) -> String {
        let reply = agent.run(Bytes::copy_from_slice(row.as_bytes()), &mut RequestContext::default()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        String::from_utf8(reply.body.to_vec()).unwrap()
    }
}

impl Directory for World {
    fn resources_server(&self, name: &ServerName) -> Option<Arc<dyn ResourcesServer>> {
        (name.as_str() == "r").then(|| self.resources.clone() as Arc<dyn ResourcesServer>)
    }

    fn model(&self, name: &ServerName) -> Option<Arc<dyn Model>> {
        match name.as_str() {
            "m" => Some(self.model.clone()),
            "u" => Some(self.user.clone()),
            _ => None,
        }
    }

    fn remote_agent(&self, _agent: &ServerName, base_url: &str) -> Option<Arc<dyn Model>> {
        (base_url == "http://elsewhere").then(|| self.model.clone() as Arc<dyn Model>)
    }
}

/// A reference to the user model.
pub(crate) fn user_model() -> Value {
    serde_json::to_value(ServerRef { kind: ServerKind::ResponsesApiModels, name: ServerName::new("u").unwrap() })
        .unwrap()
}

#[async_trait]
impl Model for FakeModel {
    fn name(&self) -> &ServerName {
        &self.name
    }

    async fn respond(&self, request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        let body = request.to_body();
        self.log.add(format!("{} {}", self.name, std::str::from_utf8(&body).unwrap()));
        self.contexts.lock().unwrap().push(context.clone());
        context.cookies.set(Cookie { name: "model".to_owned(), value: "1".to_owned() });
        let answer = self.answers.lock().unwrap().pop_front();
        give(answer, self.name.as_str()).await
    }

    async fn chat(&self, _body: Bytes, _context: &mut RequestContext) -> Result<Reply, Fault> {
        panic!("no agent uses chat completions");
    }
}

#[async_trait]
impl ResourcesServer for FakeResources {
    fn name(&self) -> &ServerName {
        &self.name
    }

    fn session(&self, context: &RequestContext) -> Box<dyn Session> {
        let server = Self {
            name: self.name.clone(),
            log: self.log.clone(),
            answers: Mutex::new(self.answers.lock().unwrap().clone()),
            sessions: self.sessions.clone(),
            ended: self.ended.clone(),
        };
        let _alive = self.sessions.clone();
        Box::new(FakeSession { server: Arc::new(server), cookies: context.cookies.clone(), _alive })
    }

    async fn aggregate_metrics(&self, body: Bytes) -> Result<Reply, Fault> {
        Ok(Reply::ok(body))
    }
}

#[async_trait]
impl Session for FakeSession {
    async fn post(&mut self, route: &Route, body: Bytes) -> Result<Reply, Fault> {
        let route = match route {
            Route::Seed => "seed".to_owned(),
            Route::Verify => "verify".to_owned(),
            Route::Reset => "reset".to_owned(),
            Route::Step => "step".to_owned(),
            Route::Close => "close".to_owned(),
            Route::CloseSession => "close_session".to_owned(),
            Route::Tool(name) => format!("tool {name}"),
        };
        self.server.log.add(format!("{route} {}", std::str::from_utf8(&body).unwrap()));
        self.cookies.set(Cookie { name: "session".to_owned(), value: "s".to_owned() });
        let answer = {
            let mut answers = self.server.answers.lock().unwrap();
            let queue = answers.iter_mut().find(|(name, _)| *name == route);
            queue.and_then(|(_, queue)| if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() })
        };
        match answer {
            Some(answer) => give(Some(answer), &route).await,
            None => Ok(Reply::new(404, r#"{"detail":"Not Found"}"#)),
        }
    }

    fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    async fn end(&mut self) {
        self.server.ended.fetch_add(1, Ordering::Relaxed);
    }
}

/// A Response object with these items.
pub(crate) fn response(output: &str) -> Answer {
    ok(format!(r#"{{"id":"resp","object":"response","output":[{output}],"usage":null}}"#))
}

/// An assistant message.
pub(crate) fn message(text: &str) -> String {
    format!(
        r#"{{"id":"msg","type":"message","role":"assistant","status":"completed","content":[{{"type":"output_text","text":"{text}","annotations":[]}}]}}"#
    )
}

/// A function call; `arguments` is the JSON string as it goes over the wire, with its quotes.
pub(crate) fn call(id: &str, name: &str, arguments: &str) -> String {
    format!(r#"{{"type":"function_call","call_id":"{id}","name":"{name}","arguments":{arguments}}}"#)
}

/// The output of a call.
pub(crate) fn output(id: &str, text: &str) -> String {
    format!(r#"{{"type":"function_call_output","call_id":"{id}","output":{text}}}"#)
}

/// A member of a JSON object.
pub(crate) fn member(object: &str, name: &str) -> Value {
    serde_json::from_str::<Value>(object).unwrap()[name].clone()
}
