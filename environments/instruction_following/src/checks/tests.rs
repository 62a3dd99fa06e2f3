// SPDX-License-Identifier: Apache-2.0
//! What each class takes and what it does not, by hand from its rule.

use gym_env::Rng;
use serde_json::{Value, json};

use super::*;

/// Whether the text follows; none when the public verifier raises an exception.
fn follows(name: &str, kwargs: &Value, text: &str) -> Option<bool> {
    let class = find(name).unwrap_or_else(|| panic!("there is no class `{name}`"));
    let mut rng = Rng::from_seed(1);
    match Arguments::new(kwargs, class.parameters, &mut rng).and_then(|mut given| (class.check)(&mut given, text)) {
        Ok(follows) => Some(follows),
        Err(Broken::Raises) => None,
        Err(Broken::Fault(fault)) => panic!("{name}: {}", fault.message()),
    }
}

fn check(name: &str, kwargs: Value, cases: &[(&str, bool)]) {
    for (text, expected) in cases {
        assert_eq!(follows(name, &kwargs, text), Some(*expected), "{name} {kwargs}: {text:?}");
    }
}

#[test]
fn there_are_54_classes_with_different_names() {
    let names: std::collections::HashSet<_> = CLASSES.iter().map(|class| class.name).collect();
    assert_eq!(names.len(), 54);
    assert!(find("keywords:unheard_of").is_none());
}

#[test]
fn keywords_exist_in_any_case_and_inside_of_words() {
    check(
        "keywords:existence",
        json!({"keywords": ["Sun", "moon"]}),
        &[("The moon and the SUN.", true), ("Sunday, moonlight", true), ("The sun.", false), ("", false)],
    );
    check("keywords:existence", json!({"keywords": ["a.c"]}), &[("abc", true), ("a.c", true), ("ac", false)]);
    check("keywords:existence", json!({"keywords": "xy"}), &[("y before x", true), ("xx", false)]);
    assert_eq!(follows("keywords:existence", &json!({"keywords": ["(", "a"]}), "a"), None);
    // The words are looked for in their order: the missing one decides before the broken one is seen.
    assert_eq!(follows("keywords:existence", &json!({"keywords": ["a", "["]}), "b"), None);
    assert_eq!(follows("keywords:existence", &json!({"keywords": ["[", "A"]}), "b"), Some(false));
    assert_eq!(follows("keywords:existence", &json!({"keywords": [1]}), "1"), None);
}

#[test]
fn keyword_frequency_counts_occurrences() {
    for name in ["keywords:frequency", "keywords:word_count_different_numbers"] {
        let at_least = json!({"keyword": " rain ", "frequency": 2, "relation": "at least"});
        check(name, at_least, &[("Rain, rain.", true), ("raining trains", true), ("rain", false)]);
        let less = json!({"keyword": "rain", "frequency": 1, "relation": "less than"});
        check(name, less, &[("sun", true), ("rain", false)]);
        assert_eq!(follows(name, &json!({"keyword": "a", "frequency": 1, "relation": "exactly"}), "a"), None);
        assert_eq!(follows(name, &json!({"keyword": "a", "frequency": "1", "relation": "at least"}), "a"), None);
    }
}

#[test]
fn forbidden_words_are_whole_words() {
    check(
        "keywords:forbidden_words",
        json!({"forbidden_words": ["cat", "dog"]}),
        &[("category", true), ("A CAT!", false), ("hot-dog", false), ("dogs", true), ("", true)],
    );
    // The alternative is not bound to the edges of words on both sides.
    check(
        "keywords:forbidden_words",
        json!({"forbidden_words": ["a|b"]}),
        &[("bob", false), ("any", false), ("cc", true)],
    );
}

#[test]
fn letters_are_counted_in_any_case() {
    for name in ["keywords:letter_frequency", "letters:letter_counting2"] {
        let at_least = json!({"letter": "E", "let_frequency": 3, "let_relation": "at least"});
        check(name, at_least, &[("Eel tree", true), ("Bee", false)]);
        let less = json!({"letter": "!", "let_frequency": 1, "let_relation": "less than"});
        check(name, less, &[("Calm.", true), ("Loud!", false)]);
    }
}

