// SPDX-License-Identifier: Apache-2.0
//! Rollouts as text: a list, or whole conversations.
//!
//! What models and environments wrote is shown with its control characters made visible, so that it can neither move
//! the cursor nor change the terminal's title or colours.

mod conversation;

use std::io::{self, Write};

pub use conversation::conversation;

use crate::{
    index::Index,
    order::{Order, select},
    query::{Query, QueryError},
    table::{Row, State, Table},
};

/// How text is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Whether escape sequences for colours may be used.
    pub colour: bool,
    /// Columns of the terminal; lines of lists are cut to it. `None` cuts nothing.
    pub width: Option<usize>,
}

/// The meaning of a text; what colour it gets is up to the style.
#[derive(Clone, Copy)]
enum Ink {
    Plain,
    Dim,
    Strong,
    Good,
    Bad,
    Warn,
    Role,
}

impl Style {
    fn paint(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => "",
            Ink::Dim => "2",
            Ink::Strong => "1",
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Warn => "33",
            Ink::Role => "1;36",
        };
        if self.colour && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Which rollouts to show, and in which order.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// A filter as [`Query::parse`] reads it.
    pub filter: String,
    /// An order as [`Order::parse`] reads it.
    pub sort: String,
    /// Only rollouts of these tasks, unless empty.
    pub tasks: Vec<i64>,
    /// Only rollouts of this number.
    pub rollout: Option<i64>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// The rollouts that were chosen, and how many there are without the limit.
#[derive(Debug)]
pub struct Chosen {
    /// Positions in [`Table::rows`].
    pub rows: Vec<u32>,
    /// How many pass the filter.
    pub matched: usize,
    /// How many of those have a reward that counts.
    pub scored: u64,
    /// The mean of those rewards.
    pub mean: Option<f64>,
}

/// Chooses rollouts.
pub fn choose(table: &Table, choice: &Choice) -> Result<Chosen, QueryError> {
    let mut query = Query::parse(&choice.filter, table)?;
    let order = Order::parse(&choice.sort, table)?;
    if let Some(rollout) = choice.rollout {
        query = query.and_rollout(rollout);
    }
    let query = query.and_tasks(&choice.tasks);
    let mut selection = select(table, &query, &order);
    let matched = selection.rows.len();
    selection.rows.truncate(choice.limit.unwrap_or(usize::MAX));
    Ok(Chosen { rows: selection.rows, matched, scored: selection.scored, mean: selection.mean })
}

/// One line for each rollout, under a heading.
pub fn list(out: &mut impl Write, index: &Index, rows: &[u32], style: Style) -> io::Result<()> {
    index.with(|table| {
        let rows: Vec<&Row> = rows.iter().filter_map(|row| table.rows().get(*row as usize)).collect();
        let two = index.files().len() > 1;
        let agents = rows.iter().map(|row| table.agent(row).chars().count()).max().unwrap_or(0).clamp(5, 32);
        let file = if two { "file  " } else { "" };
        let heading = format!(
            "{file}{:>8}  {:>7}  {:<agents$}  {:>5}  {:>8}  prompt",
            "task", "reward", "agent", "calls", "tokens"
        );
        writeln!(out, "{}", style.paint(Ink::Dim, heading.trim_end()))?;
        for row in rows {
            line(out, table, row, two, agents, style)?;
        }
        Ok(())
    })
}

fn line(out: &mut impl Write, table: &Table, row: &Row, two: bool, agents: usize, style: Style) -> io::Result<()> {
    let task = match (row.task, row.rollout) {
        (Some(task), Some(rollout)) => format!("{task}:{rollout}"),
        (Some(task), None) => task.to_string(),
        _ => format!("line {}", row.line),
    };
    let (ink, reward) = match row.state {
        State::Scored if row.reward >= 1.0 => (Ink::Good, number(row.reward)),
        State::Scored if row.reward <= 0.0 => (Ink::Bad, number(row.reward)),
        State::Scored => (Ink::Warn, number(row.reward)),
        State::Unscored => (Ink::Dim, "-".to_owned()),
        state => (Ink::Bad, state.name().to_owned()),
    };
    let file = match (two, row.side) {
        (false, _) => "",
        (true, 0) => "a     ",
        (true, _) => "b     ",
    };
    let tokens = if row.tokens.is_nan() { "-".to_owned() } else { number(row.tokens) };
    let agent = cut(&visible(table.agent(row), false), Some(agents));
    let start = format!("{file}{task:>8}  ");
    let middle = format!("  {agent:<agents$}  {:>5}  {tokens:>8}  ", row.calls);
    let failure = visible(table.failure(row), false);
    let title = visible(&row.title, false);
    let words = if failure.is_empty() { title } else { format!("[{failure}] {title}") };
    let used = start.chars().count() + reward.chars().count().max(7) + middle.chars().count();
    let words = cut(&words, style.width.map(|width| width.saturating_sub(used).max(10)));
    writeln!(out, "{start}{}{middle}{words}", style.paint(ink, &format!("{reward:>7}")))
}

/// A number in at most seven characters or so, without zeros at its end.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// The first characters of a text.
fn cut(text: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if text.chars().count() > width => {
            text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
        }
        _ => text.to_owned(),
    }
}

