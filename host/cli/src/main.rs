// SPDX-License-Identifier: Apache-2.0
//! The `gym-host` binary: the command line, and the wiring of everything else.
#![expect(clippy::print_stdout, reason = "commands print their results")]

/// Prints a line to standard error, as the standard library's macro does, but where nobody reads it any more the command
/// goes on: `gym-host collect … 2>&1 | head` must not end a run.
macro_rules! eprintln {
    () => {
        crate::closed_output::tell(format_args!(""))
    };
    ($($text:tt)*) => {
        crate::closed_output::tell(format_args!($($text)*))
    };
}

mod args;
mod assemble;
mod closed_output;
mod commands;
mod configuration;
mod failure;
mod gym_options;
mod head_dispatch;
mod local;
mod options;
mod patterns;
mod places;
mod progress;
mod prompt_file;
mod report;
mod sdk;
mod signals;

use std::{io::IsTerminal, process::ExitCode};

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::{
    args::{Arguments, Command},
    failure::{CommandResult, Failure},
    places::Places,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    closed_output::end_quietly();
    let arguments = Arguments::parse();
    if let Command::CompileComponent { arguments } = arguments.command {
        return gym_runtime::compile_in_this_process(arguments.into_iter().map(Into::into));
    }
    if let Err(failure) = log(&arguments) {
        failure.print();
        return failure.exit_code();
    }
    match run(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            failure.print();
            failure.exit_code()
        }
    }
}

/// Log lines go to standard error.
fn log(arguments: &Arguments) -> Result<(), Failure> {
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => "error",
        // Cases expect faults; those that they do not expect are in the result.
        (false, 0) if matches!(arguments.command, Command::Test(_)) => {
            "error,gym_host=warn,gym_resources=off,gym_runtime=off"
        }
        (false, 0) => "warn,gym_host=info",
        (false, 1) => concat!(
            "info,environment=debug,gym_host=debug,gym_runtime=debug,gym_server=debug,gym_resources=debug,",
            "gym_models=debug"
        ),
        (false, _) => "trace",
    };
    let filter = match std::env::var("GYM_HOST_LOG") {
        Ok(text) => EnvFilter::try_new(&text)
            .map_err(|error| Failure::user(format!("GYM_HOST_LOG is `{text}`, which is no filter: {error}")))?,
        Err(_) => EnvFilter::new(level),
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).init();
    Ok(())
}

fn run(arguments: &Arguments) -> CommandResult {
    let places = Places::find(&arguments.search_dir)?;
    match &arguments.command {
        Command::Build(arguments) => commands::build::run(arguments, &places),
        Command::Init(arguments) => commands::init::run(arguments, &places),
        Command::Config(command) => commands::config::run(command, &places),
        Command::Validate(arguments) => on_runtime(commands::config::validate(arguments, &places)),
        Command::Data(command) => commands::data::run(command, &places, arguments.quiet),
        Command::Serve(options) => on_runtime(commands::serve::run(options, &places)),
        Command::Collect(options) => on_runtime(commands::collect::run(options, &places, arguments.quiet)),
        Command::Eval(options) => on_runtime(commands::collect::eval(options, &places, arguments.quiet)),
        Command::Aggregate(options) => on_runtime(commands::aggregate::run(options, &places)),
        Command::Profile(options) => commands::profile::run(options),
        Command::Reverify(options) => on_runtime(commands::reverify::run(options, &places, arguments.quiet)),
        Command::Merge(options) => commands::aggregate::merge(options),
        Command::Test(arguments) => on_runtime(commands::test::run(arguments, &places)),
        Command::View(arguments) => on_runtime(commands::view::run(arguments)),
        Command::Show(arguments) => commands::show::run(arguments),
        Command::Attach(arguments) => on_runtime(commands::attach::run(arguments, &places)),
        Command::Status(arguments) => on_runtime(commands::status::run(arguments)),
        Command::CompileComponent { .. } => unreachable!("handled before anything else"),
    }
}

/// Runs a command that waits for things. One thread more than cores, so that environments that compute for long on
/// every core leave a thread to everyone else.
pub(crate) fn on_runtime(work: impl Future<Output = CommandResult>) -> CommandResult {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores + 1)
        .enable_all()
        .build()
        .map_err(|error| Failure::infrastructure(format!("failed to start threads: {error}")))?;
    let result = runtime.block_on(work);
    // Whatever still runs in the background must not keep the process from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}
