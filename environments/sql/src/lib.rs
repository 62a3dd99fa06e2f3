// SPDX-License-Identifier: Apache-2.0
//! Questions about a database, answered by an SQL query. See the README for the reward rule.

use gym_env::{Attempt, Context, Failure, Fault, Refuse, Reject, Schema, ToolResult, Verdict, resources_server};
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod answer;
mod compare;
mod database;
mod functions;
mod table;

use compare::{ColumnOrder, Rules, same};
use database::{Database, Limits, QueryError};
use table::Table;

/// Settings in the server's configuration.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Config {
    /// Rows of a result.
    max_rows: usize,
    /// Instructions of SQLite's virtual machine that one query may run.
    max_steps: u64,
    /// Memory of SQLite, in MiB.
    max_memory_mb: u64,
    /// Rows that the tools show.
    shown_rows: usize,
    /// How far numbers may be apart that are not whole.
    numeric_tolerance: Tolerance,
    /// Which order of columns is right.
    column_order: ColumnOrder,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_rows: 10_000,
            max_steps: 20_000_000,
            max_memory_mb: 32,
            shown_rows: 20,
            numeric_tolerance: Tolerance(1e-6),
            column_order: ColumnOrder::Any,
        }
    }
}

impl Config {
    fn limits(&self) -> Limits {
        Limits { rows: self.max_rows, steps: self.max_steps, memory: self.max_memory_mb.saturating_mul(1 << 20) }
    }
}

/// A number from 0 up to, not including, 1.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "f64")]
struct Tolerance(f64);

impl TryFrom<f64> for Tolerance {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if (0.0..1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("`numeric_tolerance` is {value}; it must be at least 0 and less than 1"))
        }
    }
}

/// What a session needs of a row.
#[derive(Debug, Deserialize, Schema)]
struct Start {
    /// Name of a script in `data/databases`, without `.sql`.
    db_id: Option<String>,
    /// The script itself, in place of a name.
    db_script: Option<String>,
}

/// What grading needs of a row.
#[derive(Debug, Deserialize, Schema)]
struct Task {
    /// Name of a script in `data/databases`, without `.sql`.
    db_id: Option<String>,
    /// The script itself, in place of a name.
    db_script: Option<String>,
    /// A right query.
    gold_sql: String,
    /// Other databases with the same tables, on which the answer must be right too.
    #[serde(default)]
    check_db_ids: Vec<String>,
    /// Whether the order of rows counts; if nothing is said, when the gold query has `ORDER BY`.
    ordered: Option<bool>,
}

/// One session: the database that the tools look at.
pub struct Sql {
    database: Database,
}

impl std::fmt::Debug for Sql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sql").finish_non_exhaustive()
    }
}

#[derive(Debug, Serialize)]
struct TableSummary {
    name: String,
    rows: Value,
}

#[derive(Debug, Serialize)]
struct TableDescription {
    sql: String,
    example: Shown,
}

/// A result as the model reads it.
#[derive(Debug, Serialize)]
struct Shown {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    row_count: usize,
    truncated: bool,
}

impl Shown {
    fn new(table: &Table, shown_rows: usize) -> Self {
        Self {
            columns: table.columns.clone(),
            rows: table.rows.iter().take(shown_rows).map(|row| row.iter().map(table::Cell::shown).collect()).collect(),
            row_count: table.rows.len(),
            truncated: table.rows.len() > shown_rows,
        }
    }
}

/// The script that makes the database of a row.
fn script(db_id: Option<&str>, db_script: Option<&str>, cx: &mut Context) -> Result<String, Failure> {
    match (db_id, db_script) {
        (Some(name), None) => named_script(name, cx),
        (None, Some(script)) => Ok(script.to_owned()),
        _ => Err(Refuse::new(422, "a row has either `db_id` or `db_script`").into()),
    }
}

fn named_script(name: &str, cx: &mut Context) -> Result<String, Failure> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(Refuse::new(422, "`db_id` has letters, digits, `_` and `-` only").into());
    }
    Ok(cx.read_text(&format!("data/databases/{name}.sql"))?)
}

fn open(script: &str, limits: Limits) -> Result<Database, Fault> {
    Database::from_script(script, limits)
        .map_err(|error| Fault::new(format!("the script of the database failed: {}", error.text())))
}

