// SPDX-License-Identifier: Apache-2.0
//! The component's side of the contract: bindings made from `wit/`, and the way between their types and ours.

use std::{sync::Once, time::Duration};

use crate::{
    context::{Context, Host, Level},
    description::{Description, Lifetime, PassMetrics, Reverify, Score, Style, Tool},
    failure::{Failure, ModelFailure},
    json::to_json,
    network::{Channel, ChannelEnd, HttpReply, HttpRequest, NetworkFailure},
    program::{Ending, Process, Program, Run, RunFailure, RunningProgram},
    server::{Instance, ResourcesServer},
    verdict::{Observation, StepOutcome, Verdict},
};

#[allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod wit {
    //! Bindings made by wit-bindgen.
    wit_bindgen::generate!({
        path: "../../wit",
        world: "environment",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "gym_env::__private_wit",
        generate_all,
    });
}

use wit::{
    exports::gym::environment::resources_server::Guest,
    gym::environment::{code, host, network, programs, types},
};

/// A component that has one environment. `export!` implements it.
pub trait Exported {
    /// The environment.
    type Environment: ResourcesServer;

    /// Runs something with the component's one instance.
    fn with<R>(run: impl FnOnce(&mut Instance<Self::Environment>) -> R) -> R;
}

/// A new instance that talks to the host. A panic in it is logged, then traps.
pub fn component_instance<E: ResourcesServer>() -> Instance<E> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| host::log(types::Level::Error, &panic.to_string())));
    });
    Instance::new(Context::new(ComponentHost))
}

struct ComponentHost;

impl Host for ComponentHost {
    fn config(&self) -> String {
        host::config()
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Debug => types::Level::Debug,
            Level::Info => types::Level::Info,
            Level::Warn => types::Level::Warn,
            Level::Error => types::Level::Error,
        };
        host::log(level, message);
    }

    fn respond(&self, server: &str, request: &str) -> Result<String, ModelFailure> {
        host::respond(server, request).map_err(ModelFailure::from)
    }

    fn read_file(&self, path: &str) -> Result<Vec<u8>, String> {
        host::read_file(path)
    }

    fn run_code(&self, runner: &str, program: &Program) -> Result<Run, RunFailure> {
        code::run_code(runner, &given(program), bounds(program)).map(run).map_err(|error| failure(runner, error))
    }

    fn start_code(&self, runner: &str, program: &Program) -> Result<(Process, Run), RunFailure> {
        let started = code::Process::start(runner, &given(program), bounds(program));
        let (process, first) = started.map_err(|error| failure(runner, error))?;
        Ok((Process::new(process), run(first)))
    }

    fn exchange(&self, endpoint: &str, request: HttpRequest) -> Result<HttpReply, NetworkFailure> {
        let request = network::HttpRequest {
            method: request.method,
            path: request.path,
            headers: request.headers,
            body: request.body,
        };
        let reply = network::exchange(endpoint, &request)?;
        Ok(HttpReply { status: reply.status, headers: reply.headers, body: reply.body })
    }

    fn channel(&self, endpoint: &str, path: &str) -> Result<Channel, NetworkFailure> {
        Ok(Channel::new(ComponentChannel(network::Channel::open(endpoint, path)?)))
    }

    fn now(&self) -> u64 {
        host::now()
    }

    fn random(&self) -> u64 {
        host::random()
    }
}

/// Asks a model server several things at once, after a pause.
pub(crate) fn respond_all(server: &str, requests: &[String], pause: Duration) -> Vec<Result<String, ModelFailure>> {
    let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    let replies = host::respond_all(server, requests, pause);
    replies.into_iter().map(|reply| reply.map_err(ModelFailure::from)).collect()
}

impl From<types::ModelFailure> for ModelFailure {
    fn from(failure: types::ModelFailure) -> Self {
        match failure {
            types::ModelFailure::UnknownServer(name) => Self::UnknownServer(name),
            types::ModelFailure::Status((status, body)) => Self::Status { status, body },
            types::ModelFailure::Unavailable(reason) => Self::Unavailable(reason),
        }
    }
}

