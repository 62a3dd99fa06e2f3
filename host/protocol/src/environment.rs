// SPDX-License-Identifier: Apache-2.0
//! What the host knows of an environment: the host-side form of `wit/types.wit`.

use crate::fault::Fault;
use crate::scan;

/// Where the calls of one kind run. See `lifetime` in `wit/types.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// In the session's own instance.
    Session,
    /// In a fresh instance.
    Call,
    /// In an instance that may have served others.
    Pooled,
}

/// How attempts are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Style {
    /// Seed, tools, verify.
    Tools,
    /// Reset and steps.
    Gymnasium,
}

/// Whether stored responses may be graded again without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReverifyMode {
    /// They may.
    Stateless,
    /// They may not.
    Unsupported,
    /// The environment does not say.
    Unknown,
}

impl ReverifyMode {
    /// The word on the wire (`GET /reverify_mode`).
    pub fn wire_name(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Unsupported => "unsupported",
            Self::Unknown => "unknown",
        }
    }
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Name and last part of the URL.
    pub name: String,
    /// What the model reads.
    pub description: String,
    /// JSON Schema of the arguments, as JSON text.
    pub parameters: String,
}

/// A number that the pass metrics are computed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// Name in the metrics.
    pub name: String,
    /// Field of the verify reply.
    pub field: String,
    /// Only rows where this field is present and not null count.
    pub only_if_present: Option<String>,
}

/// Which pass metrics the host computes for the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassMetrics {
    /// The scores.
    pub scores: Vec<Score>,
    /// Field with the extracted answer.
    pub answer_field: Option<String>,
    /// Field that splits the metrics into subsets.
    pub subset_field: Option<String>,
}

/// What an environment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Name of the environment.
    pub name: String,
    /// Its version.
    pub version: String,
    /// How attempts are driven.
    pub style: Style,
    /// Where seeding and tools run.
    pub tools_run_in: Lifetime,
    /// Where verify runs.
    pub verify_runs_in: Lifetime,
    /// Whether stored responses may be graded again.
    pub reverify: ReverifyMode,
    /// JSON Schema of what seeding reads.
    pub seed_fields: Option<String>,
    /// JSON Schema of what verify reads besides the two fixed fields.
    pub verify_fields: String,
    /// Fields repeated in the reply of verify, in order.
    pub echo: Vec<String>,
    /// The tools.
    pub tools: Vec<Tool>,
    /// Whether unknown tool names reach the environment.
    pub any_tool: bool,
    /// Whether requests keep the token data.
    pub token_ids: bool,
    /// Pass metrics that the host computes.
    pub metrics: Option<PassMetrics>,
    /// Whether `aggregate-metrics` adds metrics.
    pub own_metrics: bool,
}

/// Tools that agents call, not models, in environments whose sessions are known by `env_id`.
pub const ENV_ID_TOOLS: [&str; 2] = ["step", "close"];

impl Description {
    /// Whether sessions are known by an id in requests (`env_id`) in place of a cookie: there is a tool `step` that
    /// takes one. This is Aviary's dialect.
    pub fn is_known_by_env_id(&self) -> bool {
        let has_env_id = |tool: &Tool| {
            let properties = scan::member(tool.parameters.as_bytes(), "properties");
            tool.name == ENV_ID_TOOLS[0] && properties.is_some_and(|all| scan::member(all, "env_id").is_some())
        };
        self.style == Style::Tools && self.tools.iter().any(has_env_id)
    }

    /// Whether a tool of that name is called by agents only. Its name is that of a route.
    pub fn is_agents_tool(&self, name: &str) -> bool {
        ENV_ID_TOOLS.contains(&name) && self.is_known_by_env_id()
    }
}

/// The grade of one finished response.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The reward, finite.
    pub reward: f64,
    /// Named parts of the reward.
    pub components: Vec<(String, f64)>,
    /// JSON object text with the other fields of the reply.
    pub fields: String,
}

/// What the model sees of a gymnasium-style environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The next user message.
    pub text: Option<String>,
    /// JSON object text with anything else.
    pub info: String,
}

/// The outcome of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOutcome {
    /// What the model sees next.
    pub observation: Observation,
    /// Reward of this step, finite.
    pub reward: f64,
    /// The task reached an end.
    pub terminated: bool,
    /// The attempt was cut off.
    pub truncated: bool,
}

/// Why a call into an environment gave no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// For the model: becomes the tool's output, the session goes on.
    #[error("rejected: {0}")]
    Rejected(String),
    /// For the caller: an HTTP error `{"detail": …}`; the session goes on.
    #[error("refused with status {status}: {detail}")]
    Refused {
        /// HTTP status, 400 to 599.
        status: u16,
        /// JSON text of the detail.
        detail: String,
    },
    /// There is no result. Whether the session can go on, the instance tells.
    #[error(transparent)]
    Fault(#[from] Fault),
}
