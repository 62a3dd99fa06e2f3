// SPDX-License-Identifier: Apache-2.0
//! The command line. The doc comments are the help texts.

mod data;
mod look;
mod rollouts;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use data::{DataCommand, GenerateArgs, ListArgs, PrepareArgs, PullArgs, PushArgs};
pub(crate) use look::{ColourChoice, SHOW_HELP, ShowArgs, ViewArgs};
pub(crate) use rollouts::{AggregateArgs, CollectArgs, CollectOptions, EvalArgs, MergeArgs, ProfileArgs, ReverifyArgs};

/// Run reinforcement-learning environments for language models as sandboxed WebAssembly components.
///
/// An environment hands a model a task, offers it tools and grades its answer. gym-host serves
/// environments over HTTP with the protocol of NeMo Gym and the OpenAI Responses API, lets agents
/// work on their tasks, and records rollouts.
///
/// A first tour:
///
///   gym-host init my_env                       scaffold an environment
///   gym-host build my_env                      compile it to WebAssembly
///   gym-host test my_env                       play its test cases
///   gym-host serve --environment my_env        serve it, with an agent and a model
///   gym-host eval --environment my_env -o rollouts.jsonl
#[derive(Parser)]
#[command(name = "gym-host", version, verbatim_doc_comment, arg_required_else_help = true)]
pub(crate) struct Arguments {
    /// Log more: -v debug messages, -vv everything. GYM_HOST_LOG takes a filter such as `gym_runtime=debug`.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = GLOBAL)]
    pub verbose: u8,
    /// Log errors only, and show no progress.
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub quiet: bool,
    /// A folder to look for configuration files, environments and data in, before the current folder. Repeatable.
    #[arg(long, value_name = "DIR", global = true, help_heading = GLOBAL)]
    pub search_dir: Vec<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// Heading of options that every command takes.
const GLOBAL: &str = "Options of all commands";
/// Heading of options that say which servers there are.
const SERVERS: &str = "Servers";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve the configured environments, agents and models over HTTP until Ctrl-C.
    Serve(ServeArgs),
    /// Compile environments to WebAssembly components.
    Build(BuildArgs),
    /// Scaffold a new environment that builds, tests and serves at once.
    Init(InitArgs),
    /// Play the test cases of environments and compare rewards and tool outputs.
    Test(TestArgs),
    /// Let agents work on the tasks of a dataset and write the rollouts.
    Collect(CollectArgs),
    /// Collect rollouts of the configured datasets and print a table of rewards: all servers run in this process.
    Eval(EvalArgs),
    /// Compute the metrics of rollouts again, and put shards together.
    Aggregate(AggregateArgs),
    /// Show how rewards spread over the repeats of each task, and choose tasks for training.
    Profile(ProfileArgs),
    /// Grade stored rollouts again, without a model, and show every reward that changed.
    Reverify(ReverifyArgs),
    /// Put the rollouts of several files (shards) into one, by task and repeat, with the files beside them.
    Merge(MergeArgs),
    /// Work with datasets.
    #[command(subcommand)]
    Data(DataCommand),
    /// Check a configuration without serving it.
    Validate(ValidateArgs),
    /// Look at rollouts in the browser: a page that this machine serves, offline.
    ///
    /// Lists, filters and orders any number of rollouts, shows one as a conversation beside its task and verdict, and
    /// compares two rollouts or two files. Failures that lie beside a file (`<stem>_failures.jsonl`) are shown too, and
    /// rollouts that are added while the page is open appear.
    View(ViewArgs),
    /// Look at rollouts in the terminal: a list, or whole conversations.
    #[command(after_help = SHOW_HELP)]
    Show(ShowArgs),
    /// Show configurations.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show the health and load of running servers.
    Status(StatusArgs),
    /// Write the files with which an unmodified NeMo Gym launcher uses running servers.
    ///
    /// NeMo Gym, and trainers that call its launcher, start one process for each server. The folder written here has a
    /// configuration in which agents are where gym-host serves them, and in which the other servers are processes that
    /// only sleep while gym-host answers at their address. It fits NeMo Gym of August 2026 and release 0.7. The command
    /// that starts NeMo Gym with it is printed.
    ///
    /// With --start nothing needs to run: NeMo Gym's launcher starts a gym-host for each server of the implementations
    /// that are named, in place of its own, with NeMo Gym's configuration files as they are.
    Attach(AttachArgs),
    /// Compile one component; gym-host starts itself with this command to compile under limits.
    #[command(name = "compile-component", hide = true)]
    CompileComponent {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// Which servers to configure.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConfigArgs {
    /// A configuration file in NeMo Gym's YAML. Repeatable; later files override earlier ones.
    #[arg(short, long = "config", value_name = "FILE", help_heading = SERVERS)]
    pub configs: Vec<String>,
    /// An environment by name: its own `configs/NAME.yaml`, or `configs/FLAVOR.yaml`. Repeatable.
    #[arg(
        short,
        long = "environment",
        visible_alias = "resources-server",
        value_name = "NAME[/FLAVOR]",
        help_heading = SERVERS
    )]
    pub environments: Vec<String>,
    /// A model server implementation by name, for example `openai_model` or `vllm_model/vllm_model_for_training`.
    #[arg(long, value_name = "NAME[/FLAVOR]", help_heading = SERVERS)]
    pub model_type: Option<String>,
    /// The model's name at its endpoint; the same as `policy_model_name=…`.
    #[arg(short, long, value_name = "NAME", help_heading = SERVERS)]
    pub model: Option<String>,
    /// The endpoint's base URL, ending in `/v1`; the same as `policy_base_url=…`.
    #[arg(long, value_name = "URL", help_heading = SERVERS)]
    pub model_url: Option<String>,
    /// The endpoint's key; the same as `policy_api_key=…`. Better kept in `env.yaml`.
    #[arg(long, value_name = "KEY", hide_env_values = true, env = "GYM_HOST_MODEL_API_KEY", help_heading = SERVERS)]
    pub model_api_key: Option<String>,
    /// Settings laid over the files: `key=value`, with dots into blocks, for example
    /// `mcqa.resources_servers.mcqa.grading_mode=lenient_boxed`. `+key=value`, `++key=value` and `~key` work as in Hydra.
    #[arg(value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

