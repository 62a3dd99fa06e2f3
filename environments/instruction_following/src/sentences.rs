// SPDX-License-Identifier: Apache-2.0
//! Sentences as NLTK finds them: the Punkt method of Kiss and Strunk (2006) in the form of `PunktSentenceTokenizer`.
//!
//! A full stop, question mark or exclamation mark ends a sentence when white space or closing punctuation follows,
//! unless it belongs to an abbreviation, an initial, an ellipsis or an ordinal number. What an abbreviation is, and
//! which words begin sentences, NLTK has learnt from newspapers (see `lexicon`).

use gym_env::text::is_space;

use crate::{
    lexicon::{NUMBER, Seen, is_abbreviation, is_collocation, starts_sentences},
    python::{is_digit, is_word},
};

/// Marks that close what stands before them, and go with the sentence before.
const CLOSERS: [char; 11] = ['"', '\'', ')', ']', '}', '‘', '’', '“', '”', '«', '»'];

/// Characters that cannot stand in words.
fn is_no_word_character(c: char) -> bool {
    matches!(
        c,
        ')' | '"'
            | ';'
            | '}'
            | ']'
            | '*'
            | ':'
            | '@'
            | '\''
            | '('
            | '{'
            | '['
            | '?'
            | '!'
            | '‘'
            | '’'
            | '“'
            | '”'
            | '«'
            | '»'
    )
}

/// Characters that do not begin a word.
fn begins_no_word(c: char) -> bool {
    matches!(c, '(' | '"' | '`' | '{' | '[' | ':' | ';' | '&' | '#' | '*' | '@' | ')' | '}' | ']' | '-' | ',')
}

fn is_end_mark(c: char) -> bool {
    matches!(c, '.' | '?' | '!')
}

/// The sentences of a text, in order.
pub(crate) fn sentences(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    realign(&chars, slices(&chars)).into_iter().map(|(start, end)| chars[start..end].iter().collect()).collect()
}

/// A place where a sentence may end: after the mark at `mark`.
struct Candidate {
    /// Where the word before it begins.
    word: usize,
    /// Where the mark is.
    mark: usize,
    /// Where the next word begins and ends, when white space comes before it.
    next: Option<(usize, usize)>,
}

impl Candidate {
    /// The word, the mark, and what follows, up to here.
    fn context_end(&self) -> usize {
        self.next.map_or(self.mark + 2, |(_, end)| end)
    }
}

/// All end marks with closing punctuation, or white space and a word, after them; of marks in one word the last one.
fn candidates(chars: &[char]) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut last: Option<Candidate> = None;
    // Where the word before the last mark begins and ends.
    let (mut start, mut stop) = (0, 0);
    for (mark, _) in chars.iter().enumerate().filter(|(_, c)| is_end_mark(**c)) {
        let next = match chars.get(mark + 1) {
            Some(c) if is_no_word_character(*c) => None,
            Some(c) if is_space(*c) => {
                let Some(begin) = (mark + 1..chars.len()).find(|at| !is_space(chars[*at])) else { continue };
                let end = (begin..chars.len()).find(|at| is_space(chars[*at])).unwrap_or(chars.len());
                Some((begin, end))
            }
            _ => continue,
        };
        // Only ASCII white space counts here, and none directly after the last mark's word.
        let space =
            (stop + 1..mark).rev().find(|at| matches!(chars[*at], ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}'));
        let word = space.map_or(start, |at| at + 1);
        if let Some(last) = last.take()
            && stop <= word
        {
            found.push(last);
        }
        (start, stop) = (word, mark);
        last = Some(Candidate { word, mark, next });
    }
    found.extend(last);
    found
}

/// From where to where sentences go, with closing punctuation still at the beginning of the next one.
fn slices(chars: &[char]) -> Vec<(usize, usize)> {
    let mut slices = Vec::new();
    let mut begin = 0;
    for candidate in candidates(chars) {
        if has_break(&chars[candidate.word..candidate.context_end()]) {
            slices.push((begin, candidate.mark + 1));
            begin = candidate.next.map_or(candidate.mark + 1, |(next, _)| next);
        }
    }
    let end = chars.iter().rposition(|c| !is_space(*c)).map_or(0, |last| last + 1);
    slices.push((begin, end.max(begin)));
    slices
}

/// Moves closing punctuation from the beginning of a sentence to the end of the one before.
fn realign(chars: &[char], slices: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    let mut moved = 0;
    let mut sentences = Vec::new();
    for (index, (start, stop)) in slices.iter().enumerate() {
        let (start, mut end) = ((start + moved).min(*stop), *stop);
        moved = 0;
        if let Some((next, next_stop)) = slices.get(index + 1)
            && let Some((closers, taken)) = closing(&chars[*next..*next_stop])
        {
            end = next + closers;
            moved = taken;
            sentences.push((start, end));
            continue;
        }
        if start < end {
            sentences.push((start, end));
        }
    }
    sentences
}

