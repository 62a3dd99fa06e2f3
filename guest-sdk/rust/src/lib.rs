// SPDX-License-Identifier: Apache-2.0
//! Write a gym-host environment in Rust.
//!
//! An environment hands out a task, offers tools, and grades the answer. It is one type with one attribute on its `impl`
//! block; doc comments are what the model reads:
//!
//! ```
//! use gym_env::{Attempt, Context, Fault, Reject, Schema, ToolResult, Verdict, resources_server};
//!
//! /// What the dataset row says besides the prompt.
//! #[derive(serde::Deserialize, Schema)]
//! struct Task {
//!     /// The city that the user asks about.
//!     city: String,
//! }
//!
//! #[derive(serde::Serialize)]
//! struct Report {
//!     sky: &'static str,
//! }
//!
//! /// One session. The value lives exactly as long as the session does.
//! struct Weather {
//!     wanted: String,
//!     looked_up: Vec<String>,
//! }
//!
//! #[resources_server(name = "weather")]
//! impl Weather {
//!     #[seed_session]
//!     fn seed(task: Task) -> Result<Self, Fault> {
//!         Ok(Self { wanted: task.city, looked_up: Vec::new() })
//!     }
//!
//!     /// Get the current weather in a city.
//!     #[tool]
//!     fn get_weather(
//!         &mut self,
//!         /// The city's English name, for example `Paris`.
//!         city: String,
//!         cx: &mut Context,
//!     ) -> ToolResult<Report> {
//!         if city.is_empty() {
//!             return Err(Reject::new("`city` is empty").into());
//!         }
//!         cx.info(format!("looked up {city}"));
//!         self.looked_up.push(city);
//!         Ok(Report { sky: "clear" })
//!     }
//!
//!     #[verify]
//!     fn verify(&self, _attempt: &Attempt<Task>) -> Result<Verdict, Fault> {
//!         Ok(Verdict::from(self.looked_up.contains(&self.wanted)))
//!     }
//! }
//!
//! // Tests call it natively: by its functions, or as the host does, by name and with JSON.
//! let mut instance = gym_env::Instance::<Weather>::new(Context::for_test().build());
//! instance.seed_session(r#"{"city":"Paris"}"#).unwrap();
//! assert_eq!(instance.call_tool("get_weather", r#"{"city":"Paris"}"#).unwrap(), r#"{"sky":"clear"}"#);
//! assert_eq!(instance.verify(r#"{"city":"Paris","response":{"output":[]}}"#).unwrap().reward(), 1.0);
//! ```
//!
//! What goes wrong belongs to somebody: [`Fault`] to the environment (`?` makes one of any error), [`Reject`] to the
//! model, [`Refuse`] to the caller. A panic is a trap: it is logged, and ends the session without a reward.

// The derive macros name this crate by its name, also here.
extern crate self as gym_env;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod attempt;
#[cfg(not(target_family = "wasm"))]
pub mod cases;
mod context;
mod description;
#[cfg(target_family = "wasm")]
mod export;
mod failure;
mod json;
pub mod judge;
mod metrics;
mod network;
pub mod pattern;
mod program;
pub mod prompt;
pub mod python;
mod response;
mod rng;
mod rules;
mod schema;
mod server;
mod settings;
pub mod text;
mod verdict;

pub use __private::{PlainText, ToolReply};
pub use attempt::Attempt;
#[cfg(not(target_family = "wasm"))]
pub use context::TestContext;
pub use context::{Context, Host, Level};
pub use description::{Description, Lifetime, PassMetrics, Reverify, Score, Style, Tool};
pub use failure::{Failure, Fault, ModelFailure, Refuse, Reject, ToolResult};
pub use gym_env_macros::{Schema, resources_server};
pub use json::{AnyJson, AnyObject, to_json};
pub use metrics::{Metrics, MetricsRequest};
pub use network::{Channel, ChannelEnd, HttpReply, HttpRequest, NetworkFailure};
pub use program::{Call, Ending, Process, Program, Run, RunFailure, RunningProgram};
pub use response::{Content, Item, ItemKind, Part, Response, ResponseBuilder};
pub use rng::Rng;
pub use rules::RewardRules;
pub use schema::{NoFields, ObjectSchema, Schema, SchemaStyle};
pub use server::{Instance, ResourcesServer};
pub use verdict::{Observation, StepOutcome, Verdict};

pub mod prelude {
    //! What most environments use: `use gym_env::prelude::*;`.

    pub use crate::{
        Attempt, Context, Failure, Fault, Observation, Refuse, Reject, Schema, StepOutcome, ToolResult, Verdict,
        resources_server,
    };
}

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use export::{component_instance as __component_instance, wit as __private_wit};

/// Makes a component of an environment: `gym_env::export!(Weather);`. The attribute macro writes this line; it is for
/// environments that implement [`ResourcesServer`] by hand. Natively it only makes sure that the implementation is used.
#[macro_export]
macro_rules! export {
    ($environment:ty) => {
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code)]
        const _: () = {
            struct Component;

            ::std::thread_local! {
                static INSTANCE: ::std::cell::RefCell<$crate::Instance<$environment>> =
                    ::std::cell::RefCell::new($crate::__component_instance());
            }

            impl $crate::__private::Exported for Component {
                type Environment = $environment;

                fn with<R>(run: impl FnOnce(&mut $crate::Instance<$environment>) -> R) -> R {
                    INSTANCE.with_borrow_mut(run)
                }
            }

    $crate::__private_wit::export_component!(Component with_types_in $crate::__private_wit);
        };

        #[cfg(not(target_family = "wasm"))]
        const _: fn($crate::Context) -> $crate::Instance<$environment> = $crate::Instance::new;
    };
}

/// The code in the tutorial compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Tutorial;
