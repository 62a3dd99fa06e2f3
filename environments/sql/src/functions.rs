// SPDX-License-Identifier: Apache-2.0
//! `instr`, `replace` and `trim`: SQLite's own take time by the product of the lengths of what they get, within one
//! instruction, which is no time that a query has. These take time by the sum, and count it as instructions.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use memchr::memmem;
use rusqlite::{
    Connection, Error, ffi,
    functions::{Context, FunctionFlags},
    types::{ToSql, ToSqlOutput, ValueRef},
};

/// How much is read in the time of an instruction.
const BYTES_A_STEP: usize = 64;

/// Text that need not be UTF-8, as SQLite's own.
struct Text(Vec<u8>);

impl ToSql for Text {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, Error> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(&self.0)))
    }
}

/// What the functions share.
#[derive(Clone)]
struct Shared {
    /// Instructions that the running statement has left.
    steps_left: Arc<AtomicU64>,
    /// Writes numbers as SQLite does.
    writer: Arc<Mutex<Connection>>,
    /// Longest value, in bytes.
    most: usize,
}

/// Puts the functions in the place of SQLite's.
pub(crate) fn install(connection: &Connection, steps_left: Arc<AtomicU64>, most: usize) -> Result<(), Error> {
    let writer = Arc::new(Mutex::new(Connection::open_in_memory()?));
    let shared = Shared { steps_left, writer, most };
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let own = shared.clone();
    connection.create_scalar_function("instr", 2, flags, move |context| own.instr(context))?;
    let own = shared.clone();
    connection.create_scalar_function("replace", 3, flags, move |context| own.replace(context))?;
    for (name, left, right) in [("trim", true, true), ("ltrim", true, false), ("rtrim", false, true)] {
        for arguments in [1, 2] {
            let own = shared.clone();
            let trim = move |context: &Context<'_>| own.trim(context, left, right);
            connection.create_scalar_function(name, arguments, flags, trim)?;
        }
    }
    Ok(())
}

impl Shared {
    /// Counts what is read or written. The error ends the statement.
    fn charge(&self, bytes: usize) -> Result<(), Error> {
        let steps = (bytes / BYTES_A_STEP) as u64;
        let left = self.steps_left.load(Ordering::Relaxed);
        self.steps_left.store(left.saturating_sub(steps), Ordering::Relaxed);
        if steps > left { Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None)) } else { Ok(()) }
    }

    /// An argument as text; none for NULL.
    fn text<'a>(&self, context: &'a Context<'_>, index: usize) -> Result<Option<Cow<'a, [u8]>>, Error> {
        let text = match context.get_raw(index) {
            ValueRef::Null => return Ok(None),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Cow::Borrowed(bytes),
            ValueRef::Integer(number) => Cow::Owned(number.to_string().into_bytes()),
            ValueRef::Real(number) => {
                let writer = self.writer.lock().map_err(|_| Error::InvalidQuery)?;
                let mut statement = writer.prepare("SELECT CAST(?1 AS TEXT)")?;
                Cow::Owned(statement.query_row([number], |row| row.get::<_, String>(0))?.into_bytes())
            }
        };
        self.charge(text.len())?;
        Ok(Some(text))
    }

    /// Where the second argument begins in the first: 1 is the beginning, 0 nowhere. In characters, or in bytes if both
    /// are blobs.
    fn instr(&self, context: &Context<'_>) -> Result<Option<i64>, Error> {
        let (Some(text), Some(wanted)) = (self.text(context, 0)?, self.text(context, 1)?) else {
            return Ok(None);
        };
        let are_blobs = (0..2).all(|index| matches!(context.get_raw(index), ValueRef::Blob(_)));
        let is_inside = |at: usize| at > 0 && text.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
        // A text that begins inside of a character is found at the very beginning only.
        let found = memmem::find(&text, &wanted).filter(|at| are_blobs || wanted.is_empty() || !is_inside(*at));
        Ok(Some(match found {
            None => 0,
            Some(at) if are_blobs => at as i64 + 1,
            Some(at) => 1 + (1..=at).filter(|at| !is_inside(*at)).count() as i64,
        }))
    }

    /// The first argument with the third in the place of the second.
    fn replace(&self, context: &Context<'_>) -> Result<Option<Text>, Error> {
        let Some(text) = self.text(context, 0)? else { return Ok(None) };
        let Some(wanted) = self.text(context, 1)? else { return Ok(None) };
        if matches!(wanted.first(), None | Some(0)) {
            return Ok(Some(Text(text.into_owned())));
        }
        let Some(other) = self.text(context, 2)? else { return Ok(None) };
        let places: Vec<usize> = memmem::find_iter(&text, &*wanted).collect();
        // `usize` has 32 bits in the component.
        let (count, grown) = (places.len() as u64, other.len() as u64);
        let length = text.len() as u64 + count * grown - count * wanted.len() as u64;
        if length > self.most as u64 {
            return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
        }
        let length = length as usize;
        self.charge(length)?;
        let mut result = Vec::with_capacity(length);
        let mut from = 0;
        for place in places {
            result.extend_from_slice(&text[from..place]);
            result.extend_from_slice(&other);
            from = place + wanted.len();
        }
        result.extend_from_slice(&text[from..]);
        Ok(Some(Text(result)))
    }

    /// The first argument without the characters of the second, or without spaces, at its ends.
    fn trim(&self, context: &Context<'_>, left: bool, right: bool) -> Result<Option<Text>, Error> {
        let Some(text) = self.text(context, 0)? else { return Ok(None) };
        let characters = if context.len() > 1 { self.text(context, 1)? } else { Some(Cow::Borrowed(&b" "[..])) };
        let Some(characters) = characters else { return Ok(None) };
        let characters = characters_of(&characters);
        let mut rest = &text[..];
        while left
            && let Some(length) =
                (1..=4).find(|length| rest.get(..*length).is_some_and(|start| characters.contains(start)))
        {
            rest = &rest[length..];
        }
        let ends_with = |rest: &[u8], length: usize| {
            rest.len().checked_sub(length).is_some_and(|start| characters.contains(&rest[start..]))
        };
        while right && let Some(length) = (1..=4).find(|length| ends_with(rest, *length)) {
            rest = &rest[..rest.len() - length];
        }
        Ok(Some(Text(rest.to_vec())))
    }
}