/// How many characters at the beginning close something, and how many these are with the white space after them. None
/// when no white space, dashes or the end come after them.
fn closing(chars: &[char]) -> Option<(usize, usize)> {
    let closers = chars.iter().take_while(|c| CLOSERS.contains(c)).count();
    let rest = &chars[closers..];
    let spaces = rest.iter().take_while(|c| is_space(**c)).count();
    let ends = rest.is_empty() || spaces > 0 || rest.starts_with(&['-', '-']);
    (closers > 0 && ends).then_some((closers, closers + spaces))
}

/// A word in the context of a mark.
struct Token {
    text: Vec<char>,
    /// In small letters, or [`NUMBER`].
    word: String,
    breaks: bool,
    abbreviates: bool,
    is_ellipsis: bool,
}

impl Token {
    fn new(text: Vec<char>) -> Self {
        let lower: String = text.iter().collect::<String>().to_lowercase();
        let word = if is_numeric(&lower) { NUMBER.to_owned() } else { lower };
        let mut token = Self { text, word, breaks: false, abbreviates: false, is_ellipsis: false };
        match token.text.as_slice() {
            [c] if is_end_mark(*c) => token.breaks = true,
            ['.', '.', rest @ ..] if rest.iter().all(|c| *c == '.') => token.is_ellipsis = true,
            [.., '.', '.'] => {}
            [before @ .., '.'] => {
                let before = before.iter().collect::<String>().to_lowercase();
                let part = before.rsplit('-').next().unwrap_or_default();
                token.abbreviates = is_abbreviation(&before) || is_abbreviation(part);
                token.breaks = !token.abbreviates;
            }
            _ => {}
        }
        token
    }

    fn ends_with_stop(&self) -> bool {
        self.text.last() == Some(&'.')
    }

    fn is_initial(&self) -> bool {
        matches!(self.text.as_slice(), [letter, '.'] if is_word(*letter) && !is_digit(*letter))
    }

    /// The word without its full stop.
    fn bare(&self) -> &str {
        self.word.strip_suffix('.').filter(|bare| !bare.is_empty()).unwrap_or(&self.word)
    }

    /// The word as a next one is looked up: without its full stop when that ends a sentence.
    fn looked_up(&self) -> &str {
        if self.breaks { self.bare() } else { &self.word }
    }

    fn begins_with_capital(&self) -> bool {
        self.text.first().is_some_and(|c| c.is_uppercase())
    }

    /// What its letters say: whether it begins a sentence, or does not, if that can be told.
    fn begins_sentence(&self) -> Option<bool> {
        if matches!(self.text.as_slice(), [';' | ':' | ',' | '.' | '!' | '?']) {
            return Some(false);
        }
        let seen = Seen::of(self.looked_up());
        match self.text.first() {
            Some(first) if first.is_uppercase() && seen.small() && !seen.capital_inside() => Some(true),
            Some(first) if first.is_lowercase() && (seen.capital() || !seen.small_at_beginning()) => Some(false),
            _ => None,
        }
    }
}

fn is_numeric(word: &str) -> bool {
    let rest = word.strip_prefix('-').unwrap_or(word);
    let rest = rest.strip_prefix(['.', ',']).unwrap_or(rest);
    let mut chars = rest.chars();
    chars.next().is_some_and(is_digit) && chars.all(|c| is_digit(c) || matches!(c, ',' | '.' | '-'))
}

/// Whether a sentence ends in this context, before its last word.
fn has_break(context: &[char]) -> bool {
    let mut last: Option<Token> = None;
    for word in context.split(|c| *c == '\n').flat_map(words) {
        let next = Token::new(word.to_vec());
        if let Some(mut token) = last {
            reconsider(&mut token, &next);
            if token.breaks {
                return true;
            }
        }
        last = Some(next);
    }
    false
}

/// Decides again whether a sentence ends after a word, in the light of the next one.
fn reconsider(token: &mut Token, next: &Token) {
    if !token.ends_with_stop() {
        return;
    }
    if is_collocation(token.bare(), next.looked_up()) {
        token.breaks = false;
        token.abbreviates = true;
        return;
    }
    let is_initial = token.is_initial();
    let begins_sentence = next.begins_sentence();
    if (token.abbreviates || token.is_ellipsis) && !is_initial {
        let is_starter = next.begins_with_capital() && starts_sentences(next.looked_up());
        if begins_sentence == Some(true) || is_starter {
            token.breaks = true;
            return;
        }
    }
    if is_initial || token.bare() == NUMBER {
        let may_be_name = next.begins_with_capital() && !Seen::of(next.looked_up()).small();
        let is_name = is_initial && begins_sentence.is_none() && may_be_name;
        if begins_sentence == Some(false) || is_name {
            token.breaks = false;
            token.abbreviates = true;
        }
    }
}

