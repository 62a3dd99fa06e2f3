// SPDX-License-Identifier: Apache-2.0
//! The environment `gsm8k`: a word problem, a calculator, and one answer.

use std::rc::Rc;

use gym_env::{Fault, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    config::Config,
    expression::{evaluate, plain},
};

/// A line of the problems' file.
#[derive(Debug, Deserialize)]
struct Line {
    question: String,
    /// A number, or a text that ends in `#### ` and a number, as in GSM8K.
    answer: Value,
}

/// A problem that is being worked on.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) question: String,
    answer: f64,
    config: Rc<Config>,
    is_over: bool,
}

/// What a call led to.
#[derive(Debug, PartialEq)]
pub(crate) struct Effect {
    pub(crate) output: String,
    pub(crate) reward: f64,
    pub(crate) done: bool,
}

#[derive(Deserialize, Schema)]
struct Calculation {
    /// An arithmetic expression in Python's notation, for example `(3 + 4) * 2.5`.
    expr: String,
}

#[derive(Deserialize, Schema)]
struct Answer {
    /// The answer: a number without a unit.
    #[schema(json = r#"{"type": "string"}"#)]
    answer: Value,
}

#[derive(Serialize)]
struct Tool {
    r#type: &'static str,
    name: &'static str,
    description: &'static str,
    parameters: Value,
    strict: bool,
}

/// The tools, as they are given to the model.
pub(crate) fn tools() -> Value {
    let tool = |name, description, parameters| Tool { r#type: "function", name, description, parameters, strict: true };
    let style = gym_env::SchemaStyle::Strict;
    json!([
        tool("calculator", "Calculate the value of an arithmetic expression.", Calculation::schema(style)),
        tool("submit_answer", "Submit the answer. This ends the problem.", Answer::schema(style)),
    ])
}

impl Problem {
    /// The problem in one line of the file.
    pub(crate) fn read(line: &str, config: Rc<Config>) -> Result<Self, Fault> {
        let line: Line =
            serde_json::from_str(line).map_err(|error| Fault::new(format!("a problem cannot be read: {error}")))?;
        let answer = match &line.answer {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => number(text.rsplit("####").next().unwrap_or_default().replace(',', "").as_str()),
            _ => None,
        };
        let answer = answer.filter(|answer| answer.is_finite());
        let answer = answer.ok_or_else(|| Fault::new("a problem's answer is not a number"))?;
        Ok(Self { question: line.question, answer, config, is_over: false })
    }

    /// Does one call.
    pub(crate) fn call(&mut self, name: &str, arguments: &Value) -> Effect {
        if self.is_over {
            return Effect { output: "The problem is over.".to_owned(), reward: 0.0, done: true };
        }
        let effect = match name {
            "calculator" => match Calculation::deserialize(arguments) {
                Ok(Calculation { expr }) => match evaluate(&expr) {
                    Ok(output) => Effect { output, reward: self.config.tool_success_reward, done: false },
                    Err(reason) => self.failure(format!("Error using calculator: {reason}.")),
                },
                Err(_) => self.failure("Error using calculator: `expr` must be a text.".to_owned()),
            },
            "submit_answer" => match Answer::deserialize(arguments).ok().and_then(|given| as_number(&given.answer)) {
                Some(answer) => self.grade(answer),
                None => self.failure("Error: the answer is not a number.".to_owned()),
            },
            _ => self.failure(format!("Error: there is no tool `{name}`.")),
        };
        self.is_over |= effect.done;
        effect
    }

    /// What comes of an answer without any call.
    pub(crate) fn silence(&mut self) -> Effect {
        self.failure("You must call one of the tools: calculator or submit_answer.".to_owned())
    }

    fn grade(&self, answer: f64) -> Effect {
        let off = (answer - self.answer).abs() / (self.answer.abs() + 1e-8);
        let (output, reward) = if off < self.config.rel_tol {
            ("Correct!", self.config.correct_reward)
        } else {
            ("Incorrect.", self.config.incorrect_reward)
        };
        Effect { output: output.to_owned(), reward, done: true }
    }

    fn failure(&self, output: String) -> Effect {
        Effect { output, reward: self.config.tool_failure_reward, done: self.config.done_on_failure }
    }
}

fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(value) => value.as_f64(),
        Value::String(text) => number(text),
        _ => None,
    }
}

/// A number as Python's `float` reads it.
fn number(text: &str) -> Option<f64> {
    plain(text.trim())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(answer: Value) -> Problem {
        Problem::read(&json!({"question": "How many?", "answer": answer}).to_string(), Rc::default()).unwrap()
    }

    #[test]
    fn answers_are_compared_within_the_tolerance() {
        for (gold, given, right) in [
            (json!(12), json!("12"), true),
            (json!(12), json!(" 12.0 "), true),
            (json!(12), json!(12), true),
            (json!(12), json!("1.2e1"), true),
            (json!(12), json!("12.001"), true),
            (json!(12), json!("12.0013"), false),
            (json!(12), json!("-12"), false),
            (json!(12), json!("nan"), false),
            (json!(12), json!("inf"), false),
            (json!("so it is #### 1,200"), json!("1200"), true),
            (json!("0.25"), json!("0.25"), true),
            (json!(0), json!("0"), true),
            (json!(0), json!("0.001"), false),
        ] {
            let effect = problem(gold.clone()).call("submit_answer", &json!({"answer": given}));
            assert_eq!((effect.reward, effect.done), (if right { 1.0 } else { 0.0 }, true), "{given} for {gold}");
        }
    }

    #[test]
    fn a_call_that_cannot_be_done_is_the_end() {
        for (name, arguments) in [
            ("calculator", json!({"expr": "1 +"})),
            ("calculator", json!({"expr": 3})),
            ("calculator", json!([])),
            ("submit_answer", json!({"answer": "twelve"})),
            ("submit_answer", json!({"answer": "1,200"})),
            ("submit_answer", json!({})),
            ("ask_a_friend", json!({})),
        ] {
            let mut problem = problem(json!(12));
            let effect = problem.call(name, &arguments);
            assert_eq!((effect.reward, effect.done), (-1.0, true), "{name} {arguments}");
            assert_eq!(problem.call("submit_answer", &json!({"answer": "12"})).reward, 0.0, "the problem is over");
        }
    }

    #[test]
    fn a_calculation_costs_nothing() {
        let mut problem = problem(json!(12));
        let effect = problem.call("calculator", &json!({"expr": "3 * 4"}));
        assert_eq!(effect, Effect { output: "12".to_owned(), reward: 0.0, done: false });
    }

    #[test]
    fn problems_that_cannot_be_read_are_faults() {
        for line in ["", "{}", r#"{"question":"x","answer":"many"}"#, r#"{"question":"x","answer":null}"#] {
            assert!(Problem::read(line, Rc::default()).is_err(), "{line}");
        }
    }
}