#[test]
fn the_language_is_that_of_the_whole_answer() {
    let german = "Das Wetter war die ganze Woche schön, und wir sind an den Strand gegangen.";
    check(
        "language:response_language",
        json!({"language": "de"}),
        &[(german, true), ("We went there by train today.", false)],
    );
    // Nothing to tell a language from counts as followed.
    check("language:response_language", json!({"language": "de"}), &[("123", true), ("", true)]);
    assert_eq!(follows("language:response_language", &json!({"language": "xx"}), german), None);
}

#[test]
fn sentences_words_and_paragraphs_are_counted() {
    check(
        "length_constraints:number_sentences",
        json!({"num_sentences": 3, "relation": "less than"}),
        &[("One. Two.", true), ("Dr. Who came. He left.", true), ("One. Two. Three.", false)],
    );
    check(
        "length_constraints:number_sentences",
        json!({"num_sentences": 2, "relation": "at least"}),
        &[("One? Two!", true), ("Only one, e.g. this one", true), ("Only one", false)],
    );
    let words = json!({"num_words": 3, "relation": "at least"});
    check("length_constraints:number_words", words, &[("don't stop", true), ("two words", false), ("a-b-c", true)]);
    let words = json!({"num_words": 3, "relation": "less than"});
    // Vowel signs are part of words, a raised two is none.
    check(
        "length_constraints:number_words",
        words,
        &[("two words", true), ("one two three", false), ("...", true), ("हिन्दी शब्द", true), ("a b ²", true)],
    );
    check(
        "length_constraints:number_paragraphs",
        json!({"num_paragraphs": 2}),
        &[
            ("one\n***\ntwo", true),
            ("*** one *** two ***", true),
            ("one\n\ntwo", false),
            ("one *** *** two", false),
            ("one*** ***", false),
            ("one ****** two", false),
        ],
    );
    check(
        "paragraphs:paragraphs",
        json!({}),
        &[("one\n***\ntwo", true), ("one", false), ("one *** two *** three", false)],
    );
    check(
        "paragraphs:paragraphs2",
        json!({}),
        &[("one\n\ntwo", true), ("one\ntwo", false), ("one\n\ntwo\n\n", true), ("one\n\n\n\ntwo", false)],
    );
}

#[test]
fn the_first_word_of_a_paragraph_is_without_punctuation() {
    let kwargs = json!({"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Hello"});
    check(
        "length_constraints:nth_paragraph_first_word",
        kwargs,
        &[
            ("One.\n\nhello there", true),
            ("One.\n\n'Hello', he said", true),
            ("One.\n\n\"hello\" there", true),
            ("One.\n\nhello-there", false),
            ("hello\n\nOne.", false),
            ("One.\n\nhello\n\nthree", false),
            // An empty block does not count but has a number.
            ("One.\n\n\n\nhello", false),
            ("hello", false),
        ],
    );
    let fraction = json!({"num_paragraphs": 2, "nth_paragraph": 1.5, "first_word": "a"});
    assert_eq!(follows("length_constraints:nth_paragraph_first_word", &fraction, "a\n\nb"), None);
}

#[test]
fn placeholders_are_in_square_brackets_on_one_line() {
    check(
        "detectable_content:number_placeholders",
        json!({"num_placeholders": 2}),
        &[("[name] and [place]", true), ("[]", false), ("[a][b]", true), ("[a\n] [b]", false), ("[a [b]", false)],
    );
    check("detectable_content:number_placeholders", json!({"num_placeholders": 0}), &[("none", true)]);
}

#[test]
fn a_postscript_begins_with_its_marker() {
    let name = "detectable_content:postscript";
    check(
        name,
        json!({"postscript_marker": "P.S."}),
        &[("Bye.\np.s. one more", true), ("p. s. x", true), ("PS: x", false)],
    );
    check(name, json!({"postscript_marker": "P.P.S"}), &[("p.p.s more", true), ("P. P. S", true), ("P.S. x", false)]);
    check(name, json!({"postscript_marker": "Note:"}), &[("the NOTE: here", true), ("noted", false)]);
    assert_eq!(follows(name, &json!({"postscript_marker": 5}), "5"), None);
}

