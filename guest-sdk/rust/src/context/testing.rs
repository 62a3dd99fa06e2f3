// SPDX-License-Identifier: Apache-2.0
//! A host for tests.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use serde_json::{Value, json};

use super::{Context, Host, Level};
use crate::{
    failure::ModelFailure,
    network::{Channel, ChannelEnd, HttpReply, HttpRequest, NetworkFailure},
    program::{Process, Program, Run, RunFailure},
    response::Response,
};

/// Makes the other end of a channel.
type OpenEnd = dyn Fn(&str) -> Result<Box<dyn ChannelEnd>, NetworkFailure>;

/// Answers requests.
type AnswerHttp = dyn Fn(HttpRequest) -> Result<HttpReply, NetworkFailure>;

/// Describes a context for tests; [`build`](Self::build) makes it.
///
/// A clone shares what the context has noted, so that a test can look at it afterwards:
///
/// ```
/// use gym_env::{Context, Response};
/// use serde_json::json;
///
/// let test = Context::for_test()
///     .config(json!({"judge": {"type": "responses_api_models", "name": "judge"}}))
///     .model("judge", [Ok(Response::builder().message("[[A=B]]").build())]);
/// let mut cx = test.build();
/// let reply = cx.respond("judge", &json!({"input": "Are they equal?"})).unwrap();
/// cx.info("asked the judge");
/// assert_eq!(reply.output_text().unwrap(), "[[A=B]]");
/// assert_eq!(test.requests("judge"), [json!({"input": "Are they equal?"})]);
/// assert_eq!(test.lines(), ["asked the judge"]);
/// ```
#[derive(Clone)]
pub struct TestContext {
    config: Value,
    seed: u64,
    now: u64,
    models: BTreeMap<String, VecDeque<Result<String, ModelFailure>>>,
    files: BTreeMap<String, Vec<u8>>,
    folder: Option<PathBuf>,
    python: Option<PathBuf>,
    channels: BTreeMap<String, Rc<OpenEnd>>,
    http: BTreeMap<String, Rc<AnswerHttp>>,
    notes: Rc<RefCell<Notes>>,
}

#[derive(Default)]
struct Notes {
    lines: Vec<(Level, String)>,
    requests: BTreeMap<String, Vec<Value>>,
}

impl Default for TestContext {
    fn default() -> Self {
        Self {
            config: json!({}),
            seed: 0,
            // 2026-01-01, so that dates in tests look like dates.
            now: 1_767_225_600_000_000_000,
            models: BTreeMap::new(),
            files: BTreeMap::new(),
            folder: None,
            python: None,
            channels: BTreeMap::new(),
            http: BTreeMap::new(),
            notes: Rc::default(),
        }
    }
}

impl TestContext {
    /// The configuration of the server; `{}` if nothing is said.
    pub fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// What the random numbers follow from. They are those that the host gives to a session with this seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Where the clock starts, in nanoseconds since 1970-01-01. Each reading advances it by a microsecond.
    pub fn now(mut self, nanoseconds: u64) -> Self {
        self.now = nanoseconds;
        self
    }

    /// Lets a model server give these answers, one for each request; after the last one it is unavailable.
    pub fn model(mut self, server: &str, answers: impl IntoIterator<Item = Result<Response, ModelFailure>>) -> Self {
        let answers = answers.into_iter().map(|answer| answer.map(|response| response.json().to_owned()));
        self.models.entry(server.to_owned()).or_default().extend(answers);
        self
    }

