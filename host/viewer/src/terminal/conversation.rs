// SPDX-License-Identifier: Apache-2.0
//! One rollout from its task to its verdict.

use std::io::{self, Write};

use gym_protocol::{
    Raw,
    scan::{Kind, elements, kind, member, members, string},
};

use super::{Ink, Style, number, visible};
use crate::{
    index::{Index, text_of},
    table::{Row, State},
};

/// Fields of verdicts longer than this are cut, in characters.
const FIELD: usize = 2000;

/// Writes a rollout: what the model was given, what it thought, said and called, what came back, and the verdict.
pub fn conversation(out: &mut impl Write, index: &Index, row: u32, style: Style) -> io::Result<()> {
    let found = index.with(|table| {
        let row = table.rows().get(row as usize)?;
        Some((row.clone(), table.agent(row).to_owned(), table.model(row).to_owned()))
    });
    let Some((row, agent, model)) = found else { return Ok(()) };
    let mut page = Page { out, style };
    page.heading(index, &row, &agent, &model)?;
    let line = index.text(&row)?;
    let Ok(raw) = Raw::parse(line.clone()).and_then(|raw| raw.members().map(|_| raw)) else {
        page.section("this line is not a JSON object", Ink::Bad)?;
        return page.block(&String::from_utf8_lossy(&line));
    };
    let record = raw.bytes();
    let task = index.task(&row);
    let params = member(record, "responses_create_params")
        .or_else(|| task.as_ref().and_then(|task| member(task.bytes(), "responses_create_params")));
    if let Some(params) = params {
        page.task(params)?;
    }
    if let Some(response) = member(record, "response").filter(|response| kind(response) == Kind::Object) {
        for item in elements(member(response, "output").unwrap_or_default()) {
            page.item(item)?;
        }
        for name in ["error", "incomplete_details"] {
            if let Some(value) = member(response, name).filter(|value| kind(value) != Kind::Null) {
                page.section(name, Ink::Bad)?;
                page.block(&String::from_utf8_lossy(value))?;
            }
        }
    }
    page.verdict(record, &row)
}

struct Page<'a, W> {
    out: &'a mut W,
    style: Style,
}