#[test]
fn lists_have_exactly_so_many_points() {
    check(
        "detectable_format:number_bullet_lists",
        json!({"num_bullets": 2}),
        &[
            ("* one\n* two", true),
            ("- one\n  * two", true),
            ("* one", false),
            ("* one\n* two\n- three", false),
            ("**bold**\n* one\n-two", true),
            // A rule of dashes is a point too.
            ("* one\n---", true),
            ("1. one\n2. two", false),
            ("\u{1c}- one\n\u{1f}* two", true),
        ],
    );
}

#[test]
fn a_constrained_response_contains_one_of_three_sentences() {
    check(
        "detectable_format:constrained_response",
        json!({}),
        &[
            ("My answer is yes.", true),
            ("So: My answer is maybe. Bye", true),
            ("my answer is no.", false),
            ("yes", false),
        ],
    );
    assert_eq!(follows("detectable_format:constrained_response", &json!({"num": 1}), "My answer is no."), None);
    assert_eq!(
        follows("detectable_format:constrained_response", &json!({"num": null}), "My answer is no."),
        Some(true)
    );
}

#[test]
fn highlights_are_between_stars() {
    check(
        "detectable_format:number_highlighted_sections",
        json!({"num_highlights": 2}),
        &[
            ("*one* and *two*", true),
            ("**one** and **two**", true),
            ("*one*", false),
            ("**one**", false),
            ("* * ** **", false),
            ("*one\n* *two*", false),
        ],
    );
}

#[test]
fn sections_begin_with_the_splitter_and_a_number() {
    let name = "detectable_format:multiple_sections";
    let two = json!({"section_spliter": "Section", "num_sections": 2});
    check(
        name,
        two,
        &[("Section 1\na\nSection 2\nb", true), ("Section1 Section 22", true), ("SECTION 1 Section 2", false)],
    );
    let group = json!({"section_spliter": "(Part)", "num_sections": 2});
    check(name, group, &[("Part 1", true), ("none", false)]);
}

#[test]
fn json_may_be_in_a_fence() {
    check(
        "detectable_format:json_format",
        json!({}),
        &[
            ("{\"a\": 1}", true),
            ("```json\n[1]\n```", true),
            ("```JSON\n[1]```", true),
            ("``` 5", true),
            ("NaN", true),
            ("Here: {}", false),
            ("{'a': 1}", false),
            ("", false),
        ],
    );
}

#[test]
fn a_title_is_in_double_angular_brackets() {
    check(
        "detectable_format:title",
        json!({}),
        &[("<<Joy>>\nText", true), ("<Joy>", false), ("<< >>", false), ("<<a\nb>>", false), ("<<<>>> <<x>>", true)],
    );
}

#[test]
fn two_responses_differ() {
    check(
        "combination:two_responses",
        json!({}),
        &[
            ("one\n******\ntwo", true),
            ("******one******two******", true),
            ("one******one", false),
            ("one", false),
            ("one******two******three", false),
            ("one****** ******two", false),
        ],
    );
}

#[test]
fn the_request_is_repeated_in_any_case() {
    let kwargs = json!({"prompt_to_repeat": " Say hi. "});
    check("combination:repeat_prompt", kwargs.clone(), &[("say HI. Hi!", true), ("Hi! Say hi.", false)]);
    for name in ["copy:copy", "copy:copying_simple"] {
        check(name, kwargs.clone(), &[(" SAY hi.\n", true), ("Say hi. Hi!", false)]);
    }
    check(
        "copy:copying_multiple",
        json!({"prompt_to_repeat": "Say hi.", "N": 2}),
        &[("Say hi.******say hi.", true), ("Say hi.", false), ("Say hi.******Hi", false)],
    );
    for name in ["combination:repeat_prompt", "copy:copy", "copy:copying_simple", "copy:copying_multiple"] {
        assert_eq!(follows(name, &json!({}), "x"), None);
        assert_eq!(follows(name, &json!({"prompt_to_repeat": ""}), ""), None);
    }
    check(
        "new:copy_span_idx",
        json!({"prompt_to_repeat": "Say hello.", "n_start": 4, "n_end": 9}),
        &[("Hello", true), ("hello.", false), ("Say", false)],
    );
    let backwards = json!({"prompt_to_repeat": "Say hello.", "n_start": -6, "n_end": -1});
    check("new:copy_span_idx", backwards, &[("hello", true)]);
    assert_eq!(follows("new:copy_span_idx", &json!({"prompt_to_repeat": "x", "n_start": 1.5, "n_end": 2}), "x"), None);
}