#[derive(Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Address of the gateway, which serves every server by path: `http://HOST:PORT/<server name>/…`.
    #[arg(long, value_name = "HOST:PORT")]
    pub gateway: Option<String>,
    /// Seconds that requests in flight may take to finish after the first Ctrl-C or SIGTERM.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub grace: u64,
}

#[derive(Args)]
pub(crate) struct BuildArgs {
    /// Environments: names, or paths of their folders.
    #[arg(value_name = "NAME|DIR", required_unless_present = "all")]
    pub environments: Vec<String>,
    /// All environments under `environments/`.
    #[arg(long, conflicts_with = "environments")]
    pub all: bool,
}

#[derive(Args)]
pub(crate) struct InitArgs {
    /// Name of the environment: lower-case letters, digits and `_`.
    pub name: String,
    /// Write it in Python instead of Rust.
    #[arg(long)]
    pub python: bool,
    /// The folder to create it in; `environments/` if there is one, else the current folder.
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Environments: names, or paths of their folders.
    #[arg(value_name = "NAME|DIR", required_unless_present = "all")]
    pub environments: Vec<String>,
    /// All environments under `environments/`.
    #[arg(long, conflicts_with = "environments")]
    pub all: bool,
    /// Only cases whose name contains this text.
    #[arg(long, value_name = "TEXT")]
    pub case: Option<String>,
    /// One JSON object for each case on standard output.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub(crate) struct ValidateArgs {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Load no environments: their own options stay unchecked, and nothing is compiled.
    #[arg(long)]
    pub quick: bool,
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the composed configuration as the servers see it, secrets masked.
    Dump {
        #[command(flatten)]
        config: ConfigArgs,
        /// Add the file and line of every value as a comment.
        #[arg(long)]
        origin: bool,
        /// Show secrets.
        #[arg(long)]
        secrets: bool,
    },
}

#[derive(Args)]
pub(crate) struct AttachArgs {
    /// The folder to write: a YAML file and the processes that stand in for servers.
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// The head server of the running servers.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:11000")]
    pub head: String,
    /// The address under which the launcher's machines reach this one, in place of a loopback address. The servers must
    /// listen there: `default_host` in the configuration.
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// A server to leave out, for example a model server that the launcher starts itself. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub without: Vec<String>,
    /// An implementation that the launcher shall start as a gym-host: the name of an environment, or for example
    /// `responses_api_agents/simple_agent` or `responses_api_models/vllm_model`. Repeatable.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["head", "host", "without"])]
    pub start: Vec<String>,
}

#[derive(Args)]
pub(crate) struct StatusArgs {
    /// The head server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:11000")]
    pub head: String,
    /// The answer of the head server as it is.
    #[arg(long)]
    pub json: bool,
}
