// SPDX-License-Identifier: Apache-2.0
//! The long text and the facts in it. Both follow from a seed, on every machine and for ever.

use std::collections::BTreeSet;

use gym_env::{Rng, Schema};
use serde::Deserialize;

use crate::words::{BIRDS, DID, PLACES, THEN, THINGS, WHEN, WHO};

/// Words of a page. The last sentence of a page is not cut.
pub(crate) const PAGE_WORDS: usize = 250;

/// Which text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Schema)]
pub struct Spec {
    /// What all that is random follows from.
    pub seed: u64,
    /// About how many words the text has: 200 to 200,000.
    pub words: u64,
    /// How many facts are asked for: 1 to 32.
    pub facts: u64,
}

/// A place and a thing that it has one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// For example `bell tower`.
    pub place: &'static str,
    /// For example `gate code`.
    pub thing: &'static str,
}

/// The text in pages, what is asked, and the answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The text.
    pub pages: Vec<String>,
    /// What is asked for, in the order of the answers.
    pub questions: Vec<Question>,
    /// The right answers.
    pub answers: Vec<String>,
}

impl Spec {
    /// Why there is no such text, as a sentence.
    pub fn problem(&self) -> Option<&'static str> {
        if !(200..=200_000).contains(&self.words) {
            Some("`words` of the document must be between 200 and 200000")
        } else if !(1..=32).contains(&self.facts) {
            Some("`facts` of the document must be between 1 and 32")
        } else if self.facts * 40 > self.words {
            Some("`words` of the document must be at least 40 times its `facts`")
        } else {
            None
        }
    }
}

impl Document {
    /// The text of a specification. What has a [`Spec::problem`] gives some text, of a bounded size.
    pub fn new(spec: Spec) -> Self {
        let mut rng = Rng::from_seed(spec.seed);
        let facts = usize::try_from(spec.facts.min(32)).unwrap_or_default();
        let words = usize::try_from(spec.words.min(200_000)).unwrap_or_default();
        let mut codes = BTreeSet::new();
        let mut code = |rng: &mut Rng| {
            // There are 180,000 codes, of which a text uses hundreds at most.
            for _ in 0..1_000 {
                let code = format!("{}-{}", pick(rng, &BIRDS), rng.between(1_000, 9_999));
                if codes.insert(code.clone()) {
                    return code;
                }
            }
            format!("egret-{}", codes.len())
        };
        let mut pairs: Vec<Question> =
            PLACES.iter().flat_map(|place| THINGS.map(|thing| Question { place, thing })).collect();
        shuffle(&mut rng, &mut pairs);
        let (questions, others) = pairs.split_at(facts);
        let answers: Vec<String> = questions.iter().map(|_| code(&mut rng)).collect();
        let mut told: Vec<String> = Vec::new();
        for (question, answer) in questions.iter().zip(&answers) {
            told.push(fact(&mut rng, *question, answer));
            // What looks like the fact and is not: the same place, the same thing, and what was true once.
            let alike = [
                others.iter().find(|other| other.place == question.place),
                others.iter().find(|other| other.thing == question.thing),
            ];
            for other in alike.into_iter().flatten() {
                let code = code(&mut rng);
                told.push(fact(&mut rng, *other, &code));
            }
            let code = code(&mut rng);
            told.push(former(&mut rng, *question, &code));
        }
        let told_words: usize = told.iter().map(|sentence| count_words(sentence)).sum();
        let mut sentences = Vec::new();
        let mut filled = told_words;
        while filled < words {
            let sentence = filler(&mut rng);
            filled += count_words(&sentence);
            sentences.push(sentence);
        }
        for sentence in told {
            let at = rng.below(sentences.len() as u64 + 1);
            sentences.insert(usize::try_from(at).unwrap_or_default(), sentence);
        }
        Self { pages: paginate(&sentences), questions: questions.to_vec(), answers }
    }