    /// Lets the environment read a file.
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_owned(), content.into());
        self
    }

    /// Lets the environment read the files of a folder, normally `env!("CARGO_MANIFEST_DIR")`.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Lets the environment run programs as `python`, with the runner's source in this folder (that of the environment
    /// `python_exec`) and the `python3` of the path.
    pub fn python(mut self, runner: impl Into<PathBuf>) -> Self {
        self.python = Some(runner.into());
        self
    }

    /// Lets the environment open channels to an endpoint; `open` makes the other end of each, for the path that is asked
    /// for.
    pub fn endpoint(
        mut self,
        name: &str,
        open: impl Fn(&str) -> Result<Box<dyn ChannelEnd>, NetworkFailure> + 'static,
    ) -> Self {
        self.channels.insert(name.to_owned(), Rc::new(open));
        self
    }

    /// Lets the environment send requests to an endpoint; `answer` answers each.
    pub fn http(
        mut self,
        name: &str,
        answer: impl Fn(HttpRequest) -> Result<HttpReply, NetworkFailure> + 'static,
    ) -> Self {
        self.http.insert(name.to_owned(), Rc::new(answer));
        self
    }

    /// The context. Every context that is built starts anew: same clock, same random numbers, same answers.
    pub fn build(&self) -> Context {
        Context::new(TestHost {
            random: Cell::new(stream(self.seed)),
            now: Cell::new(self.now),
            models: RefCell::new(self.models.clone()),
            test: self.clone(),
        })
    }

    /// The lines that were logged.
    pub fn lines(&self) -> Vec<String> {
        self.notes.borrow().lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// The lines that were logged at this level or above.
    pub fn lines_from(&self, level: Level) -> Vec<String> {
        let notes = self.notes.borrow();
        notes.lines.iter().filter(|(of, _)| *of >= level).map(|(_, line)| line.clone()).collect()
    }

    /// The requests that a model server got.
    pub fn requests(&self, server: &str) -> Vec<Value> {
        self.notes.borrow().requests.get(server).cloned().unwrap_or_default()
    }
}

struct TestHost {
    test: TestContext,
    /// State of the stream of random numbers.
    random: Cell<u64>,
    now: Cell<u64>,
    models: RefCell<BTreeMap<String, VecDeque<Result<String, ModelFailure>>>>,
}

impl Host for TestHost {
    fn config(&self) -> String {
        self.test.config.to_string()
    }

    fn log(&self, level: Level, message: &str) {
        self.test.notes.borrow_mut().lines.push((level, message.to_owned()));
    }

    fn respond(&self, server: &str, request: &str) -> Result<String, ModelFailure> {
        let mut models = self.models.borrow_mut();
        let answers = models.get_mut(server).ok_or_else(|| ModelFailure::UnknownServer(server.to_owned()))?;
        let request = serde_json::from_str(request).expect("a request is written from a value");
        self.test.notes.borrow_mut().requests.entry(server.to_owned()).or_default().push(request);
        answers
            .pop_front()
            .unwrap_or_else(|| Err(ModelFailure::Unavailable("the script has no more answers".to_owned())))
    }

    fn run_code(&self, runner: &str, program: &Program) -> Result<Run, RunFailure> {
        match &self.test.python {
            Some(folder) if runner == "python" => Ok(super::python::start(folder, program)?.1),
            _ => Err(RunFailure::UnknownRunner(runner.to_owned())),
        }
    }

    fn start_code(&self, runner: &str, program: &Program) -> Result<(Process, Run), RunFailure> {
        match &self.test.python {
            Some(folder) if runner == "python" => {
                let (process, run) = super::python::start(folder, program)?;
                Ok((Process::new(process), run))
            }
            _ => Err(RunFailure::UnknownRunner(runner.to_owned())),
        }
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        if Path::new(path).components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err("the path leaves the folder".to_owned());
        }
        if let Some(content) = self.test.files.get(path) {
            return Ok(content.clone());
        }
        let folder = self.test.folder.as_ref().ok_or("there is no such file")?;
        std::fs::read(folder.join(path)).map_err(|error| error.to_string())
    }

    fn exchange(&self, endpoint: &str, request: HttpRequest) -> Result<HttpReply, NetworkFailure> {
        let answer = self.test.http.get(endpoint);
        let unknown = || NetworkFailure::UnknownEndpoint(format!("the configuration grants no endpoint `{endpoint}`"));
        answer.ok_or_else(unknown)?(request)
    }

    fn channel(&self, endpoint: &str, path: &str) -> Result<Channel, NetworkFailure> {
        let open = self.test.channels.get(endpoint);
        let unknown = || NetworkFailure::UnknownEndpoint(format!("the configuration grants no endpoint `{endpoint}`"));
        Ok(Channel::over(open.ok_or_else(unknown)?(path)?))
    }

    fn now(&self) -> u64 {
        self.now.replace(self.now.get() + 1_000)
    }

    fn random(&self) -> u64 {
        let (next, number) = split_mix(self.random.get());
        self.random.set(next);
        number
    }
}