struct ComponentChannel(network::Channel);

impl ChannelEnd for ComponentChannel {
    fn send(&mut self, text: &str) -> Result<(), NetworkFailure> {
        Ok(self.0.send(text)?)
    }

    fn receive(&mut self) -> Result<Option<String>, NetworkFailure> {
        Ok(self.0.receive()?)
    }
}

impl From<network::NetworkFailure> for NetworkFailure {
    fn from(failure: network::NetworkFailure) -> Self {
        match failure {
            network::NetworkFailure::UnknownEndpoint(text) => Self::UnknownEndpoint(text),
            network::NetworkFailure::Unavailable(text) => Self::Unavailable(text),
            network::NetworkFailure::TooLarge(text) => Self::TooLarge(text),
            network::NetworkFailure::UsedUp(text) => Self::UsedUp(text),
        }
    }
}

impl RunningProgram for code::Process {
    fn call(
        &mut self,
        name: &str,
        arguments: &[String],
        cpu_ms: Option<u32>,
        output_bytes: Option<u32>,
    ) -> Result<Run, RunFailure> {
        let function = programs::FunctionCall { name: name.to_owned(), arguments: arguments.to_vec() };
        let bounds = code::Bounds { cpu_ms, memory_mib: None, output_bytes };
        // Only the start of a program names its runner.
        code::Process::call(self, &function, bounds).map(run).map_err(|error| failure("", error))
    }
}

fn bounds(program: &Program) -> code::Bounds {
    code::Bounds { cpu_ms: program.cpu_ms, memory_mib: program.memory_mib, output_bytes: program.output_bytes }
}

fn given(program: &Program) -> programs::Program {
    let file = |(path, content): &(String, Vec<u8>)| programs::File { path: path.clone(), content: content.clone() };
    let call = |(name, arguments): &(String, _)| programs::FunctionCall {
        name: name.clone(),
        arguments: Vec::clone(arguments),
    };
    programs::Program {
        source: program.source.clone(),
        arguments: program.arguments.clone(),
        stdin: program.stdin.clone(),
        files: program.files.iter().map(file).collect(),
        call: program.call.as_ref().map(call),
    }
}

fn run(run: code::Run) -> Run {
    Run {
        ending: match run.ending {
            code::Ending::Exited(status) => Ending::Exited(status),
            code::Ending::OutOfTime => Ending::OutOfTime,
            code::Ending::OutOfMemory => Ending::OutOfMemory,
            code::Ending::Crashed(reason) => Ending::Crashed(reason),
        },
        stdout: run.stdout,
        stderr: run.stderr,
        output_cut: run.output_cut,
        returned: run.returned,
        cpu: Duration::from_micros(run.cpu_us),
    }
}

fn failure(runner: &str, failure: code::RunFailure) -> RunFailure {
    match failure {
        code::RunFailure::UnknownRunner(_) => RunFailure::UnknownRunner(runner.to_owned()),
        code::RunFailure::Unavailable(reason) => RunFailure::Unavailable(reason),
    }
}

impl<X: Exported> Guest for X {
    fn describe() -> Result<types::Description, types::Failure> {
        Ok(X::with(Instance::describe)?.into())
    }

    fn seed_session(request: String) -> Result<String, types::Failure> {
        Ok(X::with(|instance| instance.seed_session(&request))?)
    }

    fn call_tool(name: String, arguments: String) -> Result<String, types::Failure> {
        Ok(X::with(|instance| instance.call_tool(&name, &arguments))?)
    }

    fn verify(request: String) -> Result<types::Verdict, types::Failure> {
        X::with(|instance| instance.verify(request))?.try_into()
    }

    fn reset(request: String) -> Result<types::Observation, types::Failure> {
        X::with(|instance| instance.reset(&request))?.try_into()
    }

