// SPDX-License-Identifier: Apache-2.0
//! Running a solution on the tests.
//!
//! One process runs the solution on one input after the other. It is given an input when its turn has come, and never
//! what is expected: that is compared here, with data that came out of the process.

use std::time::Duration;

use gym_env::{Call, Context, Ending, Fault, Process, Program, Run};
use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::{
    Config,
    lines::{self, Difference},
    unit_tests::UnitTests,
    value::Value,
};

/// Executes the solution, inside of its process.
const DRIVER: &str = include_str!("driver.py");
/// Bytes of output that the driver keeps.
const OUTPUT_BYTES: usize = 10 << 20;
/// What a function prints, nobody reads.
const PRINTED_BYTES: u32 = 4096;

/// The result of one test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Right, or (of a function) wrong.
    Is(bool),
    /// The whole process ended.
    Ended,
    /// What was printed is wrong.
    Wrong,
    /// Out of time.
    Late,
    /// An error, or there was nothing to run.
    Failed,
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Is(right) => serializer.serialize_bool(*right),
            Self::Ended => serializer.serialize_i64(-1),
            Self::Wrong => serializer.serialize_i64(-2),
            Self::Late => serializer.serialize_i64(-3),
            Self::Failed => serializer.serialize_i64(-4),
        }
    }
}

/// What came of a solution.
#[derive(Debug)]
pub(crate) struct Graded {
    /// One entry a test, up to the first that failed.
    pub(crate) results: Vec<Code>,
    /// What NeMo Gym says of the last test, or of all.
    pub(crate) metadata: Json,
    /// CPU time of everything.
    pub(crate) cpu: Duration,
}

impl Graded {
    /// Whether all tests that there are were passed.
    pub(crate) fn is_right(&self) -> bool {
        self.results.iter().all(|code| *code == Code::Is(true))
    }
}

/// Runs the solution on one test after the other, up to the first that fails.
pub(crate) fn grade(code: &str, tests: &UnitTests, config: &Config, cx: &mut Context) -> Result<Graded, Fault> {
    let cases = Case::all(tests)?;
    let as_json = |text: &str| serde_json::to_string(text).map_err(Fault::from);
    let function = tests.function.as_ref().map_or(Ok("null".to_owned()), |name| as_json(name))?;
    let program = Program::new(DRIVER)
        .call("prepare", [as_json(code)?, function])
        .cpu_ms(config.test_cpu_ms())
        .output_bytes(PRINTED_BYTES);
    let (mut process, run) = cx.start_code("python", &program)?;
    let mut grading = Grading { config, results: Vec::new(), cpu: run.cpu, tests: cases.len() };
    if let Some(metadata) = grading.not_prepared(&run)? {
        return Ok(grading.ended(metadata));
    }
    for case in &cases {
        if let Some(metadata) = grading.test(&mut process, case)? {
            return Ok(grading.ended(metadata));
        }
    }
    let seconds = grading.cpu.saturating_sub(run.cpu).as_secs_f64();
    Ok(grading.ended(json!({ "execution time": seconds })))
}

/// One test. A function's arguments and result are read when there is a function.
struct Case<'a> {
    input: &'a str,
    expected: &'a str,
    call: Option<(Value, Value)>,
}

impl<'a> Case<'a> {
    fn all(tests: &'a UnitTests) -> Result<Vec<Self>, Fault> {
        let not_json = |_| Fault::new("a test of a function has an input or an output that is not JSON");
        let case = |(input, expected): &'a (String, String)| {
            if expected.len() > OUTPUT_BYTES {
                return Err(Fault::new(format!("a test expects more than {OUTPUT_BYTES} bytes of output")));
            }
            let call = match tests.function {
                None => None,
                Some(_) => {
                    let arguments =
                        input.split('\n').map(Value::read).collect::<Result<Vec<_>, _>>().map_err(not_json)?;
                    Some((Value::List(arguments), Value::read(expected).map_err(not_json)?))
                }
            };
            Ok(Self { input, expected, call })
        };
        tests.cases.iter().map(case).collect()
    }

    /// Adds what the test was to what is said of its result.
    fn with(&self, mut metadata: Json) -> Json {
        let (input, expected) = match &self.call {
            Some((arguments, expected)) => (arguments.str(), expected.str()),
            None => (self.input.to_owned(), self.expected.to_owned()),
        };
        metadata["inputs"] = shortened(&input).into();
        metadata["expected"] = shortened(&expected).into();
        metadata
    }
}

struct Grading<'a> {
    config: &'a Config,
    results: Vec<Code>,
    cpu: Duration,
    tests: usize,
}

