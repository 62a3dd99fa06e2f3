// SPDX-License-Identifier: Apache-2.0
//! The Responses API as NeMo Gym checks and repeats it: create params, items, Response objects.
//!
//! Reading is lenient: what either the vocabulary of August 2026 or that of release 0.7.0 knows is accepted. Writing
//! ("echo") gives the full dump of a pydantic model: every field in its order, `null` or the default where the sender
//! left one out, unknown fields of items dropped. Token data (`prompt_token_ids`, `generation_token_ids`,
//! `generation_log_probs`, `routed_experts`) is copied byte for byte.

mod guest;
mod items;
mod params;
mod record;
mod response;

pub use guest::{NoOutputText, for_scoring, output_text, strip_token_fields};
pub use items::{TOKEN_FIELDS, check_input, check_output};
pub use params::{check_create_params, echo_create_params, write_create_params};
pub use response::{check_response, echo_response, write_aviary_response, write_response};

#[cfg(test)]
mod tests;
