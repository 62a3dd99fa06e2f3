// SPDX-License-Identifier: Apache-2.0
use gym_env::{Failure, Instance, Response};
use serde_json::json;

use super::*;

fn instance(seed: u64) -> (Instance<Blackjack>, String) {
    let mut instance = Instance::new(Context::for_test().seed(seed).build());
    let table = instance.reset("{}").unwrap().as_text().unwrap().to_owned();
    (instance, table)
}

fn say(instance: &mut Instance<Blackjack>, text: &str) -> StepOutcome {
    instance.step(json!({"response": Response::builder().message(text).to_value()}).to_string()).unwrap()
}

#[test]
fn the_first_action_counts_and_none_is_to_stand() {
    for (text, expected) in [
        ("<action>hit</action>", Action::Hit),
        ("I think. <ACTION> \n Hit\t</Action> <action>stand</action>", Action::Hit),
        ("<action>stand</action><action>hit</action>", Action::Stand),
        ("<action>hit it</action> <action>hit</action>", Action::Hit),
        ("<action>double</action>", Action::Stand),
        ("<action>hit", Action::Stand),
        ("<action>h\u{131}t</action> <action>hit</action>", Action::Stand),
        ("<action>\u{17f}tand</action> <action>hit</action>", Action::Stand),
        ("hit", Action::Stand),
        ("", Action::Stand),
    ] {
        assert_eq!(action(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn the_deck_follows_from_the_seed_of_the_session() {
    let tables: Vec<String> = (0..40).map(|seed| instance(seed).1).collect();
    assert_eq!(tables, (0..40).map(|seed| instance(seed).1).collect::<Vec<_>>());
    let different: std::collections::HashSet<&String> = tables.iter().collect();
    assert!(different.len() > 30, "{} tables", different.len());
    for table in &tables {
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("Your hand: [") && lines[1].starts_with("Dealer shows: "), "{table}");
        assert_eq!(lines[2], "Respond with <action>hit</action> or <action>stand</action>.");
        assert_eq!(lines.len(), 3);
    }
}

#[test]
fn hitting_ends_in_a_bust_and_costs_a_point() {
    for seed in 0..50 {
        let (mut instance, _) = instance(seed);
        for hits in 0.. {
            assert!(hits < 22, "seed {seed}: every card is worth a point at least");
            let outcome = say(&mut instance, "<action>hit</action>");
            if outcome.terminated {
                let info = outcome.observation.as_info();
                assert_eq!((outcome.reward, &info["result"]), (-1.0, &json!("bust")));
                assert!(info["value"].as_u64().unwrap() > 21);
                assert_eq!(info.keys().collect::<Vec<_>>(), ["result", "player", "value"]);
                break;
            }
            assert_eq!(outcome.reward, 0.0);
        }
    }
}

#[test]
fn standing_compares_the_hands() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let (mut instance, table) = instance(seed);
        let outcome = say(&mut instance, "I stay.");
        let info = outcome.observation.as_info();
        let (player, dealer) = (info["player_value"].as_u64().unwrap(), info["dealer_value"].as_u64().unwrap());
        assert!(dealer >= 17, "seed {seed}");
        assert!(table.contains(&format!("Your hand: {} = {player}\n", info["player"].as_str().unwrap())));
        let (result, reward) = match () {
            () if dealer > 21 => ("win", 1.0),
            () if player > dealer => ("win", 1.0),
            () if player < dealer => ("loss", -1.0),
            () => ("draw", 0.0),
        };
        assert_eq!((info["result"].as_str().unwrap(), outcome.reward, outcome.terminated), (result, reward, true));
        seen.insert(result);
    }
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_step_before_the_first_reset_is_refused() {
    let mut instance = Instance::<Blackjack>::new(Context::for_test().build());
    let request = json!({"response": Response::builder().message("hit").to_value()}).to_string();
    assert!(matches!(instance.step(request), Err(Failure::Refused(_))));
}
