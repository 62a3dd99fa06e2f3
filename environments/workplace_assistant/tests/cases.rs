// SPDX-License-Identifier: Apache-2.0
//! Plays `cases.jsonl` natively. `gym-host test` plays it against the component.

#[test]
fn every_case_has_the_outcome_it_states() {
    gym_env::cases::check::<workplace_assistant::Workplace>(env!("CARGO_MANIFEST_DIR"));
}

#[test]
fn requests_that_are_not_as_they_should_be_do_not_trap() {
    gym_env::cases::check_malformed::<workplace_assistant::Workplace>(env!("CARGO_MANIFEST_DIR"), 150);
}

#[test]
fn the_generator_writes_what_is_there() {
    gym_env::cases::check_generated(env!("CARGO_MANIFEST_DIR"), &["generate.py", "generate_tasks.py"]);
}
