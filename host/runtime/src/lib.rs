// SPDX-License-Identifier: Apache-2.0
//! Runs environments as WebAssembly components: engines, compile cache, limits, host imports.
//!
//! A [`Runtime`] loads components ([`Runtime::load`]) and hands out [`gym_resources::Environment`]s. An instance is one
//! store: a trap, a deadline or an abandoned call costs that instance and nothing else. What an environment may use is in
//! its [`Limits`]; what the machine can carry follows from [`AdmissionOptions`].
//!
//! The same component, configuration, seed and calls give the same bytes. Three things are outside of that: answers of
//! model servers, deadlines, and, in pooled instances, whatever an environment keeps from one call to the next although
//! it promised not to. Every call in a pooled instance finds the random numbers and the time of day of a first call.

mod admission;
mod bindings;
mod cache;
mod capture;
mod code;
mod compile;
mod describe;
mod engine;
mod files;
mod imports;
mod instance;
mod limits;
mod loaded;
mod log;
mod memory;
mod meter;
mod models;
mod network;
mod outcome;
mod process;
mod programs;
mod runtime;
mod seeded;
mod source;
mod state;
mod stats;
mod turns;
mod wasi;

pub use admission::AdmissionOptions;
pub use compile::{CompileError, CompileLimits, CompilerCommand, compile_in_this_process};
pub use limits::{EngineChoice, LimitError, Limits, SMALL_MEMORY_MIB};
pub use log::{LogLevel, LogLine, LogSink, LogSource, TracingLog};
pub use models::{ModelDirectory, StaticModels};
pub use programs::{RunLimits, RunnerRequest};
pub use runtime::{LoadError, LoadRequest, Runtime, RuntimeError, RuntimeOptions};
pub use stats::{RuntimeStats, ServerStats};
