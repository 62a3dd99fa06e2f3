// SPDX-License-Identifier: Apache-2.0
//! Data at rest: JSONL files, prompts made of rows, preparation of datasets, and metrics over replies.

pub mod jsonl;
pub mod metrics;
pub mod prepare;
pub mod prompt;
mod python_json;
pub mod task;
pub mod tokens;
