// SPDX-License-Identifier: Apache-2.0
//! SQLite in memory, with a bound on everything that a query can take.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use rusqlite::{
    Batch, Connection, Error, ErrorCode,
    fallible_iterator::FallibleIterator,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
};

use crate::{
    functions,
    table::{Cell, Table},
};

/// After how many instructions of SQLite's virtual machine the budget is looked at.
const STRIDE: i32 = 1_000;

/// Longest text or blob, in bytes.
const MAX_LENGTH: i32 = 1_000_000;

/// Longest statement, in bytes.
const MAX_SQL_LENGTH: i32 = 100_000;

/// Longest pattern of LIKE and GLOB: matching takes time in proportion to pattern times text.
const MAX_PATTERN_LENGTH: i32 = 200;

/// What a query may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Rows of its result.
    pub(crate) rows: usize,
    /// Instructions of SQLite's virtual machine. Counted, not timed: the same query has the same outcome everywhere.
    pub(crate) steps: u64,
    /// Bytes of memory for SQLite, with the database itself; and bytes of a result.
    pub(crate) memory: u64,
}

/// Why a query gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QueryError {
    /// SQLite, or the rule that queries only read, does not take it.
    Invalid(String),
    /// It took more than a limit allows; the text says which.
    OverLimit(String),
}

impl QueryError {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Invalid(text) | Self::OverLimit(text) => text,
        }
    }
}

/// A database of its own, in memory.
pub(crate) struct Database {
    connection: Connection,
    limits: Limits,
    /// Instructions that the running statement has left.
    steps_left: Arc<AtomicU64>,
    /// Whether statements may only read.
    reads_only: Arc<AtomicBool>,
}

impl Database {
    /// Makes a database by running a script. After that it is only read. The script has the same limits as a query.
    pub(crate) fn from_script(script: &str, limits: Limits) -> Result<Self, QueryError> {
        let connection = Connection::open_in_memory().map_err(|error| QueryError::Invalid(error.to_string()))?;
        let mut database =
            Self { connection, limits, steps_left: Arc::default(), reads_only: Arc::new(AtomicBool::new(false)) };
        database.set_limits().map_err(|error| QueryError::Invalid(error.to_string()))?;
        database.refill();
        database.connection.execute_batch(script).map_err(|error| database.explain(&error))?;
        database.reads_only.store(true, Ordering::Relaxed);
        Ok(database)
    }

