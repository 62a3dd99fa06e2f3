// SPDX-License-Identifier: Apache-2.0
//! The environment `gsm8k`: a word problem, a calculator, and one answer.

use std::rc::Rc;

use gym_env::{
    Fault, Schema,
    python::{Value, float},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::{config::Config, expression::evaluate};

/// A line of the problems' file.
#[derive(Debug, Deserialize)]
struct Line {
    question: String,
    /// A number, or a text that ends in `#### ` and a number, as in GSM8K.
    answer: Json,
}

/// A problem that is being worked on.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) question: String,
    answer: f64,
    config: Rc<Config>,
}

/// What a call led to.
#[derive(Debug, PartialEq)]
pub(crate) struct Effect {
    pub(crate) output: String,
    pub(crate) reward: f64,
    pub(crate) done: bool,
}

#[derive(Schema)]
#[allow(dead_code, reason = "what the model is told of the arguments")]
struct Calculation {
    /// An arithmetic expression in Python's notation, for example `(3 + 4) * 2.5`.
    expr: String,
}

#[derive(Schema)]
#[allow(dead_code, reason = "what the model is told of the arguments")]
struct Answer {
    /// The answer: a number without a unit.
    answer: String,
}

#[derive(Serialize)]
struct Tool {
    r#type: &'static str,
    name: &'static str,
    description: &'static str,
    parameters: Json,
    strict: bool,
}