/// The words of a line; punctuation other than full stops stands alone.
fn words(line: &[char]) -> impl Iterator<Item = &[char]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += line[at..].iter().take_while(|c| is_space(**c)).count();
        let first = *line.get(at)?;
        let mark = mark_length(&line[at..]);
        let mut end = at + mark.unwrap_or(1);
        if mark.is_none() && !begins_no_word(first) {
            while end < line.len() && !ends_word(&line[end..]) {
                end += 1;
            }
        }
        let word = &line[at..end];
        at = end;
        Some(word)
    })
}

/// Whether a word ends before this.
fn ends_word(rest: &[char]) -> bool {
    let ends = |rest: &[char]| match rest.first() {
        None => true,
        Some(c) => is_space(*c) || is_no_word_character(*c) || mark_length(rest).is_some(),
    };
    ends(rest) || rest[0] == ',' && ends(&rest[1..])
}

/// The length of a mark of several characters: dashes, full stops, full stops with white space between.
fn mark_length(rest: &[char]) -> Option<usize> {
    let run = |wanted: char| rest.iter().take_while(|c| **c == wanted).count();
    if run('-') > 1 {
        return Some(run('-'));
    }
    if run('.') > 1 {
        return Some(run('.'));
    }
    let mut spaced = 0;
    while rest.get(spaced) == Some(&'.') && rest.get(spaced + 1).is_some_and(|c| is_space(*c)) {
        spaced += 2;
    }
    // The last white space must be followed by one more full stop.
    while spaced >= 4 {
        if rest.get(spaced) == Some(&'.') {
            return Some(spaced + 1);
        }
        spaced -= 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_a_reader_would_say() {
        for (text, expected) in [
            ("", vec![]),
            ("  ", vec![]),
            ("One", vec!["One"]),
            ("One. Two! Three? four", vec!["One.", "Two!", "Three?", "four"]),
            ("It costs 3.50 euros. Fine.", vec!["It costs 3.50 euros.", "Fine."]),
            ("Very bad!!! I promise.", vec!["Very bad!!!", "I promise."]),
            ("Dr. Smith met Mrs. Jones at 5 p.m. today.", vec!["Dr. Smith met Mrs. Jones at 5 p.m. today."]),
            ("He lives in the U.S. The weather is fine.", vec!["He lives in the U.S.", "The weather is fine."]),
            ("J. Bach wrote it. We sang.", vec!["J. Bach wrote it.", "We sang."]),
            ("(It is so.) He said \"Go.\" Then he left.", vec!["(It is so.)", "He said \"Go.\"", "Then he left."]),
            ("Wait... what? Wait... He came.", vec!["Wait... what?", "Wait...", "He came."]),
            ("1. Apples\n2. Pears", vec!["1.", "Apples\n2.", "Pears"]),
            ("1. apples and pears", vec!["1. apples and pears"]),
            ("End.\n\nStart", vec!["End.", "Start"]),
            ("no space.here or .5", vec!["no space.here or .5"]),
            // Typographic quotes close a sentence like straight ones.
            ("He said “Go.” Then he left.", vec!["He said “Go.”", "Then he left."]),
            ("Elle dit « oui. » Puis rien.", vec!["Elle dit « oui. »", "Puis rien."]),
            // After an initial a capital says something only if the word is known to be written small.
            ("A. Reaction starts.", vec!["A.", "Reaction starts."]),
            ("A. Zyzzyva starts.", vec!["A. Zyzzyva starts."]),
            // Words that were seen together belong together.
            ("Step 1. Review it.", vec!["Step 1. Review it."]),
            ("Step 1. Read it.", vec!["Step 1.", "Read it."]),
        ] {
            assert_eq!(sentences(text), expected, "{text:?}");
        }
    }

    #[test]
    fn long_texts_without_words_take_no_time() {
        // A run of marks at the beginning is three sentences to NLTK: the first marks have no word before them.
        for (part, count) in
            [("!", 3), ("! ", 200_000), (". ", 200_000), (".", 1), ("-", 1), ("a.) ", 200_000), ("'.", 2)]
        {
            assert_eq!(sentences(&part.repeat(200_000)).len(), count, "{part}");
        }
    }

    #[test]
    fn marks_of_several_characters_are_one_word() {
        for (text, length) in [("--- x", Some(3)), ("... x", Some(3)), (". . . x", Some(5)), (". .", None), ("-", None)]
        {
            assert_eq!(mark_length(&text.chars().collect::<Vec<_>>()), length, "{text}");
        }
    }
}