    fn set_limits(&mut self) -> Result<(), Error> {
        let connection = &mut self.connection;
        connection.pragma_update(None, "hard_heap_limit", i64::try_from(self.limits.memory).unwrap_or(i64::MAX))?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "trusted_schema", false)?;
        for (limit, value) in [
            (Limit::SQLITE_LIMIT_LENGTH, MAX_LENGTH),
            (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN_LENGTH),
            (Limit::SQLITE_LIMIT_COLUMN, 200),
            (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
            (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
            (Limit::SQLITE_LIMIT_VDBE_OP, 100_000),
            (Limit::SQLITE_LIMIT_ATTACHED, 0),
        ] {
            connection.set_limit(limit, value)?;
        }
        functions::install(connection, Arc::clone(&self.steps_left), MAX_LENGTH.unsigned_abs() as usize)?;
        let left = Arc::clone(&self.steps_left);
        connection.progress_handler(
            STRIDE,
            Some(move || {
                let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    Some(left.saturating_sub(u64::from(STRIDE.unsigned_abs())))
                });
                before.is_ok_and(|before| before == 0)
            }),
        )?;
        let reads_only = Arc::clone(&self.reads_only);
        connection.authorizer(Some(move |context: AuthContext<'_>| {
            if reads_only.load(Ordering::Relaxed) {
                allow_reading(&context.action)
            } else {
                allow_making(&context.action)
            }
        }))?;
        Ok(())
    }

    fn refill(&self) {
        self.steps_left.store(self.limits.steps, Ordering::Relaxed);
    }

    /// The result of one statement that reads.
    pub(crate) fn query(&self, sql: &str) -> Result<Table, QueryError> {
        if sql.len() > MAX_SQL_LENGTH.unsigned_abs() as usize {
            return Err(QueryError::OverLimit(format!("the query is longer than {MAX_SQL_LENGTH} bytes")));
        }
        if sql.contains('\0') {
            return Err(QueryError::Invalid("the query has a zero byte".to_owned()));
        }
        self.refill();
        let mut batch = Batch::new(&self.connection, sql);
        let first = batch.next().map_err(|error| self.explain(&error))?;
        let mut statement = first.ok_or_else(|| QueryError::Invalid("there is no statement".to_owned()))?;
        // Looked at before the first one runs: of two statements neither does.
        if batch.next().map_err(|error| self.explain(&error))?.is_some() {
            return Err(QueryError::Invalid("only one statement at a time".to_owned()));
        }
        if !statement.readonly() || statement.column_count() == 0 {
            return Err(QueryError::Invalid("only queries that read are allowed".to_owned()));
        }
        if statement.parameter_count() > 0 {
            return Err(QueryError::Invalid("the query has parameters without a value".to_owned()));
        }
        let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut table = Table { columns, rows: Vec::new() };
        let mut size = 0;
        let mut rows = statement.query([]).map_err(|error| self.explain(&error))?;
        while let Some(row) = rows.next().map_err(|error| self.explain(&error))? {
            if table.rows.len() == self.limits.rows {
                return Err(QueryError::OverLimit(format!("the result has more than {} rows", self.limits.rows)));
            }
            let mut cells = Vec::with_capacity(table.columns.len());
            for index in 0..table.columns.len() {
                cells.push(Cell::from_sqlite(row.get_ref(index).map_err(|error| self.explain(&error))?));
            }
            size += cells.iter().map(Cell::size).sum::<usize>();
            if size as u64 > self.limits.memory {
                return Err(QueryError::OverLimit(format!("the result is larger than {} bytes", self.limits.memory)));
            }
            table.rows.push(cells);
        }
        Ok(table)
    }

    /// Tables and views by name, with what they were created by. SQLite's own are left out.
    pub(crate) fn tables(&self) -> Result<Vec<(String, String)>, QueryError> {
        let found = self.query(
            "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' \
             ESCAPE '\\' ORDER BY name",
        )?;
        let named = found.rows.into_iter().filter_map(|row| match <[Cell; 2]>::try_from(row) {
            Ok([Cell::Text(name), Cell::Text(sql)]) => Some((name, sql)),
            _ => None,
        });
        Ok(named.collect())
    }

    fn explain(&self, error: &Error) -> QueryError {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => {
                QueryError::OverLimit(format!("the query takes more than {} steps", self.limits.steps))
            }
            Some(ErrorCode::OutOfMemory) => {
                QueryError::OverLimit(format!("the query takes more than {} bytes of memory", self.limits.memory))
            }
            Some(ErrorCode::TooBig) => QueryError::OverLimit(format!("a value is larger than {MAX_LENGTH} bytes")),
            Some(ErrorCode::AuthorizationForStatementDenied) => {
                QueryError::Invalid("only queries that read are allowed".to_owned())
            }
            _ => QueryError::Invalid(error.to_string()),
        }
    }
}

/// What a query may do.
fn allow_reading(action: &AuthAction<'_>) -> Authorization {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } if !function_name.eq_ignore_ascii_case("load_extension") => {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// What the script of a database may do: everything but to leave it.
fn allow_making(action: &AuthAction<'_>) -> Authorization {
    match action {
        AuthAction::Attach { .. } | AuthAction::Detach { .. } | AuthAction::Pragma { .. } => Authorization::Deny,
        AuthAction::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => {
            Authorization::Deny
        }
        _ => Authorization::Allow,
    }
}
