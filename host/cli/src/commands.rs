// SPDX-License-Identifier: Apache-2.0
//! One module for each command.

pub(crate) mod aggregate;
pub(crate) mod attach;
pub(crate) mod build;
pub(crate) mod collect;
pub(crate) mod config;
pub(crate) mod data;
pub(crate) mod init;
pub(crate) mod profile;
pub(crate) mod reverify;
pub(crate) mod serve;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod test;
pub(crate) mod view;