#[test]
fn a_phrase_is_repeated_with_another_word() {
    let kwargs = json!({"phrase": "the old red barn", "small_n": 2});
    check(
        "copy:repeat_phrase",
        kwargs,
        &[
            ("the old blue barn, the new red barn", true),
            ("the old red barn, the old big barn", true),
            // The last one must have another word.
            ("the old big barn, the old red barn", false),
            ("the big blue barn, the old red barn", false),
            ("the old barn, the old big barn", false),
            ("the old big barn", false),
        ],
    );
}

#[test]
fn the_end_is_a_phrase_in_any_case() {
    check(
        "startend:end_checker",
        json!({"end_phrase": "That is all."}),
        &[
            ("Well. THAT IS ALL. ", true),
            ("\"That is all.\"", true),
            ("That is all. Bye", false),
            ("That is all", false),
        ],
    );
}

#[test]
fn capital_words_are_counted() {
    check(
        "change_case:capital_word_frequency",
        json!({"capital_frequency": 2, "capital_relation": "at least"}),
        &[("NASA and ESA", true), ("I saw A-B.", true), ("NASA and Esa", false), ("OK-GO", false)],
    );
    check(
        "change_case:capital_word_frequency",
        json!({"capital_frequency": 1, "capital_relation": "less than"}),
        &[("none here", true), ("I am", false), ("2X", false)],
    );
}

#[test]
fn english_is_all_in_one_case() {
    let lower = "the weather has been lovely all week, and we went to the beach.";
    check(
        "change_case:english_lowercase",
        json!({}),
        &[
            (lower, true),
            ("The weather has been lovely all week.", false),
            ("das wetter war die ganze woche schön.", false),
        ],
    );
    let upper = "THE WEATHER HAS BEEN LOVELY ALL WEEK, AND WE WENT TO THE BEACH TO SWIM.";
    check("change_case:english_capital", json!({}), &[(upper, true), (lower, false), ("123", false)]);
}

#[test]
fn some_punctuation_is_avoided() {
    check("punctuation:no_comma", json!({}), &[("No; none", true), ("Yes, one", false), ("，", true)]);
    check("punctuation:punctuation_dot", json!({}), &[("No", true), ("Yes.", false)]);
    check("punctuation:punctuation_exclamation", json!({}), &[("No.", true), ("Yes!", false)]);
}

#[test]
fn the_answer_is_in_quotes() {
    check(
        "startend:quotation",
        json!({}),
        &[(" \"Yes.\"\n", true), ("\"", false), ("\"Yes.", false), ("“Yes.”", false)],
    );
}

#[test]
fn sentences_are_joined_by_hyphens() {
    check(
        "detectable_format:sentence_hyphens",
        json!({}),
        &[("One.-Two.-Three.", true), ("One. Two.", false), ("One. - Two.", false), ("One.", true)],
    );
}

#[test]
fn neighbours_do_not_begin_with_neighbouring_letters() {
    check(
        "keywords:no_adjacent_consecutive",
        json!({}),
        &[("apple cat", true), ("apple Banana", false), ("b a", true), ("one", true), ("İ a", false)],
    );
}

#[test]
fn words_are_wrapped_in_brackets() {
    check("detectable_format:square_brackets", json!({}), &[("[one] [two]", true), ("[one two]", false), ("", true)]);
    check(
        "detectable_format:bigram_wrapping",
        json!({}),
        &[("<<I am>> <<at home>>", true), ("<<I am>> home", true), ("I am home", false), ("one", true)],
    );
}

