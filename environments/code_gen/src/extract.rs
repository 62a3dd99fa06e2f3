// SPDX-License-Identifier: Apache-2.0
//! The code in an answer.

use gym_env::ItemKind;

/// What lies between the last two lines with a fence; empty if there are fewer than two.
pub(crate) fn code(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let fences: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].contains("```")).collect();
    match fences.as_slice() {
        [.., open, close] => lines[open + 1..*close].join("\n"),
        _ => String::new(),
    }
}

/// Whether thoughts are where they should not be: tags in the answer, or more than one of a kind among the thoughts.
pub(crate) fn violates_reasoning_format(answer: &str, response: &gym_env::Response) -> bool {
    const TAGS: [&str; 2] = ["<think>", "</think>"];
    let reasoning = response.output().filter(|item| item.kind() == ItemKind::Reasoning);
    let thoughts: String = reasoning.flat_map(|item| item.summary()).collect();
    TAGS.iter().any(|tag| answer.contains(tag) || thoughts.matches(tag).count() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_fences_count() {
        for (text, expected) in [
            ("```python\na = 1\nb = 2\n```", "a = 1\nb = 2"),
            ("```\nfirst\n```\ntext\n``` py\nsecond\n``` end", "second"),
            // The last two fences are those around the text.
            ("```\ncode\n```\nbetween\n```", "between"),
            ("```\ncode", ""),
            ("code", ""),
            ("a ``` b\nx\n```", "x"),
            ("```\n```", ""),
        ] {
            assert_eq!(code(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tags_of_thoughts_belong_to_thoughts_and_once() {
        for (thoughts, answer, violates) in [
            (&["fine"][..], "fine", false),
            (&["<think>a</think>"], "fine", false),
            (&["<think>a", "<think>b"], "fine", true),
            (&["a</think>", "</think>"], "fine", true),
            (&[], "<think>a", true),
            (&[], "a</think>b", true),
        ] {
            let builder = thoughts.iter().fold(gym_env::Response::builder(), |builder, text| builder.reasoning(*text));
            let response = builder.message(answer).build();
            assert_eq!(violates_reasoning_format(answer, &response), violates, "{thoughts:?} {answer}");
        }
    }
}
