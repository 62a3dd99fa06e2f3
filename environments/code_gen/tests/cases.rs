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
