// SPDX-License-Identifier: Apache-2.0
//! Plays the cases natively. `gym-host test` plays them against the component.

#[test]
fn every_case_has_the_outcome_it_states() {
    let required = serde_json::json!({"num_processes": 8, "unit_test_timeout_secs": 10, "debug": false});
    gym_env::cases::check_with::<code_gen::CodeGen>(
        env!("CARGO_MANIFEST_DIR"),
        required.as_object().expect("an object"),
    );
}

#[test]
fn requests_that_are_not_as_they_should_be_do_not_trap() {
    let required = serde_json::json!({"num_processes": 8, "unit_test_timeout_secs": 10, "debug": false});
    let config = required.as_object().expect("an object");
    gym_env::cases::check_malformed_with::<code_gen::CodeGen>(env!("CARGO_MANIFEST_DIR"), 400, config, |test| test);
}
