// SPDX-License-Identifier: Apache-2.0
//! End-to-end tests.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what fails here fails the test; figures are printed for the reader"
)]

mod attach;
mod bad_upstream;
mod code;
mod collect;
mod commands;
mod conformance;
mod data;
mod datasets;
mod environments;
mod help;
mod isolation;
mod long_run;
mod math;
mod mistakes;
mod openenv;
mod python;
mod python_guests;
mod python_packages;
mod rewards;
mod serve;
mod show;
mod tokens;
mod viewer;
