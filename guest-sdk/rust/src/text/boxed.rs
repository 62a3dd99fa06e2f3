// SPDX-License-Identifier: Apache-2.0
//! Answers in LaTeX boxes.

use super::strip;

/// The content of the last `\boxed{…}`, with its braces counted. None when there is no box, or when the last one is not
/// closed.
pub fn last_boxed(text: &str) -> Option<&str> {
    const OPEN: &str = "\\boxed{";
    let content = &text[text.rfind(OPEN)? + OPEN.len()..];
    let mut depth = 1_usize;
    for (index, byte) in content.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return Some(&content[..index]);
        }
    }
    None
}

/// The content of the last `\boxed{…}` that is closed.
pub fn last_closed_boxed(text: &str) -> Option<&str> {
    // Read from the end, boxes that are not closed are passed over: each needs one closing brace more than there is.
    let mut open: Vec<Option<usize>> = Vec::new();
    let mut last: Option<(usize, usize)> = None;
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'{' => open.push(text[..index].ends_with("\\boxed").then_some(index + 1)),
            b'}' => {
                if let Some(Some(start)) = open.pop()
                    && last.is_none_or(|(known, _)| start > known)
                {
                    last = Some((start, index));
                }
            }
            _ => {}
        }
    }
    last.map(|(start, end)| &text[start..end])
}

/// `text` without the `\text{…}` that wraps all of it, however often, and without white space around it.
pub fn unwrap_text(text: &str) -> &str {
    let mut inner = strip(text);
    while let Some(unwrapped) = inner.strip_prefix("\\text{").and_then(|rest| rest.strip_suffix('}')) {
        inner = strip(unwrapped);
    }
    inner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_box_counts() {
        for (text, content) in [
            (r"\boxed{A} and \boxed{B}", Some("B")),
            (r"\boxed{\frac{1}{2}} then", Some(r"\frac{1}{2}")),
            (r"\boxed{\boxed{B}}", Some("B")),
            (r"\boxed{}", Some("")),
            (r"\boxed{A} \boxed{B", None),
            (r"\boxed{A} \boxed{{B}", None),
            (r"\boxed {A}", None),
            ("boxed{A}", None),
            ("", None),
        ] {
            assert_eq!(last_boxed(text), content, "{text}");
        }
    }

    #[test]
    fn boxes_that_are_not_closed_are_passed_over() {
        for (text, content) in [
            (r"\boxed{A} and \boxed{B}", Some("B")),
            (r"\boxed{A} \boxed{B", Some("A")),
            (r"\boxed{A} \boxed{{B}", Some("A")),
            (r"\boxed{\boxed{B}}", Some("B")),
            (r"} \boxed{x_{1}} }", Some("x_{1}")),
            (r"\boxed{A", None),
            ("", None),
        ] {
            assert_eq!(last_closed_boxed(text), content, "{text}");
        }
    }

    #[test]
    fn wrappers_are_removed_layer_by_layer() {
        for (text, inner) in [
            (r"\text{ B }", "B"),
            (r" \text{\text{B}} ", "B"),
            (r"\text{B} x", r"\text{B} x"),
            (r"\textbf{B}", r"\textbf{B}"),
            ("B", "B"),
            ("", ""),
        ] {
            assert_eq!(unwrap_text(text), inner, "{text}");
        }
    }
}
