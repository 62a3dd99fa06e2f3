// SPDX-License-Identifier: Apache-2.0
//! Competitive programming: the model writes Python, tests decide. See the README for the reward rule.

use gym_env::{AnyJson, Attempt, Context, Fault, RewardRules, Schema, Verdict, python, resources_server};
use serde::Deserialize;

mod decimal;
mod extract;
mod grade;
mod lines;
mod unit_tests;
mod value;

use grade::Graded;
use unit_tests::UnitTests;

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct CodeGen;

/// What grading needs of a row.
#[derive(Debug, Deserialize, Schema)]
struct Task {
    /// `unit_tests` (`inputs`, `outputs` and `fn_name`, or `packed` and `fn_name`), and perhaps `difficulty`.
    #[schema(json = r#"{"type": ["object", "null"]}"#)]
    #[serde(default)]
    verifier_metadata: AnyJson,
}

/// Settings in the server's configuration.
#[derive(Debug, Deserialize)]
struct Config {
    /// Programs that run at a time. The host enforces it: it is the default of `run_code.python.max_concurrent_runs`.
    num_processes: u32,
    /// CPU time of one test in seconds, as a native interpreter would need it.
    unit_test_timeout_secs: u32,
    /// Log what came of each solution.
    debug: bool,
    /// The reward of an answer with thoughts where they should not be.
    #[serde(default)]
    reasoning_format_penalty: f64,
    /// Which release's comparison of outputs.
    #[serde(default)]
    reward_rules: RewardRules,
    /// How much slower than natively a test may be in the sandbox.
    #[serde(default = "Config::default_slowdown")]
    sandbox_slowdown: f64,
}

impl Config {
    fn default_slowdown() -> f64 {
        2.0
    }

    fn check(&self) -> Result<(), Fault> {
        let wrong = |name: &str, expected: &str| Err(Fault::new(format!("`{name}` is not {expected}")));
        if self.num_processes == 0 {
            return wrong("num_processes", "at least 1");
        }
        if !(1..=3600).contains(&self.unit_test_timeout_secs) {
            return wrong("unit_test_timeout_secs", "a number of seconds from 1 to 3600");
        }
        if !self.reasoning_format_penalty.is_finite() {
            return wrong("reasoning_format_penalty", "a finite number");
        }
        if !(1.0..=100.0).contains(&self.sandbox_slowdown) {
            return wrong("sandbox_slowdown", "a number from 1 to 100");
        }
        Ok(())
    }

    /// CPU time of one test in milliseconds.
    fn test_cpu_ms(&self) -> u32 {
        (f64::from(self.unit_test_timeout_secs) * 1000.0 * self.sandbox_slowdown) as u32
    }
}

#[resources_server(reusable, reverify = "stateless", echo, config = Config)]
impl CodeGen {
    #[describe]
    fn describe(_description: &mut gym_env::Description, cx: &mut Context) -> Result<(), Fault> {
        cx.config::<Config>()?.check()
    }

    #[verify]
    fn verify(attempt: &Attempt<Task>, cx: &mut Context) -> Result<Verdict, Fault> {
        let config = cx.config::<Config>()?;
        let answer = attempt.output_text()?;
        let metadata = python::loads(attempt.task.verifier_metadata.text()).unwrap_or(python::Value::None);
        let difficulty = match metadata.get("difficulty") {
            None | Some(python::Value::None) => None,
            Some(python::Value::Text(text)) => Some(text.clone()),
            Some(other) => {
                return Err(Fault::new(format!("`difficulty` is of the type {}, not str", other.type_name())));
            }
        };
        if gym_env::text::strip(&answer).is_empty() {
            return Ok(verdict(0.0, None, None, None, false, difficulty));
        }
        let tests = UnitTests::of(&metadata)?;
        let code = extract::code(&answer);
        if code.is_empty() {
            return Ok(verdict(0.0, Some(&answer), None, None, false, difficulty));
        }
        let graded = grade::grade(&code, &tests, &config, cx)?;
        if config.debug {
            cx.debug(format!("results {:?}, metadata {}", graded.results, graded.metadata));
        }
        let violates = extract::violates_reasoning_format(&answer, attempt);
        let reward = match (violates, graded.is_right()) {
            (true, _) => config.reasoning_format_penalty,
            (false, true) => 1.0,
            (false, false) => 0.0,
        };
        Ok(verdict(reward, Some(&answer), Some(&code), Some(&graded), violates, difficulty))
    }
}

fn verdict(
    reward: f64,
    answer: Option<&str>,
    code: Option<&str>,
    graded: Option<&Graded>,
    violates: bool,
    difficulty: Option<String>,
) -> Verdict {
    Verdict::new(reward)
        .field("extracted_model_output", answer)
        .field("extracted_model_code", code)
        .field("result", graded.map(|graded| &graded.results))
        .field("metadata", graded.map(|graded| &graded.metadata))
        .field("unit_tests_time_taken", graded.map(|graded| graded.cpu.as_secs_f64()))
        .field("reasoning_format_violation_rate", f64::from(u8::from(violates)))
        .field("difficulty", difficulty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<Config, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn three_settings_are_required_and_all_are_checked() {
        assert!(config(r#"{"unit_test_timeout_secs": 10, "debug": false}"#).is_err());
        let plain = config(r#"{"num_processes": 8, "unit_test_timeout_secs": 10, "debug": false}"#).unwrap();
        assert_eq!((plain.check(), plain.test_cpu_ms()), (Ok(()), 20_000));
        for wrong in [
            r#"{"num_processes": 0, "unit_test_timeout_secs": 10, "debug": false}"#,
            r#"{"num_processes": 8, "unit_test_timeout_secs": 0, "debug": false}"#,
            r#"{"num_processes": 8, "unit_test_timeout_secs": 10, "debug": false, "sandbox_slowdown": 0.5}"#,
        ] {
            assert!(config(wrong).unwrap().check().is_err(), "{wrong}");
        }
    }
}
