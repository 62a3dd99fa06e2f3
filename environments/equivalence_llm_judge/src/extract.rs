// SPDX-License-Identifier: Apache-2.0
//! What of a text counts.

use gym_env::{
    pattern::{Case, Match, Pattern, PatternError},
    prompt::{PromptContent, PromptMessage, messages},
    text::strip,
};

/// Python's MULTILINE and DOTALL: `^` and `$` mean lines, and `.` also takes line breaks.
pub(crate) const FLAGS: &str = "(?ms)";

/// The last match of a pattern: the first of its groups that is not blank, or all of it. The whole text where the pattern
/// does not match, or is none. Without white space around it.
pub(crate) fn by_pattern(text: &str, pattern: Option<&str>) -> Result<String, PatternError> {
    let Some(pattern) = pattern.filter(|pattern| !pattern.is_empty()) else { return Ok(text.to_owned()) };
    let Ok(pattern) = Pattern::new(&format!("{FLAGS}{pattern}"), Case::Matters) else { return Ok(text.to_owned()) };
    let matches = pattern.matches(text)?;
    Ok(matches.last().map_or(text, part).to_owned())
}

fn part(found: &Match) -> &str {
    let groups = (1..=found.group_count()).filter_map(|number| found.group(number));
    groups.map(strip).find(|group| !group.is_empty()).unwrap_or_else(|| strip(found.text()))
}

/// The question: the last message of the user that has text, its parts joined with line breaks. `input` is the JSON text
/// of `responses_create_params.input`; one that is a string is the user's only message.
pub(crate) fn question(input: Option<&str>) -> String {
    let text_of = |message: PromptMessage| {
        (message.role.as_deref() == Some("user")).then_some(())?;
        match message.content {
            PromptContent::Text(text) => Some(text),
            PromptContent::Parts(parts) if !parts.is_empty() => {
                Some(parts.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n"))
            }
            PromptContent::Parts(_) | PromptContent::Missing => None,
        }
    };
    let last = messages(input).into_iter().rev().find_map(text_of).unwrap_or_default();
    strip(&last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_match_counts_and_its_first_group_that_is_not_blank() {
        for (text, pattern, extracted) in [
            ("Answer: 1\nAnswer: 2", Some(r"^Answer:\s*(.*?)$"), "2"),
            ("Answer: 1\nmore", Some(r"Answer:\s*(.*)"), "1\nmore"),
            ("<a> <b>", Some(r"<(\w)>"), "b"),
            ("<a> <b>", Some(r"<\w>"), "<b>"),
            ("x=  y", Some(r"x=(\s*)(\w)"), "y"),
            ("x=  ", Some(r"x=(\s*)(\w)?"), "x="),
            ("no match", Some(r"<(\w)>"), "no match"),
            ("no pattern", Some("("), "no pattern"),
            ("no pattern", Some(""), "no pattern"),
            ("no pattern", None, "no pattern"),
            ("QUESTION: a\nb", Some(r"^QUESTION:\s*(.*)$|</text>\n\n(.*)$"), "a\nb"),
        ] {
            assert_eq!(by_pattern(text, pattern).unwrap(), extracted, "{text:?} by {pattern:?}");
        }
        assert_eq!(by_pattern(&"a".repeat(5_000), Some("(a+)+b")), Err(PatternError::TooHard));
    }

    #[test]
    fn the_last_message_of_the_user_is_the_question() {
        for (input, text) in [
            (Some(r#"" Why? ""#), "Why?"),
            (Some(r#"[{"role":"user","content":"One?"},{"role":"user","content":" Two? "}]"#), "Two?"),
            (Some(r#"[{"role":"user","content":"One?"},{"role":"assistant","content":"Two"}]"#), "One?"),
            (
                Some(
                    r#"[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image"},{"text":"b"}]}]"#,
                ),
                "a\nb",
            ),
            (Some(r#"[{"role":"user","content":"One?"},{"role":"user","content":[{"type":"input_image"}]}]"#), "One?"),
            (Some(r#"[{"role":"user","content":"One?"},{"role":"user","content":""}]"#), ""),
            (Some(r#"[3,null,{"role":3},{"role":"user","content":{"a":1}},[[]]]"#), ""),
            (Some("3"), ""),
            (Some("null"), ""),
            (None, ""),
        ] {
            assert_eq!(question(input), text, "{input:?}");
        }
    }
}
