// SPDX-License-Identifier: Apache-2.0
//! Which rollouts to show: `reward<1 agent:math is:failed "prime number" -tokens>2000`.

use crate::table::{NUMBER_FIELDS, State, Table};

/// A filter: every term must hold.
#[derive(Clone, Debug, Default)]
pub struct Query {
    terms: Vec<(bool, Term)>,
}

#[derive(Clone, Debug)]
enum Term {
    /// Words of the prompt, the agent or the failure; in lower case.
    Words(String),
    /// A field that holds text contains this, or is this.
    Text {
        field: TextField,
        text: String,
        whole: bool,
    },
    /// A field that holds a number.
    Number {
        field: String,
        test: Test,
        value: f64,
    },
    State(State),
    /// The highest reward there is, at least 1.
    Full,
    /// A reward of zero that counts.
    Zero,
    Side(u8),
    Tasks(Vec<i64>),
}

#[derive(Clone, Copy, Debug)]
enum TextField {
    Agent,
    Model,
    Failure,
    Prompt,
}

#[derive(Clone, Copy, Debug)]
enum Test {
    Less,
    AtMost,
    Equal,
    Unequal,
    AtLeast,
    More,
}

/// A filter that makes no sense.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// There is no such field.
    #[error("there is no field `{name}`; there are: {known}")]
    Field {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A number was expected.
    #[error("`{field}` is compared with a number, and `{text}` is none")]
    Number {
        /// The field.
        field: String,
        /// What stands there.
        text: String,
    },
    /// A state or a side of that name does not exist.
    #[error("`{term}` is unknown; there are: {known}")]
    Word {
        /// What was asked for.
        term: String,
        /// What there is.
        known: &'static str,
    },
}

const STATES: &str = "is:scored, is:unscored, is:masked, is:failed, is:unreadable, is:full, is:zero";

impl Query {
    /// Reads a filter. Words are looked for in prompt, agent and failure, whatever their case; `"…"` keeps words
    /// together; `field:text`, `field=text` and `field>1` look at fields; `is:failed` at what became of the rollout;
    /// `-` before a term turns it around.
    pub fn parse(text: &str, table: &Table) -> Result<Self, QueryError> {
        let mut terms = Vec::new();
        for Word { text, quoted, negated } in words(text) {
            let term = if quoted { Term::Words(text.to_lowercase()) } else { term(&text, table)? };
            terms.push((!negated, term));
        }
        Ok(Self { terms })
    }

    /// Adds that the rollout is one of these tasks; of any if there are none.
    pub fn and_tasks(mut self, tasks: &[i64]) -> Self {
        if !tasks.is_empty() {
            self.terms.push((true, Term::Tasks(tasks.to_vec())));
        }
        self
    }

    /// Adds that the rollout's number is this.
    pub fn and_rollout(mut self, rollout: i64) -> Self {
        let field = "rollout".to_owned();
        self.terms.push((true, Term::Number { field, test: Test::Equal, value: rollout as f64 }));
        self
    }

    /// Whether it lets everything pass.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether the row at `index` passes.
    pub fn matches(&self, table: &Table, index: usize) -> bool {
        self.terms.iter().all(|(expected, term)| term.holds(table, index) == *expected)
    }
}

impl Term {
    fn holds(&self, table: &Table, index: usize) -> bool {
        let row = &table.rows()[index];
        match self {
            Self::Words(words) => {
                contains(&row.search, words)
                    || contains_any_case(table.agent(row), words)
                    || contains_any_case(table.failure(row), words)
            }
            Self::Text { field, text, whole } => {
                let value = match field {
                    TextField::Agent => table.agent(row),
                    TextField::Model => table.model(row),
                    TextField::Failure => table.failure(row),
                    TextField::Prompt => return contains(&row.search, text),
                };
                if *whole { value.eq_ignore_ascii_case(text) } else { contains_any_case(value, text) }
            }
            Self::Number { field, test, value } => {
                let number = table.value(field, index).unwrap_or(f64::NAN);
                match test {
                    Test::Less => number < *value,
                    Test::AtMost => number <= *value,
                    Test::Equal => number == *value,
                    Test::Unequal => !number.is_nan() && number != *value,
                    Test::AtLeast => number >= *value,
                    Test::More => number > *value,
                }
            }
            Self::State(state) => row.state == *state,
            Self::Full => row.state == State::Scored && row.reward >= 1.0,
            Self::Zero => row.state == State::Scored && row.reward == 0.0,
            Self::Side(side) => row.side == *side,
            Self::Tasks(tasks) => row.task.is_some_and(|task| tasks.contains(&task)),
        }
    }
}

fn contains(text: &str, words: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), words.as_bytes()).is_some()
}

/// `words` is in lower case.
fn contains_any_case(text: &str, words: &str) -> bool {
    text.len() >= words.len() && !text.is_empty() && contains(&text.to_lowercase(), words)
}

struct Word {
    text: String,
    /// Whether it began with a quotation mark.
    quoted: bool,
    negated: bool,
}

/// Words at white space, with quotation marks that keep words together.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(&first) = characters.peek() {
        if first.is_whitespace() {
            characters.next();
            continue;
        }
        let mut word = Word { text: String::new(), quoted: false, negated: false };
        if first == '-' {
            characters.next();
            // A lone minus is a word.
            match characters.peek() {
                Some(next) if !next.is_whitespace() => word.negated = true,
                _ => word.text.push('-'),
            }
        }
        word.quoted = characters.peek() == Some(&'"');
        let mut open = false;
        while let Some(&next) = characters.peek() {
            if next.is_whitespace() && !open {
                break;
            }
            characters.next();
            if next == '"' {
                open = !open;
            } else {
                word.text.push(next);
            }
        }
        if !word.text.is_empty() {
            words.push(word);
        }
    }
    words
}

