// SPDX-License-Identifier: Apache-2.0
//! Plays `cases.jsonl` natively. `gym-host test` plays it against the component.

/// What of the shipped configuration the cases rely on.
const CONFIG: &str = r#"{
    "genrm_model_server": {"type": "responses_api_models", "name": "genrm_model"},
    "genrm_responses_create_params": {"input": []},
    "score_normalization": "min_max"
}"#;

#[test]
fn every_case_has_the_outcome_it_states() {
    let config = serde_json::from_str(CONFIG).unwrap();
    gym_env::cases::check_with::<genrm_compare::GenrmCompare>(env!("CARGO_MANIFEST_DIR"), &config);
}

#[test]
fn requests_that_are_not_as_they_should_be_do_not_trap() {
    let config = serde_json::from_str(CONFIG).unwrap();
    gym_env::cases::check_malformed_with::<genrm_compare::GenrmCompare>(
        env!("CARGO_MANIFEST_DIR"),
        1_000,
        &config,
        |test| test,
    );
}

#[test]
fn the_generator_writes_what_is_there() {
    gym_env::cases::check_generated(env!("CARGO_MANIFEST_DIR"), &["generate.py"]);
}
