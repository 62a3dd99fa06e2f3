// SPDX-License-Identifier: Apache-2.0
//! Why a dataset could not be pushed, pulled or listed.

use std::io;

/// Why a dataset could not be pushed, pulled or listed. Texts hold no tokens and no signed addresses.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A setting is not there.
    #[error("`{key}` is not set, and {place} needs it")]
    Setting {
        /// Its name in `env.yaml`.
        key: &'static str,
        /// What needs it.
        place: &'static str,
    },
    /// The address does not say enough.
    #[error("`{address}` does not say {lacking}")]
    Incomplete {
        /// The address.
        address: String,
        /// What it lacks.
        lacking: String,
    },
    /// The server does not accept the token, or asks for one.
    #[error("{place} does not accept the token (`{key}`): {answer}")]
    Token {
        /// Which server.
        place: &'static str,
        /// The token's name in `env.yaml`.
        key: &'static str,
        /// The status and what the server says.
        answer: String,
    },
    /// The server has no such thing, or does not show it to the token's owner.
    #[error("{place} has no {what}")]
    Missing {
        /// Which server.
        place: &'static str,
        /// What was asked for.
        what: String,
    },
    /// The server refuses.
    #[error("{place} refuses to {action}: {answer}")]
    Refused {
        /// Which server.
        place: &'static str,
        /// What was tried.
        action: String,
        /// The status and what the server says.
        answer: String,
    },
    /// The server does not answer, also when it is asked again.
    #[error("{place} cannot be reached to {action}: {reason}")]
    Unreachable {
        /// Which server.
        place: &'static str,
        /// What was tried.
        action: String,
        /// Why.
        reason: String,
    },
    /// The server answers something that its protocol does not know.
    #[error("{place} gave an answer that makes no sense, asked to {action}: {reason}")]
    Answer {
        /// Which server.
        place: &'static str,
        /// What was tried.
        action: String,
        /// What is wrong.
        reason: String,
    },
    /// What arrived is not what was sent.
    #[error("the checksum of {what} is {found}, and {expected} is expected")]
    Checksum {
        /// The file.
        what: String,
        /// As it should be.
        expected: String,
        /// As it is.
        found: String,
    },
    /// A file would be overwritten.
    #[error("{path} is there already, with other content")]
    Exists {
        /// The file.
        path: String,
    },
    /// The file was written to while it was sent.
    #[error("{path} changed while it was sent")]
    Changed {
        /// The file.
        path: String,
    },
    /// A file of this machine cannot be read or written.
    #[error("failed to use {path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl DatasetError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Setting { key, .. } => format!("set `{key}` in env.yaml, or give it as +{key}=…"),
            Self::Incomplete { .. } => {
                "write gitlab:NAME/VERSION/FILE, hf:OWNER/NAME/FILE or a path; `gym-host data list` shows what is there"
                    .to_owned()
            }
            Self::Token { key, .. } => {
                format!("check that `{key}` in env.yaml is right, not expired, and may do this (GitLab: scope `api`)")
            }
            Self::Missing { .. } => {
                "`gym-host data list` shows what is there; private things are hidden from tokens without access"
                    .to_owned()
            }
            Self::Unreachable { .. } => "run the command again: what was sent already is not sent again".to_owned(),
            Self::Checksum { .. } => "nothing was kept; run the command again".to_owned(),
            Self::Exists { .. } => "--force overwrites it, -o names another file".to_owned(),
            Self::Changed { .. } => "run the command again when nobody writes to the file".to_owned(),
            Self::Refused { .. } | Self::Answer { .. } | Self::File { .. } => return None,
        })
    }

    /// Whether the user must change something, rather than the server or the network.
    pub fn is_users(&self) -> bool {
        !matches!(self, Self::Unreachable { .. } | Self::Answer { .. } | Self::Refused { .. } | Self::Checksum { .. })
    }
}
