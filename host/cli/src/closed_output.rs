// SPDX-License-Identifier: Apache-2.0
//! Standard output and standard error that take no more.

use std::{fmt, io::Write};

use crate::failure::Failure;

/// Writes a line to standard error. What cannot be written there cannot be told anywhere.
pub(crate) fn tell(line: fmt::Arguments<'_>) {
    std::io::stderr().lock().write_fmt(format_args!("{line}\n")).ok();
}

/// When a line cannot be printed, the process ends: in silence if who reads has seen enough (as `head` has), else with an
/// error. The standard library's macros panic then.
pub(crate) fn end_quietly() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        match text.strip_prefix("failed printing to stdout: ") {
            Some(cause) if cause.contains("(os error 32)") => std::process::exit(0),
            Some(cause) => {
                let failure = Failure::infrastructure(format!("failed to write to standard output: {cause}"))
                    .with_hint("make room where it goes, then run the same command again");
                failure.print();
                std::process::exit(3);
            }
            None => usual(panic),
        }
    }));
}
