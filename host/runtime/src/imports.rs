// SPDX-License-Identifier: Apache-2.0
//! The functions of `wit/host.wit`.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::join_all;
use gym_agents::{Model, RequestContext};
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
    meter,
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
        let mut replies = self.respond_all(server, vec![request], 0).await?;
        Ok(replies.pop().expect("one request has one reply"))
    }

    async fn respond_all(
        &mut self,
        server: String,
        requests: Vec<String>,
        pause_ms: u64,
    ) -> wasmtime::Result<Vec<Result<String, ModelFailure>>> {
        self.charge(requests.iter().map(String::len).sum())?;
        let count = requests.len();
        let all = |failure: ModelFailure| vec![Err(failure); count];
        let Some(model) = self.settings.models.model(&server) else {
            return Ok(all(ModelFailure::UnknownServer(format!(
                "there is no model server `{server}` in this server's configuration"
            ))));
        };
        let budget = self.settings.limits.model_wait_ms;
        let left = Duration::from_millis(budget).saturating_sub(self.model_waited);
        let too_slow = || ModelFailure::Unavailable(format!("the call's {budget} ms for model servers are used up"));
        if left.is_zero() {
            return Ok(all(too_slow()));
        }
        self.turn.leave();
        let began = Instant::now();
        if pause_ms > 0 {
            tokio::time::sleep(left.min(Duration::from_millis(pause_ms))).await;
        }

        // Cookies lead later requests of the session to the same place.
        let known = self.model_contexts.iter().position(|(name, _)| *name == server);
        let mut cookies = known.map(|index| self.model_contexts.swap_remove(index).1).unwrap_or_default();
        // A task of its own: what a model client computes is not the guest's CPU time, and it has a thread's stack instead
        // of a fiber's. One for all of them, so that they set out in the order of the requests.
        let time = left.saturating_sub(began.elapsed());
        let asking: Vec<_> = requests
            .into_iter()
            .map(|request| tokio::time::timeout(time, ask(Arc::clone(&model), request, cookies.clone())))
            .collect();
        let mut task = AbortOnDrop(tokio::spawn(join_all(asking).in_current_span()));
        let answered = (&mut task.0).await.unwrap_or_else(|error| {
            tracing::error!(%error, server = %self.settings.server, "a request to a model server panicked");
            let failed = ModelFailure::Unavailable("the request to the model server failed".into());
            (0..count).map(|_| Ok((Err(failed.clone()), cookies.clone()))).collect()
        });
        let mut replies = Vec::with_capacity(count);
        for outcome in answered {
            replies.push(match outcome {
                Err(_) => Err(too_slow()),
                Ok((reply, context)) => {
                    cookies = context;
                    reply
                }
            });
        }
        self.model_waited += began.elapsed();
        self.turn.back(meter::spent()).await;
        self.model_contexts.push((server, cookies));
        let bodies = replies.iter().map(|reply| match reply {
            Ok(body) | Err(ModelFailure::Status((_, body))) => body.len(),
            Err(_) => 0,
        });
        self.charge_bytes(bodies.sum())?;
        Ok(replies)
    }

    async fn read_file(&mut self, path: String) -> wasmtime::Result<Result<Vec<u8>, String>> {
        self.charge(path.len())?;
        self.turn.leave();
        let files = self.settings.files.clone();
        let most = self.settings.limits.read_file_bytes;
        let read = tokio::task::spawn_blocking(move || files.read(&path, most)).await;
        self.turn.back(meter::spent()).await;
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
        let outcome = (&mut task.0).await;
        self.turn.back(meter::spent()).await;
        outcome.unwrap_or_else(|error| {
            tracing::error!(%error, server = %self.settings.server, "running a program panicked");
            Err(RunFailure::Unavailable("running the program failed".into()))
        })
    }

    fn charge_output(&mut self, run: &Run) -> wasmtime::Result<()> {
        self.charge_bytes(run.stdout.len() + run.stderr.len() + run.returned.as_ref().map_or(0, String::len))
    }
}

/// One request to a model server: its reply, and the cookies for the next one.
async fn ask(
    model: Arc<dyn Model>,
    request: String,
    mut context: RequestContext,
) -> (Result<String, ModelFailure>, RequestContext) {
    let request = match ModelRequest::parse(Bytes::from(request)) {
        Ok(request) => request,
        Err(error) => {
            let detail = serde_json::json!({ "detail": format!("the request is not acceptable JSON: {error}") });
            return (Err(ModelFailure::Status((422, detail.to_string()))), context);
        }
    };
    let reply = match model.respond(request, &mut context).await {
        Err(fault) => Err(ModelFailure::Unavailable(fault.message)),
        Ok(reply) => {
            let (status, success) = (reply.status, reply.is_success());
            match String::from_utf8(reply.body.into()) {
                Err(_) => Err(ModelFailure::Unavailable("the model server's reply is not UTF-8".into())),
                Ok(body) if success => Ok(body),
                Ok(body) => Err(ModelFailure::Status((status, body))),
            }
        }
    };
    (reply, context)
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
