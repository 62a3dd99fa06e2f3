// SPDX-License-Identifier: Apache-2.0
use gym_env::{Failure, Instance, Response, Rng};
use serde_json::json;

use super::*;

fn instance() -> Instance<Sql> {
    Instance::new(Context::for_test().folder(env!("CARGO_MANIFEST_DIR")).build())
}

#[test]
fn what_one_query_does_is_not_seen_by_the_next() {
    let mut instance = instance();
    instance.seed_session(r#"{"db_script": "CREATE TABLE t (a); INSERT INTO t VALUES (7);"}"#).unwrap();
    for query in [
        "INSERT INTO t VALUES (8)",
        "UPDATE t SET a = 1",
        "CREATE TEMP TABLE u AS SELECT 1",
        "ATTACH 'x.db' AS x",
        "VACUUM INTO 'copy.db'",
        "BEGIN",
        "SELECT load_extension('x')",
        "EXPLAIN DELETE FROM t",
        "SELECT a FROM t; DELETE FROM t",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "",
        "-- nothing",
        "SELECT ?1",
        "SELECT \u{0}",
    ] {
        let result = instance.call_tool("run_query", &json!({"query": query}).to_string());
        assert!(matches!(result, Err(Failure::Rejected(_))), "{query}: {result:?}");
    }
    let shown = instance.call_tool("run_query", r#"{"query": "SELECT a FROM t"}"#).unwrap();
    assert_eq!(shown, r#"{"columns":["a"],"rows":[[7]],"row_count":1,"truncated":false}"#);
}

#[test]
fn a_query_is_bounded_in_every_way() {
    let mut instance = instance();
    instance.seed_session(r#"{"db_id": "shop"}"#).unwrap();
    for query in [
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n",
        "SELECT count(*) FROM orders a, orders b, orders c, orders d, orders e",
        "SELECT hex(zeroblob(900000000))",
        "SELECT replace(hex(zeroblob(400000)), '0', 'abcdefgh')",
        "SELECT printf('%.900000000c', 'x')",
        "WITH RECURSIVE n(i, s) AS (SELECT 1, hex(randomblob(400000)) UNION ALL SELECT i + 1, hex(randomblob(400000)) \
         FROM n LIMIT 200) SELECT count(DISTINCT s) FROM n",
    ] {
        let result = instance.call_tool("run_query", &json!({"query": query}).to_string());
        assert!(matches!(result, Err(Failure::Rejected(_))), "{query}: {result:?}");
    }
    let long = format!("SELECT 1{}", " ".repeat(200_000));
    assert!(instance.call_tool("run_query", &json!({"query": long}).to_string()).is_err());
    for (open, close) in [("1+(", ")"), ("(SELECT ", ")"), ("NOT ", ""), ("abs(", ")")] {
        let deep = format!("SELECT {}1{}", open.repeat(2_000), close.repeat(2_000));
        assert!(instance.call_tool("run_query", &json!({"query": deep}).to_string()).is_err(), "{open}");
    }
}

/// With SQLite's own functions one row of each would take minutes, without an instruction at which to stop.
#[test]
fn searching_long_values_is_counted() {
    let config = json!({"max_steps": 200_000});
    let mut instance = Instance::<Sql>::new(Context::for_test().config(config).build());
    instance.seed_session(r#"{"db_script": ""}"#).unwrap();
    for call in [
        "instr(zeroblob(900000), zeroblob(400000) || i)",
        "replace(zeroblob(900000), zeroblob(400000) || i, '')",
        "trim(zeroblob(900000) || i, replace(hex(zeroblob(90000)), '0', 'é') || i)",
    ] {
        let query =
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max({call}) FROM n");
        let result = instance.call_tool("run_query", &json!({"query": query}).to_string());
        let Err(Failure::Rejected(reject)) = result else { panic!("{query}: {result:?}") };
        assert!(format!("{reject:?}").contains("more than 200000 steps"), "{query}: {reject:?}");
    }
}

#[test]
fn long_values_are_cut_for_the_model_only() {
    let mut instance = instance();
    instance.seed_session(r#"{"db_script": ""}"#).unwrap();
    let shown = instance.call_tool("run_query", r#"{"query": "SELECT printf('%.*c', 300, 'x'), x'00ff', 9e999"}"#);
    let shown: Value = serde_json::from_str(&shown.unwrap()).unwrap();
    assert_eq!(shown["rows"], json!([[format!("{}…", "x".repeat(200)), "(blob of 2 bytes)", "inf"]]));
}

#[test]
fn settings_that_make_no_sense_are_found_when_the_environment_is_loaded() {
    for config in [json!({"numeric_tolerance": 1.5}), json!({"column_order": "some"}), json!({"max_rows": -1})] {
        let mut instance = Instance::<Sql>::new(Context::for_test().config(config.clone()).build());
        assert!(instance.describe().is_err(), "{config}");
    }
}

/// Whatever comes is refused, a fault of the data or a verdict; nothing panics.
#[test]
fn no_request_makes_it_panic() {
    let answer = |text: &str| Response::builder().message(text).to_value();
    let request = json!({
        "responses_create_params": {"input": []},
        "response": answer("```sql\nSELECT name FROM products WHERE price > 10 ORDER BY 1\n```"),
        "db_id": "shop",
        "check_db_ids": [],
        "gold_sql": "SELECT name FROM products ORDER BY 1",
        "ordered": null,
    })
    .to_string();
    let mut rng = Rng::from_seed(11);
    let pieces =
        ["\"", "{", "[[[[", "null", "1e999", "\\ud800", "```sql", "'", "(", ";", "\u{0}", "ü", "-1", "--", "/*"];
    for _ in 0..400 {
        let mut text = request.clone();
        for _ in 0..=rng.below(3) {
            let mut at = rng.below(text.len() as u64) as usize;
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let mut end = (at + rng.below(6) as usize).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(at..end, rng.choose(&pieces).copied().unwrap_or_default());
        }
        let mut instance = instance();
        let seeded = instance.seed_session(&text);
        let called = instance.call_tool("run_query", &text);
        let verdict = instance.verify(text.clone());
        if let Ok(verdict) = verdict {
            assert!([0.0, 1.0].contains(&verdict.reward()), "{text}: {seeded:?} {called:?}");
        }
    }
}
