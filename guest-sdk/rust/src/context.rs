// SPDX-License-Identifier: Apache-2.0
//! What the host offers to an environment.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    rc::Rc,
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    failure::{Fault, ModelFailure},
    json::{elements, pick},
    network::{Channel, HttpReply, HttpRequest, NetworkFailure},
    program::{Process, Program, Run, RunFailure},
    response::Response,
    rng::Rng,
};

#[cfg(not(target_family = "wasm"))]
mod python;
#[cfg(not(target_family = "wasm"))]
mod testing;

#[cfg(not(target_family = "wasm"))]
pub use testing::TestContext;

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For whoever works on the environment.
    Debug,
    /// Worth knowing.
    Info,
    /// Something looks wrong, and the session goes on.
    Warn,
    /// Something is wrong.
    Error,
}

/// The host's side of a [`Context`]. In a component it is the real host; tests make one with [`Context::for_test`].
pub trait Host {
    /// The configuration of this server as a JSON object.
    fn config(&self) -> String;
    /// Writes one line to the log.
    fn log(&self, level: Level, message: &str);
    /// Asks a model server; both texts are JSON objects of the Responses API.
    fn respond(&self, server: &str, request: &str) -> Result<String, ModelFailure>;
    /// Runs a program that nobody trusts. A host without runners knows none.
    fn run_code(&self, runner: &str, _program: &Program) -> Result<Run, RunFailure> {
        Err(RunFailure::UnknownRunner(runner.to_owned()))
    }
    /// Executes a program that stays. A host without runners knows none.
    fn start_code(&self, runner: &str, _program: &Program) -> Result<(Process, Run), RunFailure> {
        Err(RunFailure::UnknownRunner(runner.to_owned()))
    }
    /// Reads a file of the environment's folder; the error is a sentence.
    fn read_file(&self, path: &str) -> Result<Vec<u8>, String>;
    /// Sends one HTTP request to an endpoint that the configuration grants. A host without a network grants none.
    fn exchange(&self, endpoint: &str, request: HttpRequest) -> Result<HttpReply, NetworkFailure> {
        let _not_sent = request;
        Err(NetworkFailure::UnknownEndpoint(format!("the configuration grants no endpoint `{endpoint}`")))
    }
    /// Opens a WebSocket to an endpoint that the configuration grants.
    fn channel(&self, endpoint: &str, path: &str) -> Result<Channel, NetworkFailure> {
        let _not_asked_for = path;
        Err(NetworkFailure::UnknownEndpoint(format!("the configuration grants no endpoint `{endpoint}`")))
    }
    /// Nanoseconds since 1970-01-01 on the session's clock.
    fn now(&self) -> u64;
    /// The next random number of the session.
    fn random(&self) -> u64;
}

/// What the host offers: configuration, log, model servers, files, clock and randomness. There is nothing else.
///
/// Clock and randomness are those of the session: the same seed and the same calls give the same values, also through
/// `std::time` and a hash map's order.
pub struct Context {
    host: Box<dyn Host>,
    /// Read once for each type: the configuration does not change during the life of an instance.
    configs: HashMap<TypeId, Rc<dyn Any>>,
}

impl Context {
    /// A context of this host.
    pub fn new(host: impl Host + 'static) -> Self {
        Self { host: Box::new(host), configs: HashMap::new() }
    }

    /// The beginning of a context for tests: fixed configuration, clock and randomness, scripted model servers, files
    /// from memory or a folder.
    #[cfg(not(target_family = "wasm"))]
    pub fn for_test() -> TestContext {
        TestContext::default()
    }