impl Grading<'_> {
    fn ended(self, metadata: Json) -> Graded {
        Graded { results: self.results, metadata, cpu: self.cpu }
    }

    /// Nothing of the solution could be run: one code stands for all tests.
    fn none(&mut self, message: &str) -> Json {
        self.results = vec![Code::Failed];
        json!({ "error_code": -4, "error_message": format!("Error during testing: {message}") })
    }

    /// The process has ended itself: every test has failed.
    fn all_ended(&mut self) -> Json {
        self.results = vec![Code::Ended; self.tests];
        Json::Null
    }

    /// Why the solution cannot be tested, if so.
    fn not_prepared(&mut self, run: &Run) -> Result<Option<Json>, Fault> {
        Ok(match self.reply(run)? {
            Reply::Late => Some(self.none("")),
            Reply::Starved => Some(self.none("out of memory")),
            Reply::Ended => Some(self.all_ended()),
            Reply::Said(reply) => reply.text("error").map(|error| self.none(error)),
        })
    }

    /// Runs one test. Gives what is to be said of it if it is the last one.
    fn test(&mut self, process: &mut Process, case: &Case<'_>) -> Result<Option<Json>, Fault> {
        let name = if case.call.is_some() { "call" } else { "run" };
        let call = Call::new(name)
            .argument(serde_json::to_string(case.input)?)
            .cpu_ms(self.config.test_cpu_ms())
            .output_bytes(PRINTED_BYTES);
        let run = process.call(&call)?;
        self.cpu += run.cpu;
        let reply = match self.reply(&run)? {
            Reply::Late => return Ok(Some(self.late(case, "TimeoutException()"))),
            Reply::Starved => return Ok(Some(self.failed(case, "MemoryError()", ""))),
            Reply::Ended => return Ok(Some(self.all_ended())),
            Reply::Said(reply) => reply,
        };
        if let Some(error) = reply.text("error") {
            // NeMo Gym knows its own interruption by its name.
            if error.to_lowercase().contains("timeoutexception") {
                return Ok(Some(self.late(case, error)));
            }
            return Ok(Some(self.failed(case, error, reply.text("traceback").unwrap_or_default())));
        }
        Ok(match &case.call {
            Some((_, expected)) => self.returned(case, expected, &reply),
            None => self.printed(case, &reply),
        })
    }

    /// Takes apart how a run ended. Limits that are too small for the tests are no fault of the solution.
    fn reply(&self, run: &Run) -> Result<Reply, Fault> {
        Ok(match (&run.ending, &run.returned) {
            (Ending::OutOfTime, _) => {
                let budget = Duration::from_millis(self.config.test_cpu_ms().into());
                if run.cpu < budget.mul_f64(0.9) {
                    let text = format!("a test may take {budget:?} of CPU time, but `run_code.python.cpu_ms` is less");
                    return Err(Fault::new(text));
                }
                Reply::Late
            }
            (Ending::OutOfMemory, _) => Reply::Starved,
            // What cannot be read is a result nested so deep that it is none.
            (Ending::Exited(_), Some(returned)) => Reply::Said(Value::read(returned).unwrap_or(Value::None)),
            _ => Reply::Ended,
        })
    }

    fn late(&mut self, case: &Case<'_>, error: &str) -> Json {
        self.results.push(Code::Late);
        case.with(json!({ "error": error, "error_code": -3, "error_message": "Time Limit Exceeded" }))
    }

    fn failed(&mut self, case: &Case<'_>, error: &str, traceback: &str) -> Json {
        self.results.push(Code::Failed);
        let metadata =
            json!({ "error": error, "error_code": -4, "error_message": "Runtime Error", "traceback": traceback });
        case.with(metadata)
    }

    fn returned(&mut self, case: &Case<'_>, expected: &Value, reply: &Value) -> Option<Json> {
        let said = reply.get("value").cloned().map_or(Value::Other, Value::decoded);
        match expected.is_answered_by(&said, self.config.reward_rules) {
            Ok(true) => {
                self.results.push(Code::Is(true));
                None
            }
            Ok(false) => {
                self.results.push(Code::Is(false));
                // NeMo Gym fails when it says so, and counts the test twice.
                if let Some(error) = reply.text("unshown") {
                    return Some(self.failed(case, error, ""));
                }
                let shown = reply.text("shown");
                Some(case.with(json!({ "output": shown, "error_code": -2, "error_message": "Wrong Answer" })))
            }
            Err(raised) => Some(self.failed(case, raised.0, "")),
        }
    }

    fn printed(&mut self, case: &Case<'_>, reply: &Value) -> Option<Json> {
        let printed = reply.text("output").unwrap_or_default();
        let message = match lines::difference(case.expected, printed, self.config.reward_rules) {
            Err(raised) => return Some(self.none(raised.0)),
            Ok(_) if matches!(reply.get("is_cut"), Some(Value::Bool(true))) => {
                format!("Wrong answer: more than {OUTPUT_BYTES} bytes")
            }
            Ok(None) => {
                self.results.push(Code::Is(true));
                return None;
            }
            Ok(Some(Difference::Length)) => "Wrong answer: mismatched output length".to_owned(),
            Ok(Some(Difference::Line { index, expected, printed })) => {
                let (printed, expected) = (shortened(&printed), shortened(&expected));
                format!("Wrong answer at output_line_idx={index}: {printed} != {expected}")
            }
        };
        self.results.push(Code::Wrong);
        Some(case.with(json!({ "output": shortened(printed), "error_code": -2, "error_message": message })))
    }
}

/// How a run ended, as far as tests are concerned.
enum Reply {
    Late,
    Starved,
    /// The process ended itself, or broke.
    Ended,
    Said(Value),
}

/// The beginning and the end of a long text.
fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    let length = text.chars().count();
    if length <= MOST {
        return text.to_owned();
    }
    let begin: String = text.chars().take(MOST / 2).collect();
    let end: String = text.chars().skip(length - MOST / 2).collect();
    format!("{begin}...(truncated) ...{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_have_the_codes_of_nemo_gym() {
        let codes = [Code::Is(true), Code::Is(false), Code::Ended, Code::Wrong, Code::Late, Code::Failed];
        assert_eq!(serde_json::to_string(&codes).unwrap(), "[true,false,-1,-2,-3,-4]");
    }

    #[test]
    fn long_texts_keep_both_ends() {
        assert_eq!(shortened("abc"), "abc");
        let long = shortened(&format!("{}{}", "é".repeat(200), "z".repeat(200)));
        assert_eq!(long, format!("{}...(truncated) ...{}", "é".repeat(150), "z".repeat(150)));
    }
}
