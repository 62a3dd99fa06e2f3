// SPDX-License-Identifier: Apache-2.0
//! Cards, hands and what they are worth.

use std::fmt;

use gym_env::Rng;

const RANKS: [&str; 13] = ["2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K", "A"];

/// What a hand may be worth at most.
pub(crate) const LIMIT: u32 = 21;

/// A card. Only its rank counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Card(&'static str);

impl Card {
    /// The next card of a deck that never ends: all ranks are equally likely.
    pub(crate) fn deal(deck: &mut Rng) -> Self {
        let index = usize::try_from(deck.below(RANKS.len() as u64)).unwrap_or_default();
        Self(RANKS[index])
    }

    fn points(self) -> u32 {
        match self.0 {
            "J" | "Q" | "K" => 10,
            "A" => 11,
            number => number.parse().expect("the other ranks are numbers"),
        }
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The cards in front of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hand(Vec<Card>);

impl Hand {
    /// A hand of two cards.
    pub(crate) fn deal(deck: &mut Rng) -> Self {
        Self(vec![Card::deal(deck), Card::deal(deck)])
    }

    pub(crate) fn take(&mut self, card: Card) {
        self.0.push(card);
    }

    /// The card that the other side sees.
    pub(crate) fn first(&self) -> Option<Card> {
        self.0.first().copied()
    }

    /// An ace is worth 11, or 1 where 11 would be too much.
    pub(crate) fn value(&self) -> u32 {
        let mut value = self.0.iter().map(|card| card.points()).sum();
        for _ in self.0.iter().filter(|card| card.0 == "A") {
            if value > LIMIT {
                value -= 10;
            }
        }
        value
    }
}

impl fmt::Display for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranks: Vec<&str> = self.0.iter().map(|card| card.0).collect();
        write!(f, "[{}]", ranks.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hand(ranks: &[&str]) -> Hand {
        Hand(ranks.iter().map(|rank| Card(RANKS.iter().find(|known| *known == rank).unwrap())).collect())
    }

    #[test]
    fn aces_give_way_one_by_one() {
        for (ranks, value) in [
            (&["K", "5"][..], 15),
            (&["A", "K"], 21),
            (&["A", "A"], 12),
            (&["A", "A", "9"], 21),
            (&["A", "K", "Q"], 21),
            (&["A", "A", "K", "Q"], 22),
            (&["10", "J", "2"], 22),
            (&[], 0),
        ] {
            assert_eq!(hand(ranks).value(), value, "{ranks:?}");
        }
    }

    #[test]
    fn a_hand_is_written_as_a_list() {
        assert_eq!(hand(&["K", "10", "A"]).to_string(), "[K, 10, A]");
    }

    #[test]
    fn all_ranks_are_dealt_about_equally_often() {
        let mut deck = Rng::from_seed(1);
        let mut counts = [0_u32; 13];
        for _ in 0..13_000 {
            let card = Card::deal(&mut deck);
            counts[RANKS.iter().position(|rank| *rank == card.0).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