    /// The configuration of this server, read as `C`. Texts of flags and numbers are flags and numbers where `C` asks for
    /// them, as values of a command line are. Keys that `C` does not have are passed over (the block also has keys for the
    /// host); [`check_config`](Self::check_config) tells of them. A fault when it does not fit.
    pub fn config<C: DeserializeOwned + 'static>(&mut self) -> Result<Rc<C>, Fault> {
        if let Some(known) = self.configs.get(&TypeId::of::<C>()) {
            return Ok(Rc::clone(known).downcast::<C>().expect("the configuration is kept under its type"));
        }
        let (config, _unknown) = self.read_config::<C>()?;
        let config = Rc::new(config);
        self.configs.insert(TypeId::of::<C>(), config.clone());
        Ok(config)
    }

    /// Whether the configuration fits `C`; warns of each key that neither `C` nor the host has. The attribute macro does
    /// this when the environment is loaded; an environment that implements [`ResourcesServer`](crate::ResourcesServer) by
    /// hand calls it in `describe`.
    pub fn check_config<C: DeserializeOwned + 'static>(&mut self) -> Result<(), Fault> {
        let (_fits, unknown) = self.read_config::<C>()?;
        for place in unknown {
            self.warn(format!("the configuration has `{place}`, which is no setting that the environment declares"));
        }
        Ok(())
    }

    fn read_config<C: DeserializeOwned>(&self) -> Result<(C, Vec<String>), Fault> {
        let unfit = |error: &dyn std::fmt::Display| Fault::new(format!("failed to read the configuration: {error}"));
        let block = serde_json::from_str(&self.host.config()).map_err(|error| unfit(&error))?;
        crate::settings::read(&block).map_err(|error| unfit(&error))
    }

    /// Asks a model server for a response. `server` is the name in a reference `{type: responses_api_models, name: …}`
    /// of this server's configuration; no other can be reached. `request` is as for `POST /v1/responses`.
    pub fn respond(&mut self, server: &str, request: &impl Serialize) -> Result<Response, ModelFailure> {
        let request = written(request)?;
        readable(self.host.respond(server, &request)?)
    }

    /// Asks a model server several things at once, which takes as long as the slowest of them. The responses are in the
    /// order of the requests. Before anything is asked a pause of real time passes, for those who ask again.
    pub fn respond_all<R: Serialize>(
        &mut self,
        server: &str,
        requests: &[R],
        pause: Duration,
    ) -> Vec<Result<Response, ModelFailure>> {
        let written: Result<Vec<String>, _> = requests.iter().map(written).collect();
        match written {
            Ok(texts) => {
                self.ask_all(server, &texts, pause).into_iter().map(|reply| reply.and_then(readable)).collect()
            }
            Err(failure) => requests.iter().map(|_| Err(failure.clone())).collect(),
        }
    }

    /// Not through the trait: every component would import the function, whether it is used or not.
    #[cfg(target_family = "wasm")]
    fn ask_all(&self, server: &str, texts: &[String], pause: Duration) -> Vec<Result<String, ModelFailure>> {
        crate::export::respond_all(server, texts, pause)
    }

    /// One after the other, and tests do not wait.
    #[cfg(not(target_family = "wasm"))]
    fn ask_all(&self, server: &str, texts: &[String], _pause: Duration) -> Vec<Result<String, ModelFailure>> {
        texts.iter().map(|request| self.host.respond(server, request)).collect()
    }

    /// Runs a program that nobody trusts, such as code that a model wrote, in an instance of its own. `runner` is a name
    /// under `run_code` in the configuration; `python` is there without it. Whatever the program does is in the [`Run`];
    /// a failure says nothing about it.
    pub fn run_code(&mut self, runner: &str, program: &Program) -> Result<Run, RunFailure> {
        self.host.run_code(runner, program)
    }

    /// Sends one HTTP request to an endpoint and waits for the answer, whatever its status. Endpoints are granted by the
    /// configuration, under `gym_host: {endpoints: {name: url}}` of the server; nothing else can be reached.
    pub fn exchange(&mut self, endpoint: &str, request: HttpRequest) -> Result<HttpReply, NetworkFailure> {
        self.host.exchange(endpoint, request)
    }

    /// Opens a WebSocket to an endpoint; `path` follows its URL, for example `/ws`.
    pub fn channel(&mut self, endpoint: &str, path: &str) -> Result<Channel, NetworkFailure> {
        self.host.channel(endpoint, path)
    }

    /// Executes a program in an instance of its own that stays, so that its functions can be called one after the other,
    /// each with a budget of its own. Gives the process and what came of executing the program's text.
    ///
    /// What the program keeps between two calls is its own. Expected results should never be among the arguments: compare
    /// what comes back here.
    pub fn start_code(&mut self, runner: &str, program: &Program) -> Result<(Process, Run), RunFailure> {
        self.host.start_code(runner, program)
    }

    /// Reads a file of the environment's folder, for example `data/tables.csv`. The path is relative, without `..`.
    pub fn read_file(&mut self, path: &str) -> Result<Vec<u8>, Fault> {
        self.host.read_file(path).map_err(|error| Fault::new(format!("failed to read the file `{path}`: {error}")))
    }

    /// Reads a file as text.
    pub fn read_text(&mut self, path: &str) -> Result<String, Fault> {
        String::from_utf8(self.read_file(path)?).map_err(|_| Fault::new(format!("the file `{path}` is not UTF-8")))
    }

    /// Time since 1970-01-01 on the session's clock.
    pub fn now(&mut self) -> Duration {
        Duration::from_nanos(self.host.now())
    }

    /// The next random number of the session.
    pub fn random(&mut self) -> u64 {
        self.host.random()
    }

    /// A random number generator that follows from the session's seed. Each call gives another one.
    pub fn rng(&mut self) -> Rng {
        Rng::from_seed(self.host.random())
    }

    /// Writes a line for whoever works on the environment.
    pub fn debug(&mut self, message: impl AsRef<str>) {
        self.host.log(Level::Debug, message.as_ref());
    }

    /// Writes a line worth knowing.
    pub fn info(&mut self, message: impl AsRef<str>) {
        self.host.log(Level::Info, message.as_ref());
    }

    /// Writes a warning.
    pub fn warn(&mut self, message: impl AsRef<str>) {
        self.host.log(Level::Warn, message.as_ref());
    }

    /// Writes an error. It has no other effect: return a [`Fault`] to end the call.
    pub fn error(&mut self, message: impl AsRef<str>) {
        self.host.log(Level::Error, message.as_ref());
    }
}

fn written(request: &impl Serialize) -> Result<String, ModelFailure> {
    serde_json::to_string(request)
        .map_err(|error| ModelFailure::Unavailable(format!("the request has no JSON: {error}")))
}

fn readable(reply: String) -> Result<Response, ModelFailure> {
    let [output] = pick(&reply, ["output"]);
    let Some(output) = output.filter(|output| output.starts_with('[')) else {
        return Err(ModelFailure::Unreadable("it has no list `output`".to_owned()));
    };
    // NeMo Gym does not take such an answer for a Response either.
    let has_type = |item: &str| pick(item, ["type"])[0].is_some_and(|kind| kind.starts_with('"'));
    if !elements(output).into_iter().all(has_type) {
        return Err(ModelFailure::Unreadable("an item of `output` has no type".to_owned()));
    }
    Ok(Response::new(reply))
}
