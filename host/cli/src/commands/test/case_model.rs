// SPDX-License-Identifier: Apache-2.0
//! A model server that answers the requests of one case, one turn after the other.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use gym_agents::{Model, Reply, RequestContext};
use gym_models::{ModelContext, Outbound, build_model};
use gym_protocol::{Fault, ModelRequest, ServerName, script::Turn};
use parking_lot::Mutex;
use serde_json::{Map, json};

use crate::failure::{Failure, chain};

/// Stands in for a configured model server.
pub(crate) struct CaseModel {
    name: ServerName,
    outbound: Arc<Outbound>,
    /// One scripted model for each turn that is left, the next one last.
    turns: Mutex<Vec<Arc<dyn Model>>>,
    /// What is said when no turn is left.
    silence: Mutex<Option<Arc<dyn Model>>>,
}

impl CaseModel {
    pub(crate) fn new(name: ServerName, outbound: &Arc<Outbound>) -> Self {
        Self { name, outbound: Arc::clone(outbound), turns: Mutex::default(), silence: Mutex::default() }
    }

    /// Answers the next requests with these turns, and those after them with an error.
    pub(crate) fn play(&self, turns: &[Turn]) -> Result<(), Failure> {
        *self.silence.lock() = None;
        self.load(turns)
    }

    /// Answers the next requests with these turns, and those after them with no output at all: an attempt whose last
    /// turn is a call ends there.
    pub(crate) fn play_and_stop(&self, turns: &[Turn]) -> Result<(), Failure> {
        self.load(&[Turn { output: Some(Vec::new()), ..Turn::default() }])?;
        *self.silence.lock() = self.next();
        self.load(turns)
    }

    fn load(&self, turns: &[Turn]) -> Result<(), Failure> {
        let context = ModelContext { roots: Vec::new(), outbound: Arc::clone(&self.outbound) };
        let mut models = Vec::with_capacity(turns.len());
        for turn in turns.iter().rev() {
            let mut block = Map::new();
            block.insert("script".to_owned(), json!([{ "attempts": [[turn]] }]));
            let (model, _) = build_model("scripted_model", &self.name, &block, &context)
                .map_err(|error| Failure::user(format!("a turn cannot be played: {}", chain(&error))))?;
            models.push(model);
        }
        *self.turns.lock() = models;
        Ok(())
    }

    fn next(&self) -> Option<Arc<dyn Model>> {
        self.turns.lock().pop().or_else(|| self.silence.lock().clone())
    }

    fn exhausted(&self) -> Reply {
        let text = format!("the case has no turn of `{}` for this request", self.name);
        Reply::new(400, json!({ "error": { "message": text } }).to_string())
    }
}

#[async_trait]
impl Model for CaseModel {
    fn name(&self) -> &ServerName {
        &self.name
    }

    async fn respond(&self, request: ModelRequest, context: &mut RequestContext) -> Result<Reply, Fault> {
        match self.next() {
            Some(model) => model.respond(request, context).await,
            None => Ok(self.exhausted()),
        }
    }

    async fn chat(&self, body: Bytes, context: &mut RequestContext) -> Result<Reply, Fault> {
        match self.next() {
            Some(model) => model.chat(body, context).await,
            None => Ok(self.exhausted()),
        }
    }
}
