// SPDX-License-Identifier: Apache-2.0
//! Plots as inline SVG. Colours are the page's, so that they follow its light or dark side.

use crate::text::short;

/// Size of a plot, and the room around what is plotted.
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 12.0;

/// Text in a page.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

/// One bar.
pub(crate) struct Bar {
    /// Below it; empty for none.
    pub(crate) label: String,
    pub(crate) value: f64,
    /// Shown when the pointer is over it.
    pub(crate) tip: String,
}

/// Bars beside each other, from 0 up (or down). `most` is the value at the top; by default the highest bar.
pub(crate) fn bars(title: &str, x: &str, y: &str, bars: &[Bar], most: Option<f64>) -> String {
    let high = bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let high = most.map_or(high, |most| most.max(high));
    let low = bars.iter().map(|bar| bar.value).fold(0.0, f64::min);
    let span = if high - low > 0.0 { high - low } else { 1.0 };
    let (plot_width, plot_height) = (WIDTH - LEFT - 8.0, HEIGHT - TOP - BOTTOM);
    let at = |value: f64| TOP + plot_height * (1.0 - (value - low) / span);
    let mut svg = format!(
        "<figure><figcaption>{0}</figcaption><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{0}\">",
        escaped(title)
    );
    for step in 0..=4 {
        let value = low + span * f64::from(step) / 4.0;
        let place = at(value);
        svg.push_str(&format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{place:.1}\" y2=\"{place:.1}\"/><text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 8.0,
            LEFT - 6.0,
            place + 4.0,
            tick(value, span)
        ));
    }
    let width = plot_width / bars.len().max(1) as f64;
    for (index, bar) in bars.iter().enumerate() {
        let left = LEFT + width * index as f64;
        let (from, to) = (at(bar.value.max(0.0)), at(bar.value.min(0.0)));
        svg.push_str(&format!(
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{from:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            left + width * 0.08,
            width * 0.84,
            (to - from).max(if bar.value == 0.0 { 0.0 } else { 1.0 }),
            escaped(&bar.tip)
        ));
        if !bar.label.is_empty() {
            svg.push_str(&format!(
                "<text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                left + width / 2.0,
                HEIGHT - BOTTOM + 15.0,
                escaped(&bar.label)
            ));
        }
    }
    svg.push_str(&format!(
        "<text class=\"axis\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text><text class=\"axis\" transform=\"translate(12 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text></svg></figure>",
        LEFT + plot_width / 2.0,
        HEIGHT - 8.0,
        escaped(x),
        TOP + plot_height / 2.0,
        escaped(y)
    ));
    svg
}

fn tick(value: f64, span: f64) -> String {
    if span >= 20.0 { short(value.round()) } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_values() {
        let bar = |value: f64| Bar { label: "<x>".to_owned(), value, tip: String::new() };
        let svg = bars("t", "x", "y", &[bar(2.0), bar(1.0), bar(0.0)], None);
        let heights: Vec<&str> =
            svg.split("<rect").skip(1).filter_map(|rect| rect.split("height=\"").nth(1)?.split('"').next()).collect();
        assert_eq!(heights, ["184.0", "92.0", "0.0"]);
        assert!(svg.contains("&lt;x&gt;") && !svg.contains("<x>"));
        assert!(!bars("t", "x", "y", &[], None).contains("NaN"));
    }
}