fn term(word: &str, table: &Table) -> Result<Term, QueryError> {
    let Some(at) = word.find([':', '=', '<', '>', '!']).filter(|at| *at > 0) else {
        return Ok(Term::Words(word.to_lowercase()));
    };
    let (name, rest) = word.split_at(at);
    let operators = [
        ("<=", Test::AtMost),
        (">=", Test::AtLeast),
        ("!=", Test::Unequal),
        ("==", Test::Equal),
        ("<", Test::Less),
        (">", Test::More),
        ("=", Test::Equal),
        (":", Test::Equal),
    ];
    let Some((sign, test)) = operators.into_iter().find(|(sign, _)| rest.starts_with(sign)) else {
        return Ok(Term::Words(word.to_lowercase()));
    };
    let value = &rest[sign.len()..];
    let field = match name.to_ascii_lowercase().as_str() {
        "is" => return state(word, value),
        "file" => {
            return match value.to_ascii_lowercase().as_str() {
                "a" | "1" => Ok(Term::Side(0)),
                "b" | "2" => Ok(Term::Side(1)),
                _ => Err(QueryError::Word { term: word.to_owned(), known: "file:a, file:b" }),
            };
        }
        "agent" => Some(TextField::Agent),
        "model" => Some(TextField::Model),
        "failure" => Some(TextField::Failure),
        "prompt" => Some(TextField::Prompt),
        _ => None,
    };
    if let (Some(field), Test::Equal) = (field, test) {
        return Ok(Term::Text { field, text: value.to_lowercase(), whole: sign != ":" });
    }
    let is_number = |field: &str| NUMBER_FIELDS.contains(&field) || table.number_names().any(|name| name == field);
    if is_number(name) {
        let field = name.to_owned();
        let value = value.parse().map_err(|_| QueryError::Number { field: field.clone(), text: value.to_owned() })?;
        return Ok(Term::Number { field, test, value });
    }
    // Something like `https://…` or `x:y` in a prompt is no field, but `colour>3` would silently find nothing.
    let is_name = name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    if sign == ":" && (!is_name || value.starts_with("//")) {
        return Ok(Term::Words(word.to_lowercase()));
    }
    let known = NUMBER_FIELDS.into_iter().chain(["agent", "model", "failure", "prompt", "file", "is"]);
    let known = known.chain(table.number_names()).collect::<Vec<_>>().join(", ");
    Err(QueryError::Field { name: name.to_owned(), known })
}

fn state(term: &str, name: &str) -> Result<Term, QueryError> {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "full" => return Ok(Term::Full),
        "zero" => return Ok(Term::Zero),
        _ => {}
    }
    let state = State::ALL.into_iter().find(|state| state.name() == name);
    state.map(Term::State).ok_or_else(|| QueryError::Word { term: term.to_owned(), known: STATES })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{extract, table::Place};

    fn table() -> Table {
        let rows = [
            r#"{"responses_create_params":{"input":"Find a PRIME number"},"reward":1,"accuracy":1,
                "_ng_task_index":0,"_ng_rollout_index":0,"agent_ref":{"name":"Math"}}"#,
            r#"{"responses_create_params":{"input":"See https://x.org"},"reward":0,"accuracy":0.25,
                "_ng_task_index":1,"response":{"usage":{"total_tokens":3000}},"agent_ref":{"name":"web"}}"#,
            r#"{"_ng_failure_class":"judge_failed","_ng_task_index":1,"agent_ref":{"name":"math_judge"}}"#,
            "not json",
        ];
        let mut table = Table::default();
        for (row, line) in rows.into_iter().zip(1..) {
            let place = Place { side: u8::from(line == 2), in_failures: false, line, offset: 0, bytes: 0 };
            table.push(place, extract::facts(Bytes::from_static(row.as_bytes())));
        }
        table
    }

    #[test]
    fn filters_choose_rows() {
        let table = table();
        for (filter, expected) in [
            ("", &[0, 1, 2, 3][..]),
            ("prime", &[0]),
            ("\"prime number\"", &[0]),
            ("\"number prime\"", &[]),
            ("number prime", &[0]),
            ("math", &[0, 2]),
            ("agent:math", &[0, 2]),
            ("agent=math", &[0]),
            ("-agent:math", &[1, 3]),
            ("is:failed", &[2]),
            ("-is:failed is:zero", &[1]),
            ("is:full", &[0]),
            ("is:unreadable", &[3]),
            ("failure:judge", &[2]),
            ("judge_failed", &[2]),
            ("reward<1", &[1]),
            ("reward<=1", &[0, 1]),
            ("reward!=1", &[1]),
            ("accuracy>=0.25 accuracy<0.5", &[1]),
            ("task:1", &[1, 2]),
            ("task=0", &[0]),
            ("tokens>2999", &[1]),
            ("-tokens>2999", &[0, 2, 3]),
            ("file:b", &[1]),
            ("https://x", &[1]),
            ("-", &[]),
            ("<1", &[]),
        ] {
            let query = Query::parse(filter, &table).unwrap();
            let found: Vec<usize> = (0..4).filter(|index| query.matches(&table, *index)).collect();
            assert_eq!(found, expected, "{filter}");
        }
    }

    #[test]
    fn filters_without_sense_are_refused() {
        let table = table();
        for (filter, part) in [
            ("colour>3", "no field `colour`"),
            ("colour:red", "there are: reward, tokens"),
            ("reward>high", "`high` is none"),
            ("is:purple", "is:failed"),
            ("file:c", "file:a"),
            ("agent>3", "no field `agent`"),
        ] {
            let error = Query::parse(filter, &table).unwrap_err().to_string();
            assert!(error.contains(part), "{filter}: {error}");
        }
    }
}