#[test]
fn keywords_occur_once_or_twice_or_not_between_spaces() {
    check("keywords:word_once", json!({"keyword": "sky"}), &[("The SKY.", true), ("sky sky", false), ("sea", false)]);
    check(
        "count:count_increment_word",
        json!({"keyword1": "sun", "keyword2": "sea"}),
        &[("sun sea sea", true), ("sun sea", false), ("sun sun sea sea", false)],
    );
    assert_eq!(follows("count:count_increment_word", &json!({"keyword1": "sun"}), "sun"), None);
    let lists = json!({"keyword1": [" sun ", "x"], "keyword2": ["sea"]});
    check("count:count_increment_word", lists, &[("sun, sea, sea", true), ("sun, sea", false)]);
    check(
        "keywords:exclude_word_harder",
        json!({"keyword": "rain"}),
        &[("in the rain today", false), ("in the rain.", true), ("rain today", true), ("a Rain b", true)],
    );
    assert_eq!(follows("keywords:exclude_word_harder", &json!({"instruction": "sun"}), "the sun is"), Some(false));
    assert_eq!(follows("keywords:exclude_word_harder", &json!({}), "the sun is"), None);
}

#[test]
fn first_and_last_words_are_given() {
    check(
        "first_word:first_word_answer",
        json!({"first_word": "Well"}),
        &[("well then", true), ("Well, then", false), ("", false)],
    );
    check(
        "first_word:first_word_sent",
        json!({"first_word": "we"}),
        &[("We came. We saw.", true), ("We came. I saw.", false), ("", true), ("We came?!", false)],
    );
    assert_eq!(follows("first_word:first_word_sent", &json!({"first_word": ["we", "x"]}), "We came."), None);
    check(
        "last_word:last_word_answer",
        json!({"last_word": "end"}),
        &[("The End!", true), ("The end is near", false), ("", false)],
    );
    check(
        "last_word:last_word_sent",
        json!({"last_word": "home"}),
        &[("I am home. You go \"home\"!", true), ("I am home. Bye.", false)],
    );
}

#[test]
fn small_words_letters_and_compositions_are_counted() {
    check(
        "count:lowercase_counting",
        json!({"N": 2}),
        &[("One two Three four", true), ("a b c", false), ("é a1 b_c", true)],
    );
    check("letters:letter_counting", json!({"N": 3, "relation": "at least"}), &[("a1B2c", true), ("éab", false)]);
    check("letters:letter_counting", json!({"N": 3, "relation": "less than"}), &[("ab", true), ("abc", false)]);
    check("letters:letter_counting", json!({"N": 3, "relation": "around"}), &[("abc", false)]);
    let kwargs = json!({"n_sent": 2, "n_words": 3});
    check(
        "count:counting_composition",
        kwargs,
        &[
            ("We go. We come.\n***\nYou go. You come.\n***\nI go. I come.", true),
            ("We go. We come. *** You go. You come.", false),
            ("We go. We come here. *** You go. You come. *** I go. I come.", false),
            ("We go. *** You go. *** I go.", false),
        ],
    );
    check("count:count_unique", json!({}), &[("Each word here differs.", true), ("go or go", false), ("Go go", true)]);
}

#[test]
fn palindromes_positions_and_frames_are_found() {
    check(
        "keywords:palindrome",
        json!({}),
        &[("the level field", true), ("Level field", false), ("I am", true), ("", false)],
    );
    let kwargs = json!({"keyword": "sea", "n": 2, "m": 3});
    check(
        "keywords:keyword_specific_position",
        kwargs,
        &[("We go. To the sea now.", true), ("To the sea. We go.", false), ("We go.", false), ("We go. Sea.", false)],
    );
    let negative = json!({"keyword": "go", "n": -1, "m": 2});
    // Python counts from the end: -2 is the last but one.
    check("keywords:keyword_specific_position", negative, &[("We go. You come.", true), ("You come. We go.", false)]);
    check("keywords:start_end", json!({}), &[("Home is home", true), ("Home is home.", false), ("Home", false)]);
}

#[test]
fn what_is_missing_is_drawn_and_the_draw_follows_from_the_seed() {
    for class in &CLASSES {
        let first = follows(class.name, &Value::Null, "Some text. It is here.");
        assert_eq!(first, follows(class.name, &json!({}), "Some text. It is here."), "{}", class.name);
    }
    // Two to three small words at most, whichever was drawn.
    check("count:lowercase_counting", json!({"N": 0}), &[("a b", true), ("a b c d", false)]);
    check(
        "detectable_content:number_placeholders",
        json!({"num_placeholders": -1}),
        &[("[a][b][c][d]", true), ("", false)],
    );
}
