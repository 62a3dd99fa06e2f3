// SPDX-License-Identifier: Apache-2.0
//! Writes the databases, the example tasks and their cases: `cargo run -p sql --example generate_sql`.
//!
//! Everything follows from the seeds below, so that running it again writes the same files.

use std::{fs, io, path::Path};

use gym_env::{Context, Instance, Rng};
use serde_json::{Value, json};
use sql::Sql;

mod databases;
mod tasks;

use tasks::Task;

/// Seed of the databases that models see, and of those that only check an answer.
const SEEDS: [(&str, u64); 2] = [("", 20_260_101), ("_check", 20_260_202)];

const INSTRUCTIONS: &str = "You answer questions about an SQLite database by writing one query. Look at the database \
    with the tools and try queries out. Then give the final query in a block that begins with ```sql and ends with ```. \
    It must return exactly the columns that are asked for; give an order only if the question does.";

#[allow(dead_code, reason = "a test reads this file as a module")]
fn main() -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(folder.join("data/databases"))?;
    for (path, text) in files() {
        fs::write(folder.join(path), text)?;
    }
    Ok(())
}

/// Path within the folder and text of each file.
pub(crate) fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    for (suffix, seed) in SEEDS {
        for (name, make) in databases::ALL {
            files.push((format!("data/databases/{name}{suffix}.sql"), make(&mut Rng::from_seed(seed))));
        }
    }
    let mut rows = String::new();
    let mut cases = String::new();
    for (index, task) in tasks::all().iter().enumerate() {
        rows.push_str(&format!("{}\n", row(task)));
        for case in cases_of(index, task) {
            cases.push_str(&format!("{case}\n"));
        }
    }
    cases.push_str(include_str!("edge_cases.jsonl"));
    files.extend([("data/example.jsonl".to_owned(), rows), ("tests/cases.jsonl".to_owned(), cases)]);
    files
}

fn row(task: &Task) -> Value {
    let description =
        Instance::<Sql>::new(Context::for_test().build()).describe().expect("the tools have strict schemas");
    let tools = description.tools.iter().map(|tool| {
        json!({
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "strict": true,
        })
    });
    json!({
        "responses_create_params": {
            "input": [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": task.question}],
            "tools": tools.collect::<Vec<_>>(),
        },
        "db_id": task.database,
        "check_db_ids": [format!("{}_check", task.database)],
        "gold_sql": task.gold,
    })
}

fn cases_of(index: usize, task: &Task) -> [Value; 3] {
    let block = |sql: &str| format!("```sql\n{sql};\n```");
    let perfect = json!({
        "name": format!("task {index}: a look at the database, then a right query"),
        "kind": "perfect",
        "task": index,
        "turns": [
            {"calls": [{"name": "list_tables", "arguments": {}}]},
            {"calls": [{"name": "run_query", "arguments": {"query": task.other_right}}]},
            {"text": format!("This query answers it.\n\n{}", block(task.other_right))},
        ],
        "reward": 1.0,
        "expect": {"outcome": "match", "extracted_sql": task.other_right, "sql_error": null},
    });
    let gold = json!({
        "name": format!("task {index}: the gold query itself"),
        "kind": "perfect",
        "task": index,
        "turns": [{"text": block(task.gold)}],
        "reward": 1.0,
        "expect": {"outcome": "match"},
    });
    let wrong = json!({
        "name": format!("task {index}: {}", task.mistake),
        "kind": "wrong",
        "task": index,
        "turns": [{"text": block(task.wrong)}],
        "reward": 0.0,
        "expect": {"outcome": "mismatch"},
    });
    [perfect, gold, wrong]
}