/// The tools, as they are given to the model.
pub(crate) fn tools() -> Json {
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
            Json::Number(number) => number.as_f64(),
            Json::String(text) => float(&text.rsplit("####").next().unwrap_or_default().replace(',', "")),
            _ => None,
        };
        let answer = answer.filter(|answer| answer.is_finite());
        let answer = answer.ok_or_else(|| Fault::new("a problem's answer is not a number"))?;
        Ok(Self { question: line.question, answer, config })
    }

    /// Does the calls of one answer, in order: what they led to, those of unknown tools last. Those are nothing to read
    /// and cost nothing, unless no other call is among them.
    pub(crate) fn call(&self, calls: &[(String, Value)]) -> Vec<(usize, Effect)> {
        let (known, unknown): (Vec<_>, Vec<_>) = calls
            .iter()
            .enumerate()
            .partition(|(_, (name, _))| matches!(name.as_str(), "calculator" | "submit_answer"));
        let alone = known.is_empty();
        let nothing = |index| match alone {
            true => (index, self.failure(String::new())),
            false => (index, Effect { output: String::new(), reward: 0.0, done: false }),
        };
        let done = known.into_iter().map(|(index, (name, arguments))| match name.as_str() {
            "calculator" => (index, self.calculate(arguments)),
            _ => (index, self.grade(arguments)),
        });
        done.chain(unknown.into_iter().map(|(index, _)| nothing(index))).collect()
    }

    /// What comes of an answer without any call.
    pub(crate) fn silence(&self) -> Effect {
        self.failure("You must call one of the tools: calculator or submit_answer.".to_owned())
    }

    fn calculate(&self, arguments: &Value) -> Effect {
        match arguments.get("expr").and_then(Value::as_text).map(evaluate) {
            Some(Ok(output)) => Effect { output, reward: self.config.tool_success_reward, done: false },
            Some(Err(reason)) => self.failure(format!("Error using calculator: {reason}.")),
            None => self.failure("Error using calculator: `expr` must be a text.".to_owned()),
        }
    }

    /// The end, whether the answer is right, wrong or no number.
    fn grade(&self, arguments: &Value) -> Effect {
        let answer = arguments.get("answer").and_then(|answer| match answer {
            Value::Text(text) => float(text),
            answer => answer.as_number(),
        });
        let right = answer.map(|answer| {
            (answer - self.answer).abs() / (self.answer.abs() + self.config.rel_tol) < self.config.rel_tol
        });
        let (output, reward) = match right {
            Some(true) => ("True", self.config.correct_reward),
            Some(false) => ("False", self.config.incorrect_reward),
            None => ("False", self.config.tool_failure_reward),
        };
        Effect { output: output.to_owned(), reward, done: true }
    }

    fn failure(&self, output: String) -> Effect {
        Effect { output, reward: self.config.tool_failure_reward, done: self.config.done_on_failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(answer: Json) -> Problem {
        Problem::read(&json!({"question": "How many?", "answer": answer}).to_string(), Rc::default()).unwrap()
    }

    fn call(problem: &Problem, calls: &[(&str, &str)]) -> Vec<(usize, Effect)> {
        let calls: Vec<_> = calls
            .iter()
            .map(|(name, arguments)| ((*name).to_owned(), gym_env::python::loads(arguments).unwrap()))
            .collect();
        problem.call(&calls)
    }

    #[test]
    fn answers_are_compared_within_the_tolerance() {
        for (gold, given, right) in [
            (json!(12), "\"12\"", true),
            (json!(12), "\" 12.0 \"", true),
            (json!(12), "12", true),
            (json!(1), "true", true),
            (json!(12), "\"1.2e1\"", true),
            (json!(1200), "\"1_200\"", true),
            (json!(12), "\"12.001\"", true),
            (json!(12), "\"12.0013\"", false),
            (json!(12), "\"-12\"", false),
            (json!(12), "\"nan\"", false),
            (json!(12), "\"inf\"", false),
            (json!(12), "NaN", false),
            (json!("so it is #### 1,200"), "\"1200\"", true),
            (json!("0.25"), "\"0.25\"", true),
            (json!(0), "\"0\"", true),
            // The tolerance is added to the right answer's size, so that 0 has one too: less than 0.0001 of 0.0001.
            (json!(0), "0.000000009", true),
            (json!(0), "\"0.000000011\"", false),
            (json!(0), "\"0.001\"", false),
        ] {
            let effects = call(&problem(gold.clone()), &[("submit_answer", &format!("{{\"answer\":{given}}}"))]);
            let (output, reward) = if right { ("True", 1.0) } else { ("False", 0.0) };
            assert_eq!(effects, [(0, Effect { output: output.to_owned(), reward, done: true })], "{given} for {gold}");
        }
    }

    #[test]
    fn a_call_that_cannot_be_done_is_the_end() {
        for (name, arguments) in [
            ("calculator", r#"{"expr": "1 +"}"#),
            ("calculator", r#"{"expr": 3}"#),
            ("calculator", "[]"),
            ("submit_answer", r#"{"answer": "twelve"}"#),
            ("submit_answer", r#"{"answer": "1,200"}"#),
            ("submit_answer", r#"{"answer": null}"#),
            ("submit_answer", "{}"),
            ("ask_a_friend", "{}"),
        ] {
            let effects = call(&problem(json!(12)), &[(name, arguments)]);
            assert_eq!((effects[0].1.reward, effects[0].1.done), (-1.0, true), "{name} {arguments}");
        }
    }

    #[test]
    fn an_answer_is_the_end_even_if_failures_are_not() {
        let config = Config { done_on_failure: false, ..Config::default() };
        let problem = Problem::read(r#"{"question":"How many?","answer":12}"#, Rc::new(config)).unwrap();
        let effects =
            call(&problem, &[("submit_answer", r#"{"answer": "twelve"}"#), ("calculator", r#"{"expr": ""}"#)]);
        assert_eq!((effects[0].1.done, effects[1].1.done), (true, false));
    }

    #[test]
    fn unknown_tools_come_last_and_cost_something_only_if_no_other_is_called() {
        let (unknown, sum) = (("ask", "{}"), ("calculator", r#"{"expr": "3 * 4"}"#));
        let effects = call(&problem(json!(12)), &[unknown, sum]);
        assert_eq!(effects[0], (1, Effect { output: "12".to_owned(), reward: 0.0, done: false }));
        assert_eq!(effects[1], (0, Effect { output: String::new(), reward: 0.0, done: false }));
        let rewards: Vec<f64> = call(&problem(json!(12)), &[unknown, unknown]).iter().map(|(_, e)| e.reward).collect();
        assert_eq!(rewards, [-1.0, -1.0]);
    }

    #[test]
    fn problems_that_cannot_be_read_are_faults() {
        for line in ["", "{}", r#"{"question":"x","answer":"many"}"#, r#"{"question":"x","answer":null}"#] {
            assert!(Problem::read(line, Rc::default()).is_err(), "{line}");
        }
    }
}