/// A text with its control characters made visible; line breaks and tabs stay if `lines`.
fn visible(text: &str, lines: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\t' if lines => shown.push(character),
            '\r' if lines => {}
            '\0'..='\x1f' => shown.push(char::from_u32(0x2400 + u32::from(character)).unwrap_or('?')),
            '\x7f' => shown.push('\u{2421}'),
            // The second set of control characters, and those that turn the direction of writing.
            '\u{80}'..='\u{9f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
            }
            _ => shown.push(character),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const PLAIN: Style = Style { colour: false, width: None };

    pub(super) fn index(rows: &str) -> (tempfile::TempDir, Index) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        std::fs::write(&path, rows).unwrap();
        let index = Index::open(&[path]).unwrap();
        index.read().unwrap();
        (folder, index)
    }

    const ROWS: &str = "{\"responses_create_params\":{\"input\":\"one\\ntwo \\u001b[31mred\"},\"reward\":0.5,\"_ng_task_index\":3,\"_ng_rollout_index\":1,\"agent_ref\":{\"name\":\"a\"}}\n\
        {\"_ng_failure_class\":\"judge_failed\",\"_ng_task_index\":4}\n";

    #[test]
    fn a_list_has_one_line_for_each_rollout() {
        let (_folder, index) = index(ROWS);
        let mut text = Vec::new();
        list(&mut text, &index, &[0, 1], PLAIN).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "    task   reward  agent  calls    tokens  prompt\n\
             \u{20}    3:1      0.5  a          0         -  one two ␛[31mred\n\
             \u{20}      4   failed             0         -  [judge_failed] \n"
        );
    }

    #[test]
    fn lines_fit_into_the_terminal_and_have_colours_only_there() {
        let (_folder, index) = index(ROWS);
        let mut text = Vec::new();
        list(&mut text, &index, &[0], Style { colour: false, width: Some(60) }).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        let mut text = Vec::new();
        list(&mut text, &index, &[0], Style { colour: true, width: None }).unwrap();
        assert!(String::from_utf8(text).unwrap().contains("\u{1b}[33m    0.5\u{1b}[0m"));
    }

    #[test]
    fn rollouts_are_chosen_by_task_filter_and_limit() {
        let (_folder, index) = index(ROWS);
        let choose = |choice: Choice| index.with(|table| choose(table, &choice)).unwrap();
        assert_eq!(choose(Choice { tasks: vec![4, 9], ..Choice::default() }).rows, [1]);
        assert_eq!(choose(Choice { rollout: Some(1), ..Choice::default() }).rows, [0]);
        assert_eq!(choose(Choice { filter: "is:failed".into(), ..Choice::default() }).rows, [1]);
        let limited = choose(Choice { sort: "-task".into(), limit: Some(1), ..Choice::default() });
        assert_eq!((limited.rows, limited.matched, limited.mean), (vec![1], 2, Some(0.5)));
    }

    #[test]
    fn control_characters_are_made_visible() {
        assert_eq!(visible("a\u{1b}]0;x\u{7}\u{9b}\u{202e}\n\tb\r\n\u{7f}", true), "a␛]0;x␇\\u{9b}\\u{202e}\n\tb\n␡");
        assert_eq!(visible("a\nb", false), "a␊b");
    }
}