impl<W: Write> Page<'_, W> {
    fn heading(&mut self, index: &Index, row: &Row, agent: &str, model: &str) -> io::Result<()> {
        let task = row.task.map_or_else(|| "a task without number".to_owned(), |task| format!("task {task}"));
        let rollout = row.rollout.map(|rollout| format!(", rollout {rollout}")).unwrap_or_default();
        let attempt = if row.attempt > 0 { format!(", attempt {}", row.attempt + 1) } else { String::new() };
        let file = index.files().get(usize::from(row.side));
        let path = file.map(|file| if row.in_failures { &file.failures } else { &file.path });
        let path = path.map(|path| path.display().to_string()).unwrap_or_default();
        let title = format!("━━ {task}{rollout}{attempt} ");
        let rest = self.style.width.unwrap_or(80).min(120).saturating_sub(title.chars().count());
        writeln!(self.out, "{}", self.style.paint(Ink::Strong, &format!("{title}{}", "━".repeat(rest))))?;
        let (ink, result) = match row.state {
            State::Scored if row.reward >= 1.0 => (Ink::Good, format!("reward {}", number(row.reward))),
            State::Scored if row.reward <= 0.0 => (Ink::Bad, format!("reward {}", number(row.reward))),
            State::Scored => (Ink::Warn, format!("reward {}", number(row.reward))),
            State::Unscored => (Ink::Dim, "no reward".to_owned()),
            state => (Ink::Bad, state.name().to_owned()),
        };
        let mut facts = vec![self.style.paint(ink, &result)];
        facts.extend([agent, model].into_iter().filter(|name| !name.is_empty()).map(|name| visible(name, false)));
        facts.push(format!("{} tool call{}", row.calls, if row.calls == 1 { "" } else { "s" }));
        if !row.tokens.is_nan() {
            facts.push(format!("{} tokens", number(row.tokens)));
        }
        facts.push(format!("{}:{}", visible(&path, false), row.line));
        writeln!(self.out, "{}", facts.join(" · "))
    }

    fn section(&mut self, title: &str, ink: Ink) -> io::Result<()> {
        writeln!(self.out, "\n{}", self.style.paint(ink, &visible(title, false)))
    }

    /// A text, indented.
    fn block(&mut self, text: &str) -> io::Result<()> {
        for line in visible(text, true).lines() {
            writeln!(self.out, "{}", format!("  {line}").trim_end())?;
        }
        Ok(())
    }

    fn task(&mut self, params: &[u8]) -> io::Result<()> {
        let names: Vec<String> =
            elements(member(params, "tools").unwrap_or_default()).filter_map(|tool| text_of(tool, "name")).collect();
        if !names.is_empty() {
            self.section(&format!("tools: {}", names.join(", ")), Ink::Dim)?;
        }
        if let Some(instructions) = text_of(params, "instructions") {
            self.section("instructions", Ink::Role)?;
            self.block(&instructions)?;
        }
        let input = member(params, "input").unwrap_or_default();
        if let Some(text) = string(input) {
            self.section("user", Ink::Role)?;
            return self.block(&text);
        }
        elements(input).try_for_each(|item| self.item(item))
    }

    fn item(&mut self, item: &[u8]) -> io::Result<()> {
        let text = |name: &str| text_of(item, name);
        let role = text("role");
        match (text("type").unwrap_or_default().as_str(), role) {
            ("message" | "", Some(role)) => {
                self.section(&role, Ink::Role)?;
                self.content(member(item, "content").unwrap_or_default())
            }
            ("reasoning", _) => {
                self.section("reasoning", Ink::Dim)?;
                self.content(member(item, "summary").unwrap_or_default())?;
                self.content(member(item, "content").unwrap_or_default())
            }
            ("function_call", _) => {
                self.section(&format!("→ {}", text("name").unwrap_or_default()), Ink::Warn)?;
                self.block(&text("arguments").unwrap_or_default())
            }
            ("function_call_output", _) => {
                self.section("← result", Ink::Warn)?;
                self.content(member(item, "output").unwrap_or_default())
            }
            (other, _) => {
                self.section(if other.is_empty() { "item" } else { other }, Ink::Warn)?;
                self.block(&String::from_utf8_lossy(item))
            }
        }
    }

    /// A string, or a list of parts; parts without text are named.
    fn content(&mut self, content: &[u8]) -> io::Result<()> {
        if let Some(text) = string(content) {
            return self.block(&text);
        }
        if kind(content) == Kind::Object {
            return self.block(&String::from_utf8_lossy(content));
        }
        for part in elements(content) {
            match text_of(part, "text").or_else(|| text_of(part, "refusal")) {
                Some(text) => self.block(&text)?,
                None => {
                    let kind = text_of(part, "type").unwrap_or_else(|| "part".to_owned());
                    self.block(&format!("[{kind}, {} bytes]", part.len()))?;
                }
            }
        }
        Ok(())
    }

    fn verdict(&mut self, record: &[u8], row: &Row) -> io::Result<()> {
        self.section(if row.state == State::Failed { "failure" } else { "verdict" }, Ink::Role)?;
        let fields: Vec<_> = members(record)
            .filter(|(name, value)| {
                !matches!(name.as_ref(), "responses_create_params" | "response") && kind(value) != Kind::Null
            })
            .collect();
        let width = fields.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(32);
        for (name, value) in fields {
            let text = string(value).unwrap_or_else(|| String::from_utf8_lossy(value));
            let length = text.chars().count();
            let mut text: String = text.chars().take(FIELD).collect();
            if length > FIELD {
                text.push_str(&format!("… ({length} characters)"));
            }
            let ink = if name == "reward" { Ink::Strong } else { Ink::Plain };
            let text = visible(&text, true).replace('\n', &format!("\n  {:width$}  ", ""));
            writeln!(self.out, "  {:<width$}  {}", visible(&name, false), self.style.paint(ink, &text))?;
        }
        writeln!(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::tests::{PLAIN, index};

    fn shown(rows: &str) -> String {
        let (_folder, index) = index(&format!("{rows}\n"));
        let mut text = Vec::new();
        conversation(&mut text, &index, 0, PLAIN).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_conversation_reads_from_task_to_verdict() {
        let text = shown(concat!(
            r#"{"responses_create_params":{"input":[{"role":"user","content":"Weather?"}],"tools":[{"name":"get"}]},"#,
            r#""response":{"output":[{"type":"reasoning","summary":[{"text":"Hm.","type":"summary_text"}]},"#,
            r#"{"type":"function_call","name":"get","arguments":"{\"c\":1}","call_id":"1"},"#,
            r#"{"type":"function_call_output","call_id":"1","output":"rain"},"#,
            r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Rain.\nBye."}]}]},"#,
            r#""reward":1.0,"note":"a\nb","_ng_task_index":2,"_ng_rollout_index":0}"#
        ));
        let expected = "
tools: get

user
  Weather?

reasoning
  Hm.

→ get
  {\"c\":1}

← result
  rain

assistant
  Rain.
  Bye.

verdict
  reward             1.0
  note               a
                     b
  _ng_task_index     2
  _ng_rollout_index  0

";
        let (heading, rest) = text.split_once("r.jsonl:1\n").unwrap();
        assert!(heading.starts_with("━━ task 2, rollout 0 ━"), "{heading}");
        assert!(heading.contains("reward 1 · 1 tool call · "), "{heading}");
        assert_eq!(rest, expected);
    }

    #[test]
    fn whatever_stands_in_a_file_is_shown() {
        for row in [
            "nonsense \u{1b}[2J",
            "[1]",
            r#"{"response":[],"responses_create_params":7,"reward":{}}"#,
            r#"{"response":{"output":[1,"x",{},{"type":"function_call"},{"type":"message"},{"type":"odd","a":1}]}}"#,
            r#"{"responses_create_params":{"input":[{"role":"user","content":[{"type":"input_image"},{"text":7}]}]}}"#,
        ] {
            let text = shown(row);
            assert!(text.starts_with("━━") && !text.contains('\u{1b}'), "{row}: {text}");
        }
    }
}