/// The characters of a text, up to a zero byte.
fn characters_of(text: &[u8]) -> HashSet<&[u8]> {
    let mut rest = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let mut found = HashSet::new();
    while let Some(first) = rest.first() {
        let more = rest[1..].iter().take_while(|byte| *first >= 0xc0 && **byte & 0xc0 == 0x80).count();
        let (character, others) = rest.split_at(1 + more);
        found.insert(character);
        rest = others;
    }
    found
}

#[cfg(test)]
mod tests {
    use gym_env::Rng;
    use rusqlite::types::Value;

    use super::*;

    fn pair(steps: u64) -> (Connection, Connection, Arc<AtomicU64>) {
        let (own, plain) = (Connection::open_in_memory().unwrap(), Connection::open_in_memory().unwrap());
        let steps_left = Arc::new(AtomicU64::new(steps));
        install(&own, Arc::clone(&steps_left), 1_000).unwrap();
        (own, plain, steps_left)
    }

    #[test]
    fn they_give_what_those_of_sqlite_give() {
        let (own, plain, _) = pair(u64::MAX);
        let values = [
            "NULL",
            "''",
            "'a'",
            "'ab'",
            "'abab'",
            "' a b '",
            "'é'",
            "'éaé'",
            "'aé\u{1f600}'",
            "x''",
            "x'61'",
            "x'6162'",
            "x'c3a9'",
            "CAST(x'a9' AS TEXT)",
            "CAST(x'c3' AS TEXT)",
            "CAST(x'6100' AS TEXT)",
            "CAST(x'00' AS TEXT)",
            "1",
            "-12",
            "1.5",
            "1e300",
            "0.1",
            "-0.0",
            "2.0",
            "123456789012345678",
            "'1.5'",
            "'  '",
            "9e999",
        ];
        let mut rng = Rng::from_seed(5);
        let mut value = || rng.choose(&values).copied().unwrap();
        for round in 0..6_000 {
            let (a, b, c) = (value(), value(), value());
            let call = match round % 6 {
                0 => format!("instr({a}, {b})"),
                1 => format!("replace({a}, {b}, {c})"),
                2 => format!("trim({a}, {b})"),
                3 => format!("ltrim({a}, {b})"),
                4 => format!("rtrim({a}, {b})"),
                _ => format!("hex(trim({a})) || '|' || hex(ltrim({b})) || '|' || hex(rtrim({c}))"),
            };
            let sql = format!("SELECT hex(x) || typeof(x) FROM (SELECT {call} AS x)");
            let read = |connection: &Connection| connection.query_row(&sql, [], |row| row.get::<_, Option<Value>>(0));
            assert_eq!(read(&own), read(&plain), "{sql}");
        }
    }

    #[test]
    fn what_they_read_is_counted() {
        let (own, _, steps_left) = pair(100);
        let run = |sql: &str| own.query_row(sql, [], |_| Ok(())).map_err(|error| error.sqlite_error_code());
        assert_eq!(run("SELECT instr(zeroblob(3200), x'01')"), Ok(()));
        assert_eq!(steps_left.load(Ordering::Relaxed), 50);
        let interrupted = Err(Some(rusqlite::ErrorCode::OperationInterrupted));
        assert_eq!(run("SELECT trim(zeroblob(6400))"), interrupted);
        assert_eq!(run("SELECT replace(hex(zeroblob(64)), '0', 'a')"), interrupted, "nothing is left");
    }

    #[test]
    fn a_text_that_would_be_too_long_is_not_made() {
        let (own, _, _) = pair(u64::MAX);
        let made = own.query_row("SELECT replace(hex(zeroblob(400)), '0', 'ab')", [], |_| Ok(()));
        assert_eq!(made.unwrap_err().sqlite_error_code(), Some(rusqlite::ErrorCode::TooBig));
    }
}
