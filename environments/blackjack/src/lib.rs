// SPDX-License-Identifier: Apache-2.0
//! One hand of blackjack, in the style of Gymnasium. See the README for the rules and the reward.

mod cards;

use gym_env::{
    Attempt, Context, Fault, Observation, Rng, StepOutcome,
    pattern::{Case, Pattern},
    resources_server,
};

use cards::{Card, Hand, LIMIT};

/// What the dealer stops drawing at.
const DEALER_STANDS: u32 = 17;

/// One attempt: the cards on the table, and the rest of the deck.
#[derive(Debug)]
pub struct Blackjack {
    deck: Rng,
    player: Hand,
    dealer: Hand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Hit,
    Stand,
}

/// The first action in a text. Without one the player stands.
fn action(text: &str) -> Result<Action, Fault> {
    let pattern = Pattern::new(r"<action>\s*(hit|stand)\s*</action>", Case::Ignored)?;
    let found = pattern.find(text)?;
    let word = found.as_ref().and_then(|found| found.group(1)).unwrap_or("stand");
    // The pattern also takes letters that only are the same when case is ignored, such as the dotless i; they are no hit.
    Ok(if word.to_lowercase() == "hit" { Action::Hit } else { Action::Stand })
}

impl Blackjack {
    fn deal(mut deck: Rng) -> Self {
        let player = Hand::deal(&mut deck);
        let dealer = Hand::deal(&mut deck);
        Self { deck, player, dealer }
    }

    fn table(&self) -> String {
        let shown = self.dealer.first().map(|card| card.to_string()).unwrap_or_default();
        format!(
            "Your hand: {} = {}\nDealer shows: {shown}\nRespond with <action>hit</action> or <action>stand</action>.",
            self.player,
            self.player.value()
        )
    }

    fn hit(&mut self) -> StepOutcome {
        self.player.take(Card::deal(&mut self.deck));
        let value = self.player.value();
        if value <= LIMIT {
            return StepOutcome::go_on(self.table());
        }
        let info =
            Observation::silent().info("result", "bust").info("player", self.player.to_string()).info("value", value);
        StepOutcome::terminated(info, -1.0)
    }

    fn stand(&mut self) -> StepOutcome {
        while self.dealer.value() < DEALER_STANDS {
            self.dealer.take(Card::deal(&mut self.deck));
        }
        let (player, dealer) = (self.player.value(), self.dealer.value());
        let (result, reward) = if dealer > LIMIT || player > dealer {
            ("win", 1.0)
        } else if player == dealer {
            ("draw", 0.0)
        } else {
            ("loss", -1.0)
        };
        let info = Observation::silent()
            .info("result", result)
            .info("player", self.player.to_string())
            .info("player_value", player)
            .info("dealer", self.dealer.to_string())
            .info("dealer_value", dealer);
        StepOutcome::terminated(info, reward)
    }
}

#[resources_server]
impl Blackjack {
    #[reset]
    fn reset(cx: &mut Context) -> Result<(Self, Observation), Fault> {
        let game = Self::deal(cx.rng());
        let table = game.table();
        Ok((game, Observation::text(table)))
    }

    #[step]
    fn step(&mut self, attempt: &Attempt) -> Result<StepOutcome, Fault> {
        Ok(match action(&attempt.message_text()?)? {
            Action::Hit => self.hit(),
            Action::Stand => self.stand(),
        })
    }
}

#[cfg(test)]
mod tests;