#[resources_server(verify = "call", reverify = "stateless", echo, config = Config, scores(accuracy = "reward"))]
impl Sql {
    #[seed_session]
    fn seed(start: Start, cx: &mut Context) -> Result<Self, Failure> {
        let limits = cx.config::<Config>()?.limits();
        let script = script(start.db_id.as_deref(), start.db_script.as_deref(), cx)?;
        Ok(Self { database: open(&script, limits)? })
    }

    /// List the tables and views of the database with their numbers of rows.
    #[tool]
    fn list_tables(&mut self) -> ToolResult<Vec<TableSummary>> {
        let tables = self.database.tables().map_err(for_model)?;
        let counted = tables.into_iter().map(|(name, _)| {
            let count = self.database.query(&format!("SELECT count(*) FROM {}", quoted(&name)));
            let rows = count.ok().and_then(|table| Some(table.rows.first()?.first()?.shown()));
            TableSummary { name, rows: rows.unwrap_or(Value::Null) }
        });
        Ok(counted.collect())
    }

    /// Show how a table was created, and its first three rows.
    #[tool]
    fn describe_table(
        &mut self,
        /// Name of the table or view.
        table: String,
    ) -> ToolResult<TableDescription> {
        let tables = self.database.tables().map_err(for_model)?;
        let known = tables.iter().find(|(name, _)| name.eq_ignore_ascii_case(&table));
        let Some((name, sql)) = known else {
            let names: Vec<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();
            let text = format!("there is no table `{table}`; the tables are: {}", names.join(", "));
            return Err(Reject::new(text).into());
        };
        let example = self.database.query(&format!("SELECT * FROM {} LIMIT 3", quoted(name))).map_err(for_model)?;
        Ok(TableDescription { sql: sql.clone(), example: Shown::new(&example, 3) })
    }

    /// Run a query that reads, and show the beginning of its result.
    #[tool]
    fn run_query(
        &mut self,
        /// One SELECT statement in SQLite's dialect.
        query: String,
        cx: &mut Context,
    ) -> ToolResult<Shown> {
        let config = cx.config::<Config>()?;
        let table = self.database.query(&query).map_err(for_model)?;
        Ok(Shown::new(&table, config.shown_rows))
    }

    #[verify]
    fn verify(attempt: &Attempt<Task>, cx: &mut Context) -> Result<Verdict, Failure> {
        let config = cx.config::<Config>()?;
        let task = &attempt.task;
        let mut scripts = vec![script(task.db_id.as_deref(), task.db_script.as_deref(), cx)?];
        for name in &task.check_db_ids {
            scripts.push(named_script(name, cx)?);
        }
        let text = attempt.response.assistant_text();
        let answer = answer::last_sql_block(&text);
        let rules = Rules {
            ordered: task.ordered.unwrap_or_else(|| answer::orders(&task.gold_sql)),
            columns: config.column_order,
            tolerance: config.numeric_tolerance.0,
        };
        let mut outcome = Outcome::Match;
        for script in &scripts {
            let database = open(script, config.limits())?;
            let gold = database
                .query(&task.gold_sql)
                .map_err(|error| Fault::new(format!("the gold query failed: {}", error.text())))?;
            if let (Outcome::Match, Some(sql)) = (&outcome, answer) {
                outcome = Outcome::of(database.query(sql), &gold, rules);
            }
        }
        if answer.is_none() {
            outcome = Outcome::NoSql;
        }
        let error = match &outcome {
            Outcome::Invalid(text) | Outcome::OverLimit(text) => Some(text.as_str()),
            Outcome::Match | Outcome::Mismatch | Outcome::NoSql => None,
        };
        Ok(Verdict::from(outcome == Outcome::Match)
            .field("extracted_sql", answer)
            .field("outcome", outcome.name())
            .field("sql_error", error))
    }
}

/// What came of the answer's query.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Match,
    Mismatch,
    NoSql,
    Invalid(String),
    OverLimit(String),
}

impl Outcome {
    fn of(result: Result<Table, QueryError>, gold: &Table, rules: Rules) -> Self {
        match result {
            Ok(found) if same(gold, &found, rules) => Self::Match,
            Ok(_) => Self::Mismatch,
            Err(QueryError::Invalid(text)) => Self::Invalid(text),
            Err(QueryError::OverLimit(text)) => Self::OverLimit(text),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Mismatch => "mismatch",
            Self::NoSql => "no_sql",
            Self::Invalid(_) => "invalid",
            Self::OverLimit(_) => "over_limit",
        }
    }
}

/// An error of a query, told to the model that wrote it.
fn for_model(error: QueryError) -> Failure {
    Reject::new(error.text()).into()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests;