    fn step(request: String) -> Result<types::StepOutcome, types::Failure> {
        X::with(|instance| instance.step(request))?.try_into()
    }

    fn close() -> Result<(), types::Failure> {
        Ok(X::with(Instance::close)?)
    }

    fn aggregate_metrics(request: String) -> Result<String, types::Failure> {
        Ok(X::with(|instance| instance.aggregate_metrics(&request))?)
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Rejected(reject) => Self::Rejected(reject.text().to_owned()),
            Failure::Refused(refuse) => {
                Self::Refused(types::Refusal { status: refuse.status(), detail: refuse.detail().to_string() })
            }
            Failure::Fault(fault) if fault.is_judge_failure() => Self::JudgeFailed(fault.message().to_owned()),
            Failure::Fault(fault) => Self::Fault(fault.message().to_owned()),
        }
    }
}

impl From<Description> for types::Description {
    fn from(description: Description) -> Self {
        Self {
            name: description.name,
            version: description.version,
            style: match description.style {
                Style::Tools => types::Style::Tools,
                Style::Gymnasium => types::Style::Gymnasium,
            },
            tools_run_in: description.tools_run_in.into(),
            verify_runs_in: description.verify_runs_in.into(),
            reverify: match description.reverify {
                Reverify::Stateless => types::ReverifyMode::Stateless,
                Reverify::Unsupported => types::ReverifyMode::Unsupported,
                Reverify::Unknown => types::ReverifyMode::Unknown,
            },
            seed_fields: description.seed_fields.map(|schema| schema.to_string()),
            verify_fields: description.verify_fields.to_string(),
            echo: description.echo,
            tools: description.tools.into_iter().map(Into::into).collect(),
            any_tool: description.any_tool,
            token_ids: description.token_ids,
            metrics: description.metrics.map(Into::into),
            own_metrics: description.own_metrics,
        }
    }
}

impl From<Lifetime> for types::Lifetime {
    fn from(lifetime: Lifetime) -> Self {
        match lifetime {
            Lifetime::Session => Self::Session,
            Lifetime::Call => Self::Call,
            Lifetime::Pooled => Self::Pooled,
        }
    }
}

impl From<Tool> for types::Tool {
    fn from(tool: Tool) -> Self {
        Self { name: tool.name, description: tool.description, parameters: tool.parameters.to_string() }
    }
}

impl From<PassMetrics> for types::PassMetrics {
    fn from(metrics: PassMetrics) -> Self {
        let score = |Score { name, field, only_if_present }| types::Score { name, field, only_if_present };
        Self {
            scores: metrics.scores.into_iter().map(score).collect(),
            answer_field: metrics.answer_field,
            subset_field: metrics.subset_field,
        }
    }
}

fn json(map: &serde_json::Map<String, serde_json::Value>) -> Result<String, types::Failure> {
    to_json(map).map_err(|fault| Failure::from(fault).into())
}

impl TryFrom<Verdict> for types::Verdict {
    type Error = types::Failure;

    fn try_from(verdict: Verdict) -> Result<Self, types::Failure> {
        Ok(Self {
            reward: verdict.reward(),
            components: verdict.components().to_vec(),
            fields: json(verdict.fields())?,
        })
    }
}

impl TryFrom<Observation> for types::Observation {
    type Error = types::Failure;

    fn try_from(observation: Observation) -> Result<Self, types::Failure> {
        let (text, info) = observation.into_parts();
        Ok(Self { text, info: json(&info)? })
    }
}

impl TryFrom<StepOutcome> for types::StepOutcome {
    type Error = types::Failure;

    fn try_from(outcome: StepOutcome) -> Result<Self, types::Failure> {
        Ok(Self {
            observation: outcome.observation.try_into()?,
            reward: outcome.reward,
            terminated: outcome.terminated,
            truncated: outcome.truncated,
        })
    }
}
