// SPDX-License-Identifier: Apache-2.0
//! End-to-end tests.

mod attach;
mod collect;
mod commands;
mod environments;
mod isolation;
mod python;
mod python_guests;
mod serve;
mod show;
mod viewer;
