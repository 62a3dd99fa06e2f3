// SPDX-License-Identifier: Apache-2.0
//! Plays `cases.jsonl` natively. `gym-host test` plays it against the component.

#[path = "../examples/generate_sql/main.rs"]
mod generate;

#[test]
fn every_case_has_the_outcome_it_states() {
    gym_env::cases::check::<sql::Sql>(env!("CARGO_MANIFEST_DIR"));
}

#[test]
fn requests_that_are_not_as_they_should_be_do_not_trap() {
    gym_env::cases::check_malformed::<sql::Sql>(env!("CARGO_MANIFEST_DIR"), 200);
}

#[test]
fn the_generator_writes_what_is_there() {
    for (path, text) in generate::files() {
        let found = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(&path));
        assert!(found.is_ok_and(|found| found == text), "{path} is not what the generator writes");
    }
}
