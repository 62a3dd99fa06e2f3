// SPDX-License-Identifier: Apache-2.0
//! In which language a text is, as `langdetect` sees it.

use std::sync::LazyLock;

use langdetect::{DetectorFactory, Seed};

/// `langdetect` begins at a random place each time, so that its answer for a short text is a matter of luck. Here it
/// begins at the same place always.
static DETECTOR: LazyLock<DetectorFactory> = LazyLock::new(|| {
    let mut detector = DetectorFactory::builtin().clone();
    detector.seed = Seed::Int(0);
    detector
});

/// The code of the language, for example `en`; none when there is nothing to tell it from, as in a text of numbers.
pub(crate) fn language(text: &str) -> Option<String> {
    DETECTOR.detect(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_told_apart() {
        for (text, code) in [
            ("The weather has been lovely all week, and we went to the beach.", Some("en")),
            ("Das Wetter war die ganze Woche schön, und wir sind an den Strand gegangen.", Some("de")),
            ("Il fait beau depuis une semaine et nous sommes allés à la plage.", Some("fr")),
            ("Hali ya hewa imekuwa nzuri wiki nzima na tulikwenda ufukweni.", Some("sw")),
            ("Погода была прекрасной всю неделю, и мы ходили на пляж.", Some("ru")),
            ("天気が一週間ずっと良かったので、海に行きました。", Some("ja")),
            ("12345 !?", None),
            ("", None),
        ] {
            assert_eq!(language(text).as_deref(), code, "{text}");
        }
    }
}
