// SPDX-License-Identifier: Apache-2.0
//! Looking at rollouts.
//!
//! An [`Index`] knows where every rollout lies in its file, and the few facts of it that lists show, filter and sort by.
//! The rollouts themselves stay in the files. Two views are built on it: a web page ([`serve`]) and text for the
//! terminal ([`terminal`]). Both read files in NeMo Gym's shape, with the failures file that lies beside them.

mod assets;
mod body;
mod extract;
mod files;
mod index;
mod order;
mod pairs;
mod query;
mod scanner;
mod server;
mod table;
pub mod terminal;

pub use files::{FileError, RolloutFile};
pub use index::{Index, IndexError, Unreadable};
pub use order::Order;
pub use query::{Query, QueryError};
pub use server::{Access, serve};
pub use table::{Row, State, Table};
