// SPDX-License-Identifier: Apache-2.0
//! The functions of `wit/host.wit`.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gym_agents::{Model, RequestContext};
use gym_protocol::ModelRequest;
use tokio::{task::JoinHandle, time::error::Elapsed};
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
        // Each is a call of its own, as if they were made one after the other.
        for request in &requests {
            self.charge(request.len())?;
        }
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
        let end = tokio::time::Instant::now() + left.saturating_sub(began.elapsed());
        let context = cookies.clone();
        let asking = requests
            .into_iter()
            .map(move |request| tokio::time::timeout_at(end, ask(Arc::clone(&model), request, context.clone())));
        let most = self.bytes_left();
        let mut task = AbortOnDrop(tokio::spawn(answers(asking, most).in_current_span()));
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
        // Replies that are too large for this are not complete, and end the call here.
        self.charge_bytes(replies.iter().map(reply_bytes).sum())?;
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

/// Requests to model servers of one guest that are under way at the same time; further ones follow when one is answered.
const REQUESTS_AT_ONCE: usize = 256;

/// A reply, or that there was no more time for it.
type Answer = Result<(Result<String, ModelFailure>, RequestContext), Elapsed>;

/// The answers in the order of the requests, up to the first one with which they have more than `most` bytes.
async fn answers(asking: impl Iterator<Item = impl Future<Output = Answer>>, most: u64) -> Vec<Answer> {
    let mut answers = stream::iter(asking).buffered(REQUESTS_AT_ONCE);
    let (mut answered, mut bytes) = (Vec::new(), 0);
    while bytes <= most
        && let Some(answer) = answers.next().await
    {
        bytes += answer.as_ref().map_or(0, |(reply, _)| reply_bytes(reply)) as u64;
        answered.push(answer);
    }
    answered
}

/// Bytes of a reply's body.
fn reply_bytes(reply: &Result<String, ModelFailure>) -> usize {
    match reply {
        Ok(body) | Err(ModelFailure::Status((_, body))) => body.len(),
        Err(_) => 0,
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
