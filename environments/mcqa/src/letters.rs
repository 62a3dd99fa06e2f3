// SPDX-License-Identifier: Apache-2.0
//! Letters of other scripts.

use gym_env::text::strip;
use unicode_normalization::UnicodeNormalization;

/// The text with the letters that mark choices in Arabic and in Bengali, and full-width ones, as A to D. A space comes
/// before each, so that it stands alone behind other letters; there is no white space around the text.
pub(crate) fn to_latin(text: &str) -> String {
    let mut latin = String::with_capacity(text.len());
    for letter in text.chars() {
        latin.push_str(match letter {
            'أ' | 'অ' | 'Ａ' => " A",
            'ب' | 'ব' | 'Ｂ' => " B",
            'ج' | 'ড' | 'Ｃ' => " C",
            'د' | 'ঢ' | 'Ｄ' => " D",
            other => {
                latin.push(other);
                continue;
            }
        });
    }
    strip(&latin).to_owned()
}

/// The text in Unicode's compatibility form (NFKC), where full-width and other styled letters are plain ones.
pub(crate) fn compatible(text: &str) -> String {
    if text.is_ascii() { text.to_owned() } else { text.nfkc().collect() }
}