    /// How many words all pages have.
    pub fn words(&self) -> usize {
        self.pages.iter().map(|page| count_words(page)).sum()
    }
}

fn pick(rng: &mut Rng, words: &[&'static str]) -> &'static str {
    words[usize::try_from(rng.below(words.len() as u64)).unwrap_or_default()]
}

fn shuffle<T>(rng: &mut Rng, items: &mut [T]) {
    for end in (1..items.len()).rev() {
        items.swap(end, usize::try_from(rng.below(end as u64 + 1)).unwrap_or_default());
    }
}

fn fact(rng: &mut Rng, Question { place, thing }: Question, code: &str) -> String {
    match rng.below(4) {
        0 => format!("The {thing} of the {place} is {code}."),
        1 => format!("At the {place} the {thing} is {code}."),
        2 => format!("Whoever asks for the {thing} of the {place} is told {code}."),
        _ => format!("It is written on the wall of the {place} that the {thing} is {code}."),
    }
}

fn former(rng: &mut Rng, Question { place, thing }: Question, code: &str) -> String {
    match rng.below(2) {
        0 => format!("Until last autumn the {thing} of the {place} was {code}."),
        _ => format!("The {thing} of the {place} used to be {code}, but it was changed."),
    }
}

fn filler(rng: &mut Rng) -> String {
    let (who, did, when, then) = (pick(rng, &WHO), pick(rng, &DID), pick(rng, &WHEN), pick(rng, &THEN));
    match rng.below(3) {
        0 => format!("{who} {did} {when}, {then}."),
        1 => format!("{who} {did} near the {}, {then}.", pick(rng, &PLACES)),
        _ => format!("{who} {did} {when}."),
    }
}

fn count_words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn paginate(sentences: &[String]) -> Vec<String> {
    let mut pages = vec![String::new()];
    let mut words = 0;
    for sentence in sentences {
        if words >= PAGE_WORDS {
            pages.push(String::new());
            words = 0;
        }
        words += count_words(sentence);
        let page = pages.last_mut().expect("there is a first page");
        if !page.is_empty() {
            page.push(' ');
        }
        page.push_str(sentence);
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_its_length_and_each_fact_once() {
        for (seed, words, facts) in [(1, 200, 1), (2, 1_000, 4), (3, 5_000, 32), (4, 60_000, 8), (5, 200_000, 32)] {
            let spec = Spec { seed, words, facts };
            assert_eq!(spec.problem(), None);
            let document = Document::new(spec);
            assert_eq!(document, Document::new(spec));
            let length = document.words() as u64;
            assert!((words..words + 40).contains(&length), "{length} for {spec:?}");
            assert_eq!((document.questions.len() as u64, document.answers.len() as u64), (facts, facts));
            let text = document.pages.join(" ");
            for (question, answer) in document.questions.iter().zip(&document.answers) {
                assert_eq!(text.matches(answer.as_str()).count(), 1);
                let sentence = text.split_inclusive('.').find(|sentence| sentence.contains(answer.as_str())).unwrap();
                assert!(sentence.contains(question.place) && sentence.contains(question.thing), "{sentence}");
                assert!(!sentence.contains("used to") && !sentence.contains("Until"), "{sentence}");
            }
        }
    }

    #[test]
    fn texts_of_other_seeds_are_others() {
        let of = |seed| Document::new(Spec { seed, words: 300, facts: 2 });
        assert_ne!(of(1).pages, of(2).pages);
        assert_ne!(of(1).answers, of(2).answers);
    }

    #[test]
    fn texts_beyond_the_limits_are_told() {
        for (words, facts) in [(199, 1), (200_001, 1), (1_000, 0), (1_000, 33), (300, 8), (u64::MAX, u64::MAX)] {
            let spec = Spec { seed: 0, words, facts };
            assert!(spec.problem().is_some(), "{spec:?}");
            assert!(Document::new(spec).words() < 201_000);
        }
    }
}
