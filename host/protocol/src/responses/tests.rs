// SPDX-License-Identifier: Apache-2.0
use proptest::prelude::*;

use super::*;
use crate::{Raw, validate::detail_body};

fn raw(text: &str) -> Raw {
    Raw::parse(text.to_owned().into()).expect("test input is JSON")
}

fn params_echo(text: &str) -> String {
    match echo_create_params(&raw(text)) {
        Ok(echo) => echo.as_str().to_owned(),
        Err(errors) => String::from_utf8(detail_body(&errors).to_vec()).unwrap(),
    }
}

/// The echo of one input item.
fn input_echo(item: &str) -> String {
    let echo = params_echo(&format!(r#"{{"input":[{item}]}}"#));
    let after = echo.strip_prefix(r#"{"background":null,"include":null,"input":["#).unwrap_or(&echo).to_owned();
    after.split(r#"],"instructions":null"#).next().unwrap().to_owned()
}

const RESPONSE_HEAD: &str = r#""id":"r","created_at":1750000000,"model":"m","object":"response","parallel_tool_calls":true,"tool_choice":"auto","tools":[]"#;

/// The echo of one output item.
fn output_echo(item: &str) -> String {
    match echo_response(&raw(&format!(r#"{{{RESPONSE_HEAD},"output":[{item}]}}"#))) {
        Ok(echo) => {
            let output = crate::scan::member(echo.bytes(), "output").unwrap();
            String::from_utf8(output[1..output.len() - 1].to_vec()).unwrap()
        }
        Err(errors) => {
            let place = |part: &crate::validate::LocPart| match part {
                crate::validate::LocPart::Name(name) => name.clone(),
                crate::validate::LocPart::Index(index) => index.to_string(),
            };
            let lines = errors
                .iter()
                .map(|error| format!("{} {}", error.kind, error.loc.iter().map(place).collect::<Vec<_>>().join(".")));
            lines.collect::<Vec<_>>().join("; ")
        }
    }
}

#[test]
fn create_params_are_dumped_with_every_field() {
    assert_eq!(
        params_echo(
            r#"{"input":"hi","temperature":1,"tools":[{"type":"function","name":"f"}],"max_output_tokens":"5"}"#
        ),
        concat!(
            r#"{"background":null,"include":null,"input":"hi","instructions":null,"max_output_tokens":5,"#,
            r#""max_tool_calls":null,"metadata":null,"model":null,"parallel_tool_calls":true,"previous_response_id":null,"#,
            r#""prompt":null,"reasoning":null,"service_tier":null,"store":null,"temperature":1.0,"text":null,"#,
            r#""tool_choice":"auto","tools":[{"type":"function","name":"f"}],"top_logprobs":null,"top_p":null,"#,
            r#""truncation":null,"user":null,"stream":null}"#
        )
    );
}

#[test]
fn a_dump_is_its_own_echo_in_both_generations() {
    let august = params_echo(r#"{"input":[{"role":"user","content":"hi"}],"metadata":{"k":"v"}}"#);
    assert_eq!(params_echo(&august), august);
    let seven = r#""context_management":null,"conversation":null,"moderation":null,"prompt_cache_key":null,"prompt_cache_retention":null,"safety_identifier":null,"stream_options":null,"#;
    let current = august.replace(r#""temperature""#, &format!(r#"{seven}"temperature""#));
    assert_eq!(params_echo(&current), current);
}

#[test]
fn create_params_that_do_not_fit_are_named() {
    for (params, expected) in [
        ("{}", r#"{"type":"missing","loc":["body","input"],"msg":"Field required","input":{}}"#),
        (
            r#"{"input":"x","foo":1}"#,
            r#"{"type":"extra_forbidden","loc":["body","foo"],"msg":"Extra inputs are not permitted","input":1}"#,
        ),
        (
            r#"{"input":"x","stream":true}"#,
            r#"{"type":"literal_error","loc":["body","stream"],"msg":"Input should be False","input":true,"ctx":{"expected":"False"}}"#,
        ),
        (
            r#"{"input":"x","metadata":{"a":1}}"#,
            r#"{"type":"string_type","loc":["body","metadata","a"],"msg":"Input should be a valid string","input":1}"#,
        ),
        (
            r#"{"input":"x","temperature":"hot"}"#,
            r#"{"type":"float_parsing","loc":["body","temperature"],"msg":"Input should be a valid number, unable to parse string as a number","input":"hot"}"#,
        ),
        (
            r#"[1]"#,
            r#"{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[1]}"#,
        ),
    ] {
        assert_eq!(params_echo(params), format!(r#"{{"detail":[{expected}]}}"#));
    }
}

#[test]
fn input_items_are_filled_in_or_passed_through() {
    for (item, expected) in [
        (r#"{"role":"user","content":"hi"}"#, r#"{"content":"hi","role":"user","type":"message"}"#),
        // An assistant's text loses what does not belong to a message.
        (
            r#"{"role":"assistant","content":"hi","tool_calls":[]}"#,
            r#"{"content":"hi","role":"assistant","type":"message"}"#,
        ),
        // Objects without a type that are nothing in particular stay as they are.
        (r#"{"role":"tool","content":"x","tool_call_id":"1"}"#, r#"{"role":"tool","content":"x","tool_call_id":"1"}"#),
        (
            r#"{"role":"assistant","content":null,"tool_calls":[{}]}"#,
            r#"{"role":"assistant","content":null,"tool_calls":[{}]}"#,
        ),
        (r#"{"role":"user","content":[{"type":"image_url"}]}"#, r#"{"role":"user","content":[{"type":"image_url"}]}"#),
        (r#"{"junk": 1.50}"#, r#"{"junk": 1.50}"#),
        (
            r#"{"role":"user","content":[{"type":"input_text","text":"a"}]}"#,
            r#"{"content":[{"type":"input_text","text":"a"}],"role":"user","type":"message"}"#,
        ),
        (
            r#"{"type":"function_call_output","call_id":"c","output":"{}"}"#,
            r#"{"call_id":"c","output":"{}","type":"function_call_output","id":null,"status":null}"#,
        ),
        (
            r#"{"id":"m","content":[{"type":"output_text","text":"a"}],"role":"assistant","type":"message"}"#,
            r#"{"id":"m","content":[{"annotations":[],"text":"a","type":"output_text","logprobs":null}],"role":"assistant","status":"completed","type":"message"}"#,
        ),
        (r#"{"type":"web_search_call","x":1}"#, r#"{"type":"web_search_call","x":1}"#),
    ] {
        assert_eq!(input_echo(item), expected);
    }
}

#[test]
fn output_items_gain_nulls_and_lose_what_is_unknown() {
    for (item, expected) in [
        (
            r#"{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"a","annotations":[]}]}"#,
            r#"{"id":"m","content":[{"annotations":[],"text":"a","type":"output_text","logprobs":null}],"role":"assistant","status":"completed","type":"message"}"#,
        ),
        (
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}","x":1}"#,
            r#"{"arguments":"{}","call_id":"c","name":"f","type":"function_call","id":null,"status":null}"#,
        ),
        (
            r#"{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"t","x":1}],"status":"completed"}"#,
            r#"{"id":"r","summary":[{"text":"t","type":"summary_text"}],"type":"reasoning","encrypted_content":null}"#,
        ),
        (
            r#"{"type":"message","role":"user","content":"go on"}"#,
            r#"{"content":"go on","role":"user","type":"message"}"#,
        ),
        (
            r#"{"type":"message","id":"m","role":"assistant","content":[{"type":"refusal","refusal":"no"},{"type":"output_text","text":"a","annotations":[]}]}"#,
            r#"{"id":"m","content":[{"refusal":"no","type":"refusal"},{"annotations":[],"text":"a","type":"output_text","logprobs":null}],"role":"assistant","status":"completed","type":"message"}"#,
        ),
        (
            r#"{"call_id":"c","output":[{"type":"input_text","text":"a"}],"type":"function_call_output","id":null,"status":null}"#,
            r#"{"call_id":"c","output":[{"type":"input_text","text":"a"}],"type":"function_call_output","id":null,"status":null}"#,
        ),
        (
            r#"{"arguments":"{}","call_id":"c","name":"f","type":"function_call","generation_log_probs":[-0.10,-1e-05],"prompt_token_ids":[1, 2],"generation_token_ids":[3]}"#,
            r#"{"prompt_token_ids":[1, 2],"generation_token_ids":[3],"generation_log_probs":[-0.10,-1e-05],"routed_experts":null,"arguments":"{}","call_id":"c","name":"f","type":"function_call","id":null,"status":null}"#,
        ),
    ] {
        assert_eq!(output_echo(item), expected);
        assert_eq!(output_echo(expected), expected, "an echo is its own echo");
    }
}

#[test]
fn output_items_that_do_not_fit_are_named() {
    for (item, expected) in [
        (r#"{"type":"bogus"}"#, "union_tag_invalid body.output.0"),
        (r#"{"role":"user","content":"x"}"#, "union_tag_not_found body.output.0"),
        ("1", "model_attributes_type body.output.0"),
        (
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":{}}"#,
            "string_type body.output.0.function_call.arguments",
        ),
        (
            r#"{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]}"#,
            "missing body.output.0.message.id; missing body.output.0.message.content.0.output_text.annotations",
        ),
        (r#"{"type":"reasoning","id":"r"}"#, "missing body.output.0.reasoning.summary"),
        (
            r#"{"type":"message","id":"m","role":"assistant","status":null,"content":[]}"#,
            "literal_error body.output.0.message.status",
        ),
        (
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":"","status":"done"}"#,
            "literal_error body.output.0.function_call.status",
        ),
        (
            r#"{"type":"message","id":"m","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]},{"type":"input_text","text":"b"}]}"#,
            "literal_error body.output.0.message.content.1.type",
        ),
        (
            r#"{"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"a"},{"type":"output_text","text":"b"}]}"#,
            "literal_error body.output.0.function_call_output.output.1.type",
        ),
        (
            r#"{"type":"function_call","call_id":"c","name":"f","arguments":"","prompt_token_ids":[1]}"#,
            "value_error body.output.0.function_call",
        ),
    ] {
        assert_eq!(output_echo(item), expected);
    }
}

#[test]
fn responses_are_dumped_with_every_field_and_keep_further_ones() {
    let usage = r#"{"input_tokens":1,"input_tokens_details":{},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":null},"total_tokens":3}"#;
    let echo = echo_response(&raw(&format!(
        r#"{{"extra":[1.50],{RESPONSE_HEAD},"output":[],"usage":{usage},"temperature":1}}"#
    )));
    assert_eq!(
        echo.unwrap().as_str(),
        concat!(
            r#"{"id":"r","created_at":1750000000.0,"error":null,"incomplete_details":null,"instructions":null,"metadata":null,"#,
            r#""model":"m","object":"response","output":[],"parallel_tool_calls":true,"temperature":1.0,"tool_choice":"auto","#,
            r#""tools":[],"top_p":null,"background":null,"conversation":null,"max_output_tokens":null,"max_tool_calls":null,"#,
            r#""previous_response_id":null,"prompt":null,"prompt_cache_key":null,"reasoning":null,"safety_identifier":null,"#,
            r#""service_tier":null,"status":null,"text":null,"top_logprobs":null,"truncation":null,"#,
            r#""usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":null},"output_tokens":2,"#,
            r#""output_tokens_details":{"reasoning_tokens":null},"total_tokens":3},"user":null,"extra":[1.50]}"#
        )
    );
    let errors = echo_response(&raw(r#"{"id":1,"object":"chat"}"#)).unwrap_err();
    let kinds: Vec<_> = errors.iter().map(|error| error.kind).collect();
    assert_eq!(
        kinds,
        ["string_type", "missing", "missing", "literal_error", "missing", "missing", "missing", "missing"],
        "id, created_at, model, object, output, parallel_tool_calls, tool_choice, tools"
    );
}

#[test]
fn the_text_of_a_response_is_all_its_output_text() {
    let text = |output: &str| output_text(&raw(&format!(r#"{{"output":{output}}}"#)));
    assert_eq!(
        text(
            r#"[{"type":"reasoning"},{"type":"message","content":[{"type":"output_text","text":"a\n"},{"type":"refusal"},{"type":"output_text","text":"b"}]},{"type":"message","content":[{"type":"output_text","text":"c"}]}]"#
        ),
        Ok("a\nbc".to_owned())
    );
    assert_eq!(text("[]"), Ok(String::new()));
    assert_eq!(text(r#"[{"type":"message","content":"a"}]"#), Err(NoOutputText));
}

#[test]
fn environments_see_bare_tool_names_and_no_token_data() {
    let response = r#"{"id":"r","output":[{"prompt_token_ids":[1],"name":"mcp__w__f","type":"function_call"},{"name":"mcp__w__g","type":"other"}],"x":"generation_log_probs"}"#;
    let seen = |strip, prefix| String::from_utf8(for_scoring(response.as_bytes(), strip, prefix).into_owned()).unwrap();
    assert_eq!(seen(false, None), response);
    assert_eq!(seen(false, Some("mcp__v__")), response);
    let bare = response.replace("mcp__w__f", "f");
    assert_eq!(seen(false, Some("mcp__w__")), bare);
    assert_eq!(seen(true, Some("mcp__w__")), bare.replace(r#""prompt_token_ids":[1],"#, ""));
    assert_eq!(
        strip_token_fields(br#"{"output":"generation_log_probs"}"#).as_ref(),
        br#"{"output":"generation_log_probs"}"#
    );
}

/// Number texts as different senders write them.
fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_filter("JSON has no NaN", |value| value.is_finite()).prop_map(|value| format!("{value:e}")),
        "-?(0|[1-9][0-9]{0,20})\\.[0-9]{1,20}",
        "-?[1-9][0-9]{0,3}E[+-][0-9]{1,3}",
    ]
}

proptest! {
    #[test]
    fn token_data_is_copied_byte_for_byte(
        numbers in prop::collection::vec((number_text(), " ?"), 0..20),
        experts in prop_oneof![Just("null".to_owned()), "\"nrlre1:[a-zA-Z0-9+/=]{0,40}\"", Just("[[1, 2],[3]]".to_owned())],
    ) {
        let list = format!("[{}]", numbers.iter().map(|(number, space)| format!("{space}{number}")).collect::<Vec<_>>().join(","));
        let tokens = format!(r#""prompt_token_ids":{list},"generation_token_ids":{list},"generation_log_probs":{list},"routed_experts":{experts}"#);
        for item in [
            format!(r#"{{"type":"reasoning","id":"r","summary":[],{tokens}}}"#),
            format!(r#"{{{tokens},"type":"function_call","call_id":"c","name":"f","arguments":""}}"#),
            format!(r#"{{"type":"message","id":"m","role":"assistant","content":[],{tokens}}}"#),
            format!(r#"{{"type":"custom_tool_call",{tokens}}}"#),
        ] {
            let echo = output_echo(&item);
            prop_assert!(echo.contains(&tokens), "{} is not in {}", tokens, echo);
            prop_assert!(input_echo(&item).contains(&tokens));
        }
    }

    #[test]
    fn no_json_makes_an_echo_panic(text in r#"[\[\]{}",:a0 .\\-]{0,60}|\{"input":[\[{a-z":,}\] 0-9]{0,40}\}"#) {
        if let Ok(value) = Raw::parse(text.into()) {
            let _echoes = (echo_create_params(&value), echo_response(&value), check_input(&value), check_output(&value));
            let _text = output_text(&value);
        }
    }
}
