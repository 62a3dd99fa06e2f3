// SPDX-License-Identifier: Apache-2.0
//! What NLTK has learnt of English words at the end and the beginning of sentences: its model `punkt_tab/english`, which
//! the build script takes from a crate.

/// Lists, sorted.
mod english {
    include!(concat!(env!("OUT_DIR"), "/english.rs"));
}

/// How a number is called in the lists.
pub(crate) const NUMBER: &str = "##number##";

/// Whether a full stop after this word belongs to it. The word is in small letters, without the full stop.
pub(crate) fn is_abbreviation(word: &str) -> bool {
    english::ABBREVIATIONS.binary_search(&word).is_ok()
}

/// Whether this word, written with a capital, begins a sentence after an abbreviation.
pub(crate) fn starts_sentences(word: &str) -> bool {
    english::STARTERS.binary_search(&word).is_ok()
}

/// Whether these words follow each other so often that a full stop between them ends no sentence.
pub(crate) fn is_collocation(word: &str, next: &str) -> bool {
    english::COLLOCATIONS.binary_search(&(word, next)).is_ok()
}

/// How a word was seen written, and where. None of it is so for a word that was never seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen(u8);

impl Seen {
    pub(crate) fn of(word: &str) -> Self {
        let found = english::SEEN.binary_search_by_key(&word, |(word, _)| *word);
        Self(found.map_or(0, |at| english::SEEN[at].1))
    }

    /// With a capital.
    pub(crate) fn capital(self) -> bool {
        self.0 & 0b000_1110 != 0
    }

    /// With a capital inside of a sentence.
    pub(crate) fn capital_inside(self) -> bool {
        self.0 & 0b000_0100 != 0
    }

    /// Small.
    pub(crate) fn small(self) -> bool {
        self.0 & 0b111_0000 != 0
    }

    /// Small at the beginning of a sentence.
    pub(crate) fn small_at_beginning(self) -> bool {
        self.0 & 0b001_0000 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_those_of_newspapers() {
        let lengths = (english::ABBREVIATIONS.len(), english::STARTERS.len(), english::COLLOCATIONS.len());
        assert_eq!((lengths, english::SEEN.len()), ((156, 39, 37), 20_366));
        assert!(is_abbreviation("dr") && is_abbreviation("u.s") && !is_abbreviation("etc"));
        assert!(starts_sentences("however") && !starts_sentences("cat"));
        assert!(is_collocation(NUMBER, "international") && !is_collocation(NUMBER, "cat"));
        let (known, unknown) = (Seen::of("however"), Seen::of("zyzzyva"));
        assert!(known.small() && known.capital() && !unknown.small() && !unknown.capital());
    }
}
