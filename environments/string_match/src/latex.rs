// SPDX-License-Identifier: Apache-2.0
//! LaTeX around an answer.

use crate::compare::words;

/// Commands that only say how their content looks.
const LOOKS: [&str; 13] = [
    "\\boxed",
    "\\text",
    "\\textbf",
    "\\textit",
    "\\texttt",
    "\\mathrm",
    "\\mathbf",
    "\\mathit",
    "\\mathsf",
    "\\mathbb",
    "\\mathcal",
    "\\emph",
    "\\url",
];

/// The text without such commands and without the signs of formulas, runs of white space as one space.
pub(crate) fn plain(text: &str) -> String {
    let mut text = text.to_owned();
    for command in LOOKS {
        text = without(&text, command);
    }
    for sign in ["\\(", "\\)", "\\[", "\\]", "$"] {
        text = text.replace(sign, "");
    }
    words(&text)
}

/// Each `command{…}` as its content. One that is not closed loses its beginning only.
fn without(text: &str, command: &str) -> String {
    let opening = format!("{command}{{");
    if !text.contains(&opening) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    // Of every brace that is open, whether it is the command's.
    let mut open = Vec::new();
    for c in text.chars() {
        match c {
            '{' => {
                out.push(c);
                let is_command = out.ends_with(&opening);
                if is_command {
                    out.truncate(out.len() - opening.len());
                }
                open.push(is_command);
            }
            '}' if open.pop() == Some(true) => {}
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_leave_their_content() {
        for (text, bare) in [
            (r"\text{a}", "a"),
            (r"\textbf{\textit{a} b}", "a b"),
            (r"\text{x_{1}} + {y}", "x_{1} + {y}"),
            (r"\text{open", "open"),
            (r"\text{a {b}", "a {b}"),
            (r"a} \text{b}", "a} b"),
            (r"\te\text{xt{a}}", "a"),
            (r"\[ \frac{1}{2} \]  $x$", r"\frac{1}{2} x"),
            (r"\text a", r"\text a"),
        ] {
            assert_eq!(plain(text), bare, "{text}");
        }
    }

    #[test]
    fn very_long_texts_take_no_longer_than_their_length() {
        let text = "\\text{".repeat(200_000);
        assert_eq!(plain(&text), "");
    }
}
