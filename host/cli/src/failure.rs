// SPDX-License-Identifier: Apache-2.0
//! How commands fail: a message, a hint, an exit code.

use std::{
    io::{self, ErrorKind},
    process::ExitCode,
};

use gym_data::jsonl::JsonlError;
use gym_protocol::Blame;

/// Exit code of a command that did its work, with faults on the way.
pub(crate) const WITH_FAULTS: u8 = 1;
/// Exit code of a command that was interrupted and left resumable work.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub blame: Blame,
    pub message: String,
    pub hint: Option<String>,
}

/// What a command returns: the exit code of work that was done, or why it was not.
pub(crate) type CommandResult = Result<ExitCode, Failure>;

impl Failure {
    /// The user must change the command, the configuration or a file.
    pub(crate) fn user(message: impl Into<String>) -> Self {
        Self { blame: Blame::User, message: message.into(), hint: None }
    }

    /// An environment does not build, load or behave.
    pub(crate) fn environment(message: impl Into<String>) -> Self {
        Self { blame: Blame::Environment, message: message.into(), hint: None }
    }

    /// The machine or the network.
    pub(crate) fn infrastructure(message: impl Into<String>) -> Self {
        Self { blame: Blame::Infrastructure, message: message.into(), hint: None }
    }

    /// Says what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code: 2 for usage and configuration, 3 for infrastructure, 1 otherwise.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.blame {
            Blame::User => 2,
            Blame::Infrastructure => 3,
            Blame::Environment | Blame::Model => WITH_FAULTS,
        })
    }

    /// Prints the message and the hint to standard error.
    pub(crate) fn print(&self) {
        eprintln!("error: {}", self.message);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
    }
}

/// A file could not be used. A path that is wrong is for the user to mend, a disk that is full is not.
pub(crate) fn of_file(message: impl Into<String>, source: &io::Error) -> Failure {
    let failure = match source.kind() {
        ErrorKind::NotFound
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory
        | ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem => Failure::user(message),
        _ => Failure::infrastructure(message),
    };
    match source.kind() {
        ErrorKind::NotFound => failure.with_hint("check the path"),
        ErrorKind::IsADirectory => failure.with_hint("that is a folder; name a file in it"),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            failure.with_hint("this user may not write or read there: change the permissions, or name another place")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            failure.with_hint("make room on the disk, then run the same command again")
        }
        _ => failure,
    }
}

/// A file of rows could not be read or written.
pub(crate) fn of_rows(error: &JsonlError) -> Failure {
    let text = chain(error);
    match error {
        JsonlError::Open { source, .. } | JsonlError::Read { source, .. } | JsonlError::Write { source, .. } => {
            of_file(text, source)
        }
        JsonlError::Line { .. } => {
            Failure::user(text).with_hint("mend or remove that line: every line is one JSON object")
        }
    }
}

/// The message of an error with those it stems from, joined by colons.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}
