// SPDX-License-Identifier: Apache-2.0
//! Calculations in a world with another arithmetic, by tools. See the README for the reward rule.

use gym_env::{AnyJson, Attempt, Failure, Fault, ItemKind, Refuse, Schema, Verdict, python, resources_server};
use serde::{Deserialize, Serialize};

mod body;
mod functions;
mod trigonometry;

/// The environment keeps nothing between calls.
#[derive(Debug)]
pub struct MathAdvancedCalculations;

/// What grading needs of a row.
#[derive(Debug, Deserialize, Schema)]
#[allow(dead_code, reason = "some fields only say what a row is")]
struct Task {
    /// The values that must come out: JSON text of a list.
    #[schema(json = r#"{"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "string"}]}"#)]
    ground_truth: AnyJson,
    /// Number of the task.
    #[schema(json = r#"{"type": "integer"}"#)]
    id: AnyJson,
    /// How deep expressions are nested.
    #[schema(json = r#"{"type": "integer"}"#)]
    depth: AnyJson,
    /// How many expressions there are.
    #[schema(json = r#"{"type": "integer"}"#)]
    breadth: AnyJson,
}

#[derive(Debug, Serialize)]
struct Solution {
    solution: f64,
}

#[resources_server(reusable, reverify = "stateless")]
impl MathAdvancedCalculations {
    /// Any function of the other world, by its name.
    #[any_tool]
    fn calculate(name: &str, arguments: AnyJson) -> Result<Solution, Failure> {
        let arguments = body::read(arguments.text())?;
        match functions::call(name, arguments) {
            None => Err(Refuse::new(404, "Function not found").into()),
            Some(Err(text)) => Err(Refuse::new(500, text).into()),
            // What is not finite is written as null.
            Some(Ok(solution)) => Ok(Solution { solution }),
        }
    }

    #[verify]
    fn verify(attempt: &Attempt<Task>) -> Result<Verdict, Fault> {
        let text: String = attempt
            .task
            .ground_truth
            .read()
            .map_err(|_| Fault::new("`ground_truth` is a list, and must be the JSON text of one"))?;
        let truth = python::loads(&text).map_err(|_| Fault::new("`ground_truth` is not the JSON text of a list"))?;
        let python::Value::List(truth) = truth else {
            return Err(Fault::new(format!(
                "`ground_truth` is the JSON text of a {}, not of a list",
                truth.type_name()
            )));
        };
        let outputs = attempt.output().filter(|item| item.kind() == ItemKind::FunctionCallOutput);
        let found: Vec<python::Value> = outputs
            .map(|item| item.output().and_then(|output| solution(&output)).unwrap_or(python::Value::None))
            .collect();
        Ok(Verdict::from(truth.iter().all(|value| found.contains(value))))
    }
}

/// The solution in a tool's output: a number, or text that Python reads as one.
fn solution(output: &str) -> Option<python::Value> {
    let output = python::loads(output).ok()?;
    let number = match output.get("solution")? {
        python::Value::Text(text) => python::float(text)?,
        other => other.as_number()?,
    };
    Some(python::Value::Float(number))
}

#[cfg(test)]
mod tests;
