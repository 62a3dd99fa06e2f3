// SPDX-License-Identifier: Apache-2.0
//! Finds the calendar in the text of an answer.

/// The first JSON list in the text that holds an object, as NeMo Gym's pattern
///
/// ```text
/// \[(?:[^\[\]]|\{[^}]*\})*\{(?:[^\[\]]|\{[^}]*\})*\}(?:[^\[\]]|\{[^}]*\})*\]
/// ```
///
/// finds it: brackets inside of the list are let through only between a `{` and the next `}`, and one object has none.
/// The pattern goes back and forth; here each place is tried once for each part of the pattern, in the same order.
pub(crate) fn first(text: &str) -> Option<&str> {
    // All that the pattern names is ASCII, so bytes do as well as characters.
    let bytes = text.as_bytes();
    let mut search = Search { bytes, closing: closing_braces(bytes), failed: vec![[false; 3]; bytes.len() + 1] };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'[').map(|(at, _)| at);
    for start in starts {
        if let Some(end) = search.end(start + 1) {
            return Some(&text[start..end]);
        }
    }
    None
}

/// For each place the place after the next `}`.
fn closing_braces(bytes: &[u8]) -> Vec<Option<usize>> {
    let mut next = None;
    let mut closing = vec![None; bytes.len()];
    for (at, byte) in bytes.iter().enumerate().rev() {
        if *byte == b'}' {
            next = Some(at + 1);
        }
        closing[at] = next;
    }
    closing
}

/// The repetitions before, inside of and after the object that must be there.
const BEFORE: usize = 0;
const INSIDE: usize = 1;
const AFTER: usize = 2;

struct Search<'a> {
    bytes: &'a [u8],
    closing: Vec<Option<usize>>,
    /// Where which repetition is known to lead nowhere. It does not depend on how the place was reached.
    failed: Vec<[bool; 3]>,
}

impl Search<'_> {
    /// The end of the match that begins with the first repetition at `at`.
    fn end(&mut self, at: usize) -> Option<usize> {
        // A place, a repetition, and which way to try next.
        let mut path = vec![(at, BEFORE, 0_u8)];
        while let Some((at, part, way)) = path.pop() {
            if self.failed[at][part] {
                continue;
            }
            let Some(byte) = self.bytes.get(at).copied() else {
                self.failed[at][part] = true;
                continue;
            };
            let next = match way {
                // One more character.
                0 => (!matches!(byte, b'[' | b']')).then_some((at + 1, part)),
                // One more `{…}`, whatever it holds.
                1 => self.closing[at].filter(|_| byte == b'{').map(|end| (end, part)),
                // The repetition is over.
                2 => match (part, byte) {
                    (BEFORE, b'{') => Some((at + 1, INSIDE)),
                    (INSIDE, b'}') => Some((at + 1, AFTER)),
                    (AFTER, b']') => return Some(at + 1),
                    _ => None,
                },
                _ => {
                    self.failed[at][part] = true;
                    continue;
                }
            };
            path.push((at, part, way + 1));
            path.extend(next.map(|(at, part)| (at, part, 0)));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use gym_env::pattern::{Case, Pattern};

    use super::*;

    const PATTERN: &str = r"\[(?:[^\[\]]|\{[^}]*\})*\{(?:[^\[\]]|\{[^}]*\})*\}(?:[^\[\]]|\{[^}]*\})*\]";

    #[test]
    fn the_first_list_with_an_object_is_found() {
        for (text, list) in [
            (r#"Here: [{"a": 1}, {"b": 2}] done"#, Some(r#"[{"a": 1}, {"b": 2}]"#)),
            ("[1, 2] then [{}]", Some("[{}]")),
            ("[[{\"a\":1}]]", Some("[{\"a\":1}]")),
            (r#"[{"a": [1]}]"#, None),
            (r#"[{"a": 1}, {"b": [1]}]"#, Some(r#"[{"a": 1}, {"b": [1]}]"#)),
            (r#"[{"a": [1]}, {"b": 1}]"#, Some(r#"[{"a": [1]}, {"b": 1}]"#)),
            ("[{\"a\":\n1}\n]", Some("[{\"a\":\n1}\n]")),
            ("[{\"é\": \"😀\"}] [", Some("[{\"é\": \"😀\"}]")),
            ("no list", None),
            ("[", None),
            ("[{", None),
            ("[{]}", None),
            ("", None),
            ("[{}] and {[}]", Some("[{}]")),
            ("[{a]}{}]", Some("[{a]}{}]")),
            ("[{a]}]", None),
        ] {
            assert_eq!(first(text), list, "{text}");
        }
    }

    #[test]
    fn it_finds_what_the_pattern_finds() {
        let pattern = Pattern::new(PATTERN, Case::Matters).unwrap();
        let letters = ['[', ']', '{', '}', 'a'];
        let mut state = 7_u64;
        for round in 0..20_000 {
            let length = 1 + round % 14;
            let text: String = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    letters[(state >> 33) as usize % letters.len()]
                })
                .collect();
            let expected = pattern.find(&text).unwrap();
            assert_eq!(first(&text), expected.as_ref().map(|found| found.text()), "{text}");
        }
    }

    #[test]
    fn hostile_texts_take_no_longer_than_others() {
        for text in
            ["[{".repeat(100_000), "[{}".repeat(100_000), "{".repeat(200_000), format!("[{}", "{a}".repeat(100_000))]
        {
            assert_eq!(first(&text), None);
        }
    }
}
