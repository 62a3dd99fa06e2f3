// SPDX-License-Identifier: Apache-2.0
//! Whatever a row and an answer hold, grading ends in a verdict or in a failure.

use gym_env::{Context, Instance, Response, Rng};
use serde_json::json;

use super::*;

/// Parts of documents of all formats, and of none.
const PARTS: [&str; 42] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    ":",
    ": ",
    ",",
    "\n",
    "- ",
    "  ",
    "\t",
    "#",
    "&x ",
    "*x",
    "<<: ",
    "!!int ",
    "? ",
    "|\n",
    "<a>",
    "</a>",
    "<a/>",
    "<",
    "&amp;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "a = ",
    "[a]\n",
    "2024-01-02",
    "1e999",
    "NaN",
    "\\ud800",
    "null",
    "true",
    "é",
    "\u{0}",
    "😀",
    "---\n",
    "a,b\n",
    "1",
];

const SCHEMAS: [&str; 8] = [
    "{}",
    r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#,
    r#"{"type":"array","items":{"type":"object","properties":{"a":{"type":["null","number"]}}}}"#,
    r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"boolean"}}}}"#,
    r##"{"$ref":"#"}"##,
    r##"{"properties":{"a":{"$ref":"#"}},"patternProperties":{"(":{}},"pattern":"["}"##,
    r#"{"multipleOf":0,"enum":5}"#,
    "[1]",
];

fn call(arguments: &str) -> serde_json::Value {
    json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments})
}

#[test]
fn no_answer_and_no_schema_make_grading_trap() {
    let mut rng = Rng::from_seed(5);
    let mut instance = Instance::<StructuredOutputs>::new(Context::for_test().build());
    for _ in 0..4_000 {
        let text: String = (0..rng.below(14)).filter_map(|_| rng.choose(&PARTS).copied()).collect();
        let format = *rng.choose(&["json", "yaml", "xml", "toml", "csv"]).expect("there are five");
        let schema = if rng.below(8) == 0 { text.as_str() } else { rng.choose(&SCHEMAS).copied().unwrap_or("{}") };
        let (mode, response) = match rng.below(4) {
            0 => ("tool_call", Response::builder().item(call(&text))),
            _ => ("text", Response::builder().message(&text)),
        };
        let request = json!({
            "schema_str": schema,
            "schema_type": format,
            "response_mode": mode,
            "tool_payload_key": if rng.below(3) == 0 { Some("a") } else { None },
            "response": response.to_value(),
        });
        if let Ok(verdict) = instance.verify(request.to_string()) {
            assert_eq!(verdict.reward() == 1.0, verdict.fields()["error_type"].is_null(), "{request}");
        }
    }
}

#[test]
fn long_and_deep_answers_are_graded() {
    let mut instance = Instance::<StructuredOutputs>::new(Context::for_test().build());
    for (format, text) in [
        ("json", "[".repeat(100_000)),
        ("yaml", "- ".repeat(20_000)),
        ("yaml", "{a: ".repeat(20_000)),
        ("xml", "<a>".repeat(100_000)),
        ("toml", format!("a = {}", "[".repeat(20_000))),
        ("toml", format!("[{}a]", "a.".repeat(20_000))),
        ("yaml", (0..50_000).map(|n| format!("k{n}: 1\n")).collect()),
        ("xml", format!("<a>{}</a>", (0..50_000).map(|n| format!("<k{n}/>")).collect::<String>())),
        ("csv", format!("{0}\n{0}", (0..50_000).map(|n| format!("k{n},")).collect::<String>())),
        ("csv", format!("{}\n{}", "a,".repeat(2_000), "1,".repeat(20_000))),
    ] {
        let response = Response::builder().message(&text).to_value();
        let request = json!({"schema_str": "{\"type\":\"null\"}", "schema_type": format, "response": response});
        let verdict = instance.verify(request.to_string()).expect("the schema is right");
        assert_eq!(verdict.reward(), 0.0, "{format}");
    }
}

#[test]
fn an_error_of_the_model_server_is_no_answer() {
    let mut instance = Instance::<StructuredOutputs>::new(Context::for_test().build());
    for (error, kind) in [(json!({"code": "x"}), "api_error"), (json!(null), "missing_tool_call")] {
        let response = json!({"error": error, "output": []});
        let request = json!({"schema_str": "{}", "response_mode": "tool_call", "response": response});
        let verdict = instance.verify(request.to_string()).expect("the schema is right");
        assert_eq!(verdict.fields()["error_type"], kind);
    }
}