/// The beginning of the host's stream of random numbers: that of a session's imports among the streams of its seed.
fn stream(seed: u64) -> u64 {
    const OF_IMPORTS: u64 = 0xa076_1d64_78bd_642f;
    let (state, first) = split_mix(seed ^ OF_IMPORTS);
    first ^ split_mix(state).1.rotate_left(32)
}

/// One step of SplitMix64: the next state, and a number.
fn split_mix(state: u64) -> (u64, u64) {
    let next = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = next;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (next, word ^ (word >> 31))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize, Debug)]
    struct Config {
        limit: u32,
    }

    #[test]
    fn the_configuration_is_read_as_a_type() {
        let mut cx = Context::for_test().config(json!({"limit": 3, "entrypoint": "app.py"})).build();
        assert_eq!(cx.config::<Config>().unwrap().limit, 3);
        assert_eq!(cx.config::<Config>().unwrap().limit, 3);
        let fault = Context::for_test().build().config::<Config>().unwrap_err();
        assert_eq!(fault.message(), "failed to read the configuration: missing field `limit`");
    }

    #[test]
    fn keys_that_nobody_knows_are_warned_of() {
        let test = Context::for_test().config(json!({"limit": "3", "limt": 4, "domain": "math"}));
        test.build().check_config::<Config>().unwrap();
        let line = "the configuration has `limt`, which is no setting that the environment declares";
        assert_eq!(test.lines_from(Level::Warn), [line]);
    }

    #[test]
    fn clock_and_randomness_repeat_with_the_seed() {
        let test = Context::for_test().seed(5);
        let (mut one, mut two) = (test.build(), test.build());
        assert_eq!((one.now(), one.random(), one.rng()), (two.now(), two.random(), two.rng()));
        assert!(one.now() > test.build().now());
        assert_ne!(one.random(), Context::for_test().seed(6).build().random());
    }

    #[test]
    fn random_numbers_are_those_of_the_host() {
        assert_eq!(Context::for_test().seed(5).build().random(), 9_992_974_101_491_130_657);
    }

    #[test]
    fn files_come_from_memory_or_the_folder_and_nowhere_else() {
        let mut cx = Context::for_test().file("a.txt", "text").folder(env!("CARGO_MANIFEST_DIR")).build();
        assert_eq!(cx.read_text("a.txt").unwrap(), "text");
        assert!(cx.read_text("Cargo.toml").unwrap().contains("gym-env"));
        for path in ["../Cargo.toml", "/etc/passwd", "b.txt", "./a.txt"] {
            assert!(cx.read_file(path).is_err(), "{path}");
        }
    }

    #[test]
    fn model_servers_answer_from_their_script() {
        let answer = || Ok(Response::builder().message("x").build());
        let unreadable =
            ["{}", r#"{"output": [{"role": "assistant", "content": "x"}]}"#, r#"{"output": [{"type": 1}]}"#];
        let answers = [answer()].into_iter().chain(unreadable.map(|text| Ok(Response::new(text))));
        let mut cx = Context::for_test().model("judge", answers).build();
        assert!(cx.respond("judge", &json!({})).is_ok());
        for _ in unreadable {
            assert!(matches!(cx.respond("judge", &json!({})), Err(ModelFailure::Unreadable(_))));
        }
        assert!(matches!(cx.respond("judge", &json!({})), Err(ModelFailure::Unavailable(_))));
        assert!(matches!(cx.respond("policy", &json!({})), Err(ModelFailure::UnknownServer(_))));
    }
}
