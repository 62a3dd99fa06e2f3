// SPDX-License-Identifier: Apache-2.0
//! Writes `data/example.jsonl` and `tests/cases.jsonl`: `cargo run --example generate_multineedle`. Everything follows from the
//! seeds in `TASKS`.

use std::{fs, io, path::Path};

use gym_env::{Context, Instance};
use multineedle::{Document, MultiNeedle, Question, Spec};
use serde_json::{Value, json};

/// Words and facts of the tasks; the seed is the index.
const TASKS: [(u64, u64); 24] = [
    (400, 1),
    (600, 2),
    (800, 2),
    (1_000, 3),
    (1_200, 1),
    (1_500, 4),
    (2_000, 2),
    (2_000, 5),
    (2_500, 3),
    (3_000, 6),
    (3_000, 1),
    (4_000, 4),
    (4_000, 8),
    (5_000, 2),
    (6_000, 5),
    (7_000, 3),
    (8_000, 7),
    (9_000, 4),
    (10_000, 10),
    (12_000, 2),
    (15_000, 6),
    (20_000, 3),
    (30_000, 8),
    (50_000, 12),
];

const INSTRUCTIONS: &str = "Somewhere in a long text are the answers to the user's questions. Use the tools to look \
                            through it. What was true once does not count, only what is true. Submit all answers \
                            together, in the order of the questions.";

#[allow(dead_code, reason = "a test reads this file as a module")]
fn main() -> io::Result<()> {
    for (path, text) in files()? {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), text)?;
    }
    Ok(())
}

/// Path within the folder and text of each file.
pub(crate) fn files() -> io::Result<Vec<(String, String)>> {
    let mut rows = String::new();
    let mut cases = String::new();
    let mut instance = Instance::<MultiNeedle>::new(Context::for_test().build());
    let tools = instance.describe().map_err(|failure| io::Error::other(format!("{failure:?}")))?.tools;
    let tools: Vec<Value> = tools
        .into_iter()
        .map(|tool| {
            json!({"type": "function", "name": tool.name, "description": tool.description,
                "parameters": tool.parameters, "strict": true})
        })
        .collect();
    for (task, (words, facts)) in (0..).zip(TASKS) {
        let document = Document::new(Spec { seed: task, words, facts });
        let row = json!({
            "responses_create_params": {
                "input": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": prompt(task, &document)}],
                "tools": tools,
            },
            "document": {"seed": task, "words": words, "facts": facts},
        });
        rows.push_str(&format!("{row}\n"));
        for case in [perfect(task, &document), wrong(task, &document)] {
            cases.push_str(&format!("{case}\n"));
        }
    }
    for case in edges(&Document::new(Spec { seed: 1, words: TASKS[1].0, facts: TASKS[1].1 })) {
        cases.push_str(&format!("{case}\n"));
    }
    Ok(vec![("data/example.jsonl".to_owned(), rows), ("tests/cases.jsonl".to_owned(), cases)])
}

fn prompt(task: u64, document: &Document) -> String {
    let questions = (1..).zip(&document.questions);
    let lines =
        questions.map(|(number, Question { place, thing })| format!("{number}. What is the {thing} of the {place}?"));
    format!("These are the questions about text {task}:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

fn call(name: &str, arguments: Value) -> Value {
    json!({"calls": [{"name": name, "arguments": arguments}]})
}

fn submit(answers: &[String]) -> Value {
    call("submit_answers", json!({ "answers": answers }))
}

/// Looks each fact up (the first four of them, to keep the file short) and submits all.
fn perfect(task: u64, document: &Document) -> Value {
    let mut turns = vec![call("get_outline", json!({}))];
    for (question, answer) in document.questions.iter().zip(&document.answers).take(4) {
        turns.push(call("search", json!({"words": format!("{} {}", question.thing, question.place)})));
        let page = document.pages.iter().position(|page| page.contains(answer.as_str())).unwrap_or_default() + 1;
        turns.push(call("read_page", json!({ "page": page })));
    }
    turns.push(submit(&document.answers));
    turns.push(json!({"text": "I have found them all."}));
    let count = document.answers.len();
    json!({"name": format!("text {task} is searched and all {count} are found"), "kind": "perfect", "task": task,
        "turns": turns, "reward": 1.0, "expect": {"facts_found": count, "submitted_answers": document.answers}})
}

fn wrong(task: u64, document: &Document) -> Value {
    let mut answers = document.answers.clone();
    let count = answers.len();
    let (name, turns, found) = match task % 3 {
        0 => {
            answers[0] = "heron-0".to_owned();
            ("one answer is made up", vec![submit(&answers), json!({"text": "Done."})], count - 1)
        }
        1 => ("the answers are only said", vec![json!({"text": answers.join(", ")})], 0),
        _ => {
            answers.rotate_left(1);
            answers[0].push('0');
            ("the answers are in another order", vec![submit(&answers), json!({"text": "Done."})], 0)
        }
    };
    json!({"name": format!("text {task}: {name}"), "kind": "wrong", "task": task, "turns": turns, "reward": 0.0,
        "expect": {"facts_found": found}})
}

fn edges(document: &Document) -> Vec<Value> {
    let right = &document.answers;
    let half = [right[0].clone(), "heron-0".to_owned()];
    let loud: Vec<String> = right.iter().map(|answer| answer.to_uppercase()).collect();
    vec![
        json!({"name": "half of the facts are half of the reward, if that is wanted", "kind": "edge", "task": 1,
            "config": {"grading": "fraction"}, "turns": [submit(&half), {"text": "Done."}], "reward": 0.5,
            "expect": {"found": [true, false]}}),
        json!({"name": "a submission that is too short is rejected, and the one before it counts", "kind": "edge",
            "task": 1, "turns": [submit(right), submit(&right[..1]), {"text": "Done."}], "reward": 1.0,
            "outputs": [{"submitted": 2}, {"error": "there are 2 questions and 1 answers; submit all together"}]}),
        json!({"name": "case of letters does not matter", "kind": "edge", "task": 1,
            "turns": [submit(&loud), {"text": "Done."}], "reward": 1.0}),
        json!({"name": "a text that is too short for its facts is refused", "kind": "edge", "status": 422,
            "task": {"responses_create_params": {"input": "x"}, "document": {"seed": 1, "words": 300, "facts": 9}},
            "turns": [{"text": "?"}]}),
    ]
}
