// SPDX-License-Identifier: Apache-2.0
//! The functions of `wit/host.wit`.

use std::{future::Future, time::Instant};

use bytes::Bytes;
use gym_protocol::ModelRequest;
use tokio::task::JoinHandle;
use tracing::Instrument;
use wasmtime::component::Resource;

use crate::{
    bindings::gym::environment::{
        code::{self, Bounds, Program, Run, RunFailure},
        host::Host,
        programs::{self, FunctionCall},
        types::{self, Level, ModelFailure},
    },
    log::LogLevel,
    process::Process,
    state::State,
};

impl types::Host for State {}

impl Host for State {
    fn config(&mut self) -> wasmtime::Result<String> {
        self.charge(self.settings.config.len())?;
        Ok(self.settings.config.clone())
    }

    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        self.shared.log.lock().message(level, &message);
        Ok(())
    }

    async fn respond(&mut self, server: String, request: String) -> wasmtime::Result<Result<String, ModelFailure>> {
        self.charge(request.len())?;
        let Some(model) = self.settings.models.model(&server) else {
            return Ok(Err(ModelFailure::UnknownServer(format!(
                "there is no model server `{server}` in this server's configuration"
            ))));
        };
        let request = match ModelRequest::parse(Bytes::from(request)) {
            Ok(request) => request,
            Err(error) => {
                let detail = serde_json::json!({ "detail": format!("the request is not acceptable JSON: {error}") });
                return Ok(Err(ModelFailure::Status((422, detail.to_string()))));
            }
        };
        let budget = self.settings.limits.model_wait_ms;
        let left = std::time::Duration::from_millis(budget).saturating_sub(self.model_waited);
        let too_slow = || ModelFailure::Unavailable(format!("the call's {budget} ms for model servers are used up"));
        if left.is_zero() {
            return Ok(Err(too_slow()));
        }

        // Cookies lead later requests of the session to the same place.
        let mut context = match self.model_contexts.iter().position(|(name, _)| *name == server) {
            Some(index) => self.model_contexts.swap_remove(index).1,
            None => Default::default(),
        };
        // A task of its own: what a model client computes is not the guest's CPU time, and it has a thread's stack
        // instead of a fiber's.
        let task = tokio::spawn(
            async move {
                let outcome = model.respond(request, &mut context).await;
                (outcome, context)
            }
            .in_current_span(),
        );
        self.turn.leave();
        let began = Instant::now();
        let mut task = AbortOnDrop(task);
        let outcome = tokio::time::timeout(left, &mut task.0).await;
        self.model_waited += began.elapsed();

        let (outcome, context) = match outcome {
            Err(_) => return Ok(Err(too_slow())),
            Ok(Err(error)) => {
                tracing::error!(%error, server = %self.settings.server, "a request to a model server panicked");
                return Ok(Err(ModelFailure::Unavailable("the request to the model server failed".into())));
            }
            Ok(Ok(outcome)) => outcome,
        };
        self.model_contexts.push((server, context));
        match outcome {
            Err(fault) => Ok(Err(ModelFailure::Unavailable(fault.message))),
            Ok(reply) => {
                self.charge_bytes(reply.body.len())?;
                let success = reply.is_success();
                match String::from_utf8(reply.body.into()) {
                    Err(_) => Ok(Err(ModelFailure::Unavailable("the model server's reply is not UTF-8".into()))),
                    Ok(body) if success => Ok(Ok(body)),
                    Ok(body) => Ok(Err(ModelFailure::Status((reply.status, body)))),
                }
            }
        }
    }

    async fn read_file(&mut self, path: String) -> wasmtime::Result<Result<Vec<u8>, String>> {
        self.charge(path.len())?;
        self.turn.leave();
        let files = self.settings.files.clone();
        let most = self.settings.limits.read_file_bytes;
        let read = tokio::task::spawn_blocking(move || files.read(&path, most)).await;
        let outcome = read.unwrap_or_else(|_| Err("the file cannot be read".into()));
        if let Ok(bytes) = &outcome {
            self.charge_bytes(bytes.len())?;
        }
        Ok(outcome)
    }

    fn now(&mut self) -> wasmtime::Result<u64> {
        self.charge(8)?;
        Ok(self.shared.clock.wall())
    }

    fn random(&mut self) -> wasmtime::Result<u64> {
        self.charge(8)?;
        Ok(self.random.host.next())
    }
}

impl programs::Host for State {}

impl code::Host for State {
    async fn run_code(
        &mut self,
        runner: String,
        program: Program,
        bounds: Bounds,
    ) -> wasmtime::Result<Result<Run, RunFailure>> {
        self.charge(size_of(&program))?;
        let runners = self.settings.runners.clone();
        let work = async move { runners.get(&runner).await?.run(&program, bounds).await };
        let outcome = self.apart(work).await;
        if let Ok(run) = &outcome {
            self.charge_output(run)?;
        }
        Ok(outcome)
    }
}

impl code::HostProcess for State {
    async fn start(
        &mut self,
        runner: String,
        program: Program,
        bounds: Bounds,
    ) -> wasmtime::Result<Result<(Resource<Process>, Run), RunFailure>> {
        self.charge(size_of(&program))?;
        let runners = self.settings.runners.clone();
        let work = async move { runners.get(&runner).await?.start(&program, bounds).await };
        match self.apart(work).await {
            Ok((live, run)) => {
                self.charge_output(&run)?;
                Ok(Ok((self.table.push(Process(live))?, run)))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    async fn call(
        &mut self,
        process: Resource<Process>,
        function: FunctionCall,
        bounds: Bounds,
    ) -> wasmtime::Result<Result<Run, RunFailure>> {
        self.charge(function.name.len() + function.arguments.iter().map(String::len).sum::<usize>())?;
        let Some(live) = self.table.get_mut(&process)?.0.take() else {
            return Ok(Err(RunFailure::Unavailable("the program has ended".into())));
        };
        match self.apart(async move { live.call(&function, bounds).await }).await {
            Ok((live, run)) => {
                self.charge_output(&run)?;
                self.table.get_mut(&process)?.0 = live;
                Ok(Ok(run))
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    fn drop(&mut self, process: Resource<Process>) -> wasmtime::Result<()> {
        self.table.delete(process)?;
        Ok(())
    }
}

impl State {
    /// Does a program's work as a task of its own: what the program computes is not the guest's CPU time.
    async fn apart<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = Result<T, RunFailure>> + Send + 'static,
    ) -> Result<T, RunFailure> {
        let mut task = AbortOnDrop(tokio::spawn(work.in_current_span()));
        self.turn.leave();
        (&mut task.0).await.unwrap_or_else(|error| {
            tracing::error!(%error, server = %self.settings.server, "running a program panicked");
            Err(RunFailure::Unavailable("running the program failed".into()))
        })
    }

    fn charge_output(&mut self, run: &Run) -> wasmtime::Result<()> {
        self.charge_bytes(run.stdout.len() + run.stderr.len() + run.returned.as_ref().map_or(0, String::len))
    }
}

/// Bytes of a program and of what it is given.
fn size_of(program: &Program) -> usize {
    let files: usize = program.files.iter().map(|file| file.path.len() + file.content.len()).sum();
    program.source.len() + program.stdin.len() + files
}

/// A task that ends when nobody waits for it any more.
pub(crate) struct AbortOnDrop<T>(pub(crate) JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
