// SPDX-License-Identifier: Apache-2.0
//! Units, and mathematical signs outside of ASCII.

/// Signs, and how LaTeX or ASCII spells them.
const SIGNS: [(char, &str); 17] = [
    ('°', "^\\circ"),
    ('²', "^2"),
    ('³', "^3"),
    ('⁴', "^4"),
    ('⁵', "^5"),
    ('⁶', "^6"),
    ('⁷', "^7"),
    ('⁸', "^8"),
    ('⁹', "^9"),
    ('√', "\\sqrt"),
    ('﹣', "-"),
    ('﹢', "+"),
    ('﹦', "="),
    ('﹤', "<"),
    ('﹥', ">"),
    ('：', ":"),
    ('π', "\\pi"),
];

/// Units, the first that fits at a place. A square or cube goes with some of them.
const UNITS: [(&str, bool); 6] =
    [("\\circ", false), ("cm", true), ("mm", false), ("km", false), ("m", true), ("kg", false)];

/// The text with these signs spelled.
pub(crate) fn spelled(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match SIGNS.iter().find(|(sign, _)| *sign == c) {
            Some((_, spelling)) => out.push_str(spelling),
            None => out.push(c),
        }
    }
    out
}

/// The text without degrees and some units of length and mass, wherever they stand.
pub(crate) fn removed(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let unit = unit_at(rest);
        if unit == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            rest = &rest[unit..];
        }
    }
    gym_env::text::strip(&out).to_owned()
}

/// Length of the unit at the beginning; 0 if there is none.
fn unit_at(text: &str) -> usize {
    if let Some(after) = text.strip_prefix('^') {
        let inner = after.strip_prefix('{').unwrap_or(after);
        if let Some(rest) = inner.strip_prefix("\\circ") {
            // A closing brace goes along whether one was open or not.
            return text.len() - rest.strip_prefix('}').unwrap_or(rest).len();
        }
        return 0;
    }
    if let Some(rest) = text.strip_prefix('°') {
        return text.len() - rest.len();
    }
    for (unit, has_power) in UNITS {
        if let Some(rest) = text.strip_prefix(unit) {
            let rest = if has_power { rest.strip_prefix(['²', '³']).unwrap_or(rest) } else { rest };
            return text.len() - rest.len();
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_removed_wherever_they_stand() {
        for (text, bare) in [
            ("5 cm", "5"),
            ("5 cm²", "5"),
            ("2 km", "2"),
            ("3 kg 4 mm", "3  4"),
            ("7 m^2", "7 ^2"),
            ("90^\\circ", "90"),
            ("90^{\\circ}", "90"),
            ("90^\\circ}", "90"),
            ("90\\circ", "90"),
            ("20° c", "20 c"),
            ("mam", "a"),
            ("x^2", "x^2"),
        ] {
            assert_eq!(removed(text), bare, "{text}");
        }
    }

    #[test]
    fn signs_are_spelled() {
        assert_eq!(spelled("√2 π x² 5°：﹣1"), "\\sqrt2 \\pi x^2 5^\\circ:-1");
    }
}
