// SPDX-License-Identifier: Apache-2.0
//! The classes of instructions, by name.

use crate::arguments::{Arguments, Broken};

mod case;
mod content;
mod copying;
mod counting;
mod format;
mod keywords;
mod length;
mod places;

/// Whether a text follows an instruction with these arguments.
type Check = fn(&mut Arguments<'_>, &str) -> Result<bool, Broken>;

/// One class: its name, its parameters, its rule.
pub(crate) struct Class {
    pub(crate) name: &'static str,
    pub(crate) parameters: &'static [&'static str],
    pub(crate) check: Check,
}

const fn class(name: &'static str, parameters: &'static [&'static str], check: Check) -> Class {
    Class { name, parameters, check }
}

const PROMPT: &[&str] = &["prompt_to_repeat"];
const KEYWORD_FREQUENCY: &[&str] = &["keyword", "frequency", "relation"];
const LETTER: &[&str] = &["letter", "let_frequency", "let_relation"];

/// All classes. The first 25 are those of IFEval; the others are those that IFEval's training variant adds.
pub(crate) static CLASSES: [Class; 54] = [
    class("keywords:existence", &["keywords"], keywords::existence),
    class("keywords:frequency", KEYWORD_FREQUENCY, keywords::frequency),
    class("keywords:forbidden_words", &["forbidden_words"], keywords::forbidden),
    class("keywords:letter_frequency", LETTER, counting::letter_frequency),
    class("language:response_language", &["language"], case::response_language),
    class("length_constraints:number_sentences", &["num_sentences", "relation"], length::sentences_count),
    class("length_constraints:number_paragraphs", &["num_paragraphs"], length::paragraphs),
    class("length_constraints:number_words", &["num_words", "relation"], length::words),
    class(
        "length_constraints:nth_paragraph_first_word",
        &["num_paragraphs", "nth_paragraph", "first_word"],
        length::nth_paragraph_first_word,
    ),
    class("detectable_content:number_placeholders", &["num_placeholders"], content::placeholders),
    class("detectable_content:postscript", &["postscript_marker"], content::postscript),
    class("detectable_format:number_bullet_lists", &["num_bullets"], format::bullets),
    class("detectable_format:constrained_response", &[], content::constrained_response),
    class("detectable_format:number_highlighted_sections", &["num_highlights"], format::highlights),
    class("detectable_format:multiple_sections", &["section_spliter", "num_sections"], format::sections),
    class("detectable_format:json_format", &[], format::json),
    class("detectable_format:title", &[], format::title),
    class("combination:two_responses", &[], copying::two_responses),
    class("combination:repeat_prompt", PROMPT, copying::repeat_prompt),
    class("startend:end_checker", &["end_phrase"], content::end_phrase),
    class("change_case:capital_word_frequency", &["capital_frequency", "capital_relation"], case::capital_words),
    class("change_case:english_capital", &[], case::english_capital),
    class("change_case:english_lowercase", &[], case::english_lowercase),
    class("punctuation:no_comma", &[], content::no_comma),
    class("startend:quotation", &[], content::quotation),
    class("copy:repeat_phrase", &["phrase", "small_n"], copying::repeat_phrase),
    class("copy:copy", PROMPT, copying::copy),
    class("new:copy_span_idx", &["prompt_to_repeat", "n_start", "n_end"], copying::copy_span),
    class("detectable_format:sentence_hyphens", &[], format::sentence_hyphens),
    class("keywords:no_adjacent_consecutive", &[], keywords::no_adjacent_consecutive),
    class("detectable_format:square_brackets", &[], format::square_brackets),
    class("keywords:word_once", &["keyword"], keywords::once),
    class("keywords:word_count_different_numbers", KEYWORD_FREQUENCY, keywords::frequency),
    class("keywords:exclude_word_harder", &["keyword", "instruction"], keywords::exclude),
    class("paragraphs:paragraphs", &[], length::two_paragraphs),
    class("paragraphs:paragraphs2", &[], length::two_blocks),
    class("first_word:first_word_sent", &["first_word"], places::first_word_of_sentences),
    class("first_word:first_word_answer", &["first_word"], places::first_word),
    class("last_word:last_word_sent", &["last_word"], places::last_word_of_sentences),
    class("last_word:last_word_answer", &["last_word"], places::last_word),
    class("detectable_format:bigram_wrapping", &[], format::bigram_wrapping),
    class("copy:copying_simple", PROMPT, copying::copy),
    class("copy:copying_multiple", &["prompt_to_repeat", "N"], copying::copy_several),
    class("punctuation:punctuation_dot", &[], content::no_dot),
    class("punctuation:punctuation_exclamation", &[], content::no_exclamation),
    class("count:lowercase_counting", &["N"], counting::lowercase_words),
    class("letters:letter_counting", &["N", "relation"], counting::letters),
    class("letters:letter_counting2", LETTER, counting::letter_frequency),
    class("count:counting_composition", &["n_sent", "n_words"], counting::composition),
    class("count:count_unique", &[], counting::unique_words),
    class("count:count_increment_word", &["keyword1", "keyword2"], keywords::once_and_twice),
    class("keywords:palindrome", &[], keywords::palindrome),
    class("keywords:keyword_specific_position", &["keyword", "n", "m"], places::keyword_at),
    class("keywords:start_end", &[], places::same_start_and_end),
];

/// The class of that name.
pub(crate) fn find(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.name == name)
}

#[cfg(test)]
mod tests;
