// SPDX-License-Identifier: Apache-2.0
//! The runtime with real components, above all with the hostile one of `tests/guests`.

#![expect(clippy::unwrap_used, reason = "a failed test shows where it was")]

mod calls;
mod compiling;
mod harness;
mod limits;
mod loading;
mod network;
mod pool;
mod room;
