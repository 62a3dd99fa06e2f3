// SPDX-License-Identifier: Apache-2.0
//! Datasets elsewhere: pushing, pulling and listing.
//!
//! Three kinds of places are known ([`Address`]): GitLab's model registry, which speaks MLflow's protocol and is where
//! NeMo Gym keeps datasets; datasets of the Hugging Face hub; and folders. A file that is pulled has its final name only
//! when it is whole and its checksum is right. What is already there is not sent again, and what was cut off is continued.

mod address;
mod error;
mod folder;
mod gitlab;
mod http;
mod hub;
mod local;
mod secret;
mod store;
#[cfg(test)]
mod tests;

pub use address::{Address, AddressError};
pub use error::DatasetError;
pub use secret::Token;
pub use store::{Entry, GitLab, HuggingFace, Pulled, Pushed, Settings, Store};
