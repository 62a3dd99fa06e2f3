// SPDX-License-Identifier: Apache-2.0
//! Python as a tool. See the README for the reward rule.
//!
//! The folder `runner` has the other half: the component in which programs run, for this and every other environment.

use gym_env::{Ending, Program, prelude::*, text};
use serde::{Deserialize, Serialize};

/// Text of a stream that the model reads; what is longer is cut.
const SHOWN: usize = 8000;

/// What the dataset row says besides the prompt.
#[derive(Debug, Deserialize, Schema)]
pub struct Task {
    /// What the last `\boxed{}` must hold.
    expected_answer: String,
}

/// Settings in the server's configuration.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Config {
    /// CPU time of one program in milliseconds.
    program_cpu_ms: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { program_cpu_ms: 5000 }
    }
}

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct PythonExec;

/// What came of a program.
#[derive(Debug, PartialEq, Serialize)]
struct Report {
    stdout: String,
    stderr: String,
    /// 0 after a program that ended well.
    exit_status: Option<i32>,
    /// Why there is no exit status.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'static str>,
}

#[resources_server(reusable, config = Config, echo)]
impl PythonExec {
    /// Run a Python program and read what it prints. Every program starts anew: nothing is kept from earlier ones. The
    /// standard library is there, other packages and the network are not.
    #[tool]
    fn run_python(
        /// The program, for example `print(sum(range(10)))`.
        code: String,
        /// What the program reads from standard input.
        stdin: Option<String>,
        cx: &mut Context,
    ) -> ToolResult<Report> {
        let most = cx.config::<Config>()?.program_cpu_ms;
        let program = Program::new(code).stdin(stdin.unwrap_or_default()).cpu_ms(most);
        let run = cx.run_code("python", &program)?;
        let (exit_status, ended) = match run.ending {
            Ending::Exited(status) => (Some(status), None),
            Ending::OutOfTime => (None, Some("out of time")),
            Ending::OutOfMemory => (None, Some("out of memory")),
            Ending::Crashed(_) => (None, Some("the interpreter crashed")),
        };
        Ok(Report { stdout: shown(&run.stdout_text()), stderr: shown(&run.stderr_text()), exit_status, ended })
    }

    #[verify]
    fn verify(attempt: &Attempt<Task>) -> Result<Verdict, Fault> {
        let answer = attempt.last_assistant_text();
        let boxed = text::last_boxed(&answer).map(|boxed| text::strip(text::unwrap_text(boxed)).to_owned());
        let right = boxed.as_deref() == Some(text::strip(&attempt.task.expected_answer));
        Ok(Verdict::from(right).field("extracted_answer", boxed))
    }
}

fn shown(text: &str) -> String {
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(SHOWN);
    format!("{}\n[{} more bytes]", &text[..end], text.len() - end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_output_is_cut_at_a_character() {
        assert_eq!(shown("abc"), "abc");
        let long = shown(&"é".repeat(5000));
        assert!(long.ends_with("\n[2000 more bytes]"), "{}", &long[long.len() - 40..]);
    }
}
