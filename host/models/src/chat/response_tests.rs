// SPDX-License-Identifier: Apache-2.0
use bytes::Bytes;
use gym_protocol::ModelRequest;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::request::{ChatOptions, to_chat};

fn members(value: &Value) -> Members {
    Raw::from_value(value).members().expect("an object")
}

fn counter() -> impl FnMut() -> String {
    let mut next = 0;
    move || {
        next += 1;
        next.to_string()
    }
}

const OPTIONS: ResponseOptions<'_> =
    ResponseOptions { model: "policy", think_tags: true, continued: false, token_data: true };

fn convert_with(completion: Value, options: ResponseOptions<'_>) -> Value {
    let raw = to_response(&Members::new(), &members(&completion), options, &mut counter(), 5.0).expect("convertible");
    raw.read().expect("JSON")
}

fn convert(completion: Value) -> Value {
    convert_with(completion, OPTIONS)
}

fn output(message: Value) -> Value {
    convert(json!({"choices": [{"message": message, "finish_reason": "stop"}]}))["output"].take()
}

fn said(id: u32, text: &str) -> Value {
    json!({"type": "message", "id": format!("msg_{id}"), "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn thoughts(id: u32, texts: &[&str]) -> Value {
    let parts: Vec<Value> = texts.iter().map(|text| json!({"type": "summary_text", "text": text})).collect();
    json!({"type": "reasoning", "id": format!("rs_{id}"), "summary": parts})
}

fn thought(id: u32, text: &str) -> Value {
    thoughts(id, &[text])
}

#[test]
fn tags_are_text_when_no_parser_is_configured_and_reasoning_is_text_when_a_message_goes_on() {
    let completion = |message: Value| json!({"choices": [{"message": message, "finish_reason": "stop"}]});
    let plain = ResponseOptions { think_tags: false, ..OPTIONS };
    let tagged = convert_with(completion(json!({"content": "<think>r</think>a"})), plain);
    assert_eq!(tagged["output"], json!([said(1, "<think>r</think>a")]));
    let continued = ResponseOptions { continued: true, ..OPTIONS };
    let went_on = convert_with(completion(json!({"content": " end", "reasoning": "the"})), continued);
    assert_eq!(went_on["output"], json!([said(1, "the end")]));
}

#[test]
fn messages_become_items() {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{ }"}});
    let called = json!({"type": "function_call", "id": "c1", "call_id": "c1", "name": "f", "arguments": "{ }",
        "status": "completed"});
    for (message, expected) in [
        (json!({"content": "a"}), json!([said(1, "a")])),
        (json!({"content": "a", "reasoning_content": "r"}), json!([thought(1, "r"), said(2, "a")])),
        (json!({"content": "a", "reasoning": "r"}), json!([thought(1, "r"), said(2, "a")])),
        (json!({"content": "<think>r</think>\na"}), json!([thought(1, "r"), said(2, "\na")])),
        (json!({"content": "<think>r</think>a<think>s</think>"}), json!([thoughts(1, &["r", "s"]), said(2, "a")])),
        (json!({"content": "<think>s</think>a", "reasoning": "r"}), json!([thoughts(1, &["r", "s"]), said(2, "a")])),
        (json!({"content": null, "reasoning_content": "r"}), json!([thought(1, "r")])),
        (json!({"content": null}), json!([said(1, "")])),
        (json!({"content": "", "tool_calls": [call]}), json!([called])),
        (json!({"content": "a", "tool_calls": [call, call]}), json!([said(1, "a"), called, called])),
        (
            json!({"content": null, "refusal": "no"}),
            json!([{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                "content": [{"type": "refusal", "refusal": "no"}]}]),
        ),
    ] {
        assert_eq!(output(message.clone()), expected, "{message}");
    }
}

#[test]
fn the_rest_of_a_completion_is_mapped() {
    let completion = |finish: &str| {
        json!({"id": "x", "created": 12, "model": "m", "choices": [{"message": {"content": "a"}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7,
                "prompt_tokens_details": {"cached_tokens": 2}}})
    };
    let response = convert(completion("length"));
    assert_eq!(response["id"], "resp_2");
    assert_eq!(response["created_at"], 12.0);
    assert_eq!(response["status"], "incomplete");
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(
        response["usage"],
        json!({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": null}, "total_tokens": 7})
    );
    assert_eq!(response["model"], "policy");
    assert_eq!(convert(completion("content_filter"))["incomplete_details"], json!({"reason": "content_filter"}));
    assert_eq!(convert(completion("tool_calls"))["status"], "completed");
}

#[test]
fn token_data_goes_to_the_last_item() {
    let message = json!({"content": "a", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": ""}}],
        "prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.1], "routed_experts": "nrlre1:x"});
    let output = output(message);
    assert_eq!(output[0].get("prompt_token_ids"), None);
    assert_eq!(output[1]["prompt_token_ids"], json!([1]));
    assert_eq!(output[1]["routed_experts"], "nrlre1:x");
}

fn collect(text: &str) -> Result<Collected, String> {
    let completion = Raw::parse(Bytes::copy_from_slice(text.as_bytes())).unwrap().members().unwrap();
    collect_tokens(&completion).map_err(|error| error.message)
}

#[test]
fn tokens_are_found_in_all_three_places() {
    let text = |tokens: &Members| tokens.to_raw().as_str().to_owned();
    let on_message = r#"{"choices":[{"message":{"prompt_token_ids":[1, 2],"generation_token_ids":[3],"generation_log_probs":[-0.10]}}]}"#;
    let Ok(Collected::Whole(tokens)) = collect(on_message) else { panic!("whole") };
    assert_eq!(
        text(&tokens),
        r#"{"prompt_token_ids":[1, 2],"generation_token_ids":[3],"generation_log_probs":[-0.10]}"#
    );
    let beside = r#"{"prompt_token_ids":[1],"choices":[{"message":{},"token_ids":[3,4],"logprobs":{"content":[{"token":"a","logprob":-1e-05},{"token":"b","logprob":-0.50}]}}]}"#;
    let Ok(Collected::Whole(tokens)) = collect(beside) else { panic!("whole") };
    assert_eq!(
        text(&tokens),
        r#"{"prompt_token_ids":[1],"generation_token_ids":[3,4],"generation_log_probs":[-1e-05,-0.50]}"#
    );
    let in_logprobs = r#"{"choices":[{"message":{},"logprobs":{"content":[{"token":"token_id:7","logprob":-0.0},{"token":"token_id:8","logprob":-9999.0}]}}]}"#;
    let Ok(Collected::WithoutPrompt(tokens)) = collect(in_logprobs) else { panic!("without prompt") };
    assert_eq!(text(&tokens), r#"{"generation_token_ids":[7,8],"generation_log_probs":[-0.0,-9999.0]}"#);
    let none = r#"{"choices":[{"message":{},"logprobs":{"content":[]}}]}"#;
    let Ok(Collected::WithoutPrompt(tokens)) = collect(none) else { panic!("without prompt") };
    assert_eq!(text(&tokens), r#"{"generation_token_ids":[],"generation_log_probs":[]}"#);
    for (wrong, text) in [
        (r#"{"choices":[{"message":{"prompt_token_ids":[1]}}]}"#, "a part of the token data only"),
        (
            r#"{"choices":[{"message":{"prompt_token_ids":[1],"generation_token_ids":[1,2],"generation_log_probs":[0]}}]}"#,
            "2 generated tokens, but 1 log probabilities",
        ),
        (
            r#"{"prompt_token_ids":[1],"choices":[{"message":{},"logprobs":{"content":[]}}]}"#,
            "only one of `prompt_token_ids` and `token_ids`",
        ),
        (
            r#"{"prompt_token_ids":[1],"choices":[{"message":{},"token_ids":[7],"logprobs":{"content":[]}}]}"#,
            "1 generated tokens, but 0 log probabilities",
        ),
    ] {
        let error = collect(wrong).expect_err(wrong);
        assert!(error.contains(text), "{error}");
    }
    assert!(collect(r#"{"choices":[{"message":{},"logprobs":null}]}"#).is_err());
    assert!(collect(r#"{"choices":[{"message":{},"logprobs":{"content":[{"token":"hi","logprob":0}]}}]}"#).is_err());
}

#[test]
fn a_providers_own_reason_to_finish_stays_as_text() {
    for (reason, text) in
        [(json!("MAX_TOKENS"), json!("MAX_TOKENS")), (json!(2), json!("2")), (json!(null), json!(null))]
    {
        let choice = json!({"message": {"content": "a"}, "finish_reason": "stop", "native_finish_reason": reason});
        assert_eq!(convert_with(json!({"choices": [choice]}), OPTIONS)["native_finish_reason"], text);
    }
}

/// A number as some engine may print it.
fn number_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<f64>().prop_filter("finite", |value| value.is_finite()).prop_map(|value| format!("{value:?}")),
        any::<i64>().prop_map(|value| value.to_string()),
        (any::<i32>(), 0_u32..30).prop_map(|(digits, zeros)| format!("{digits}.{}", "0".repeat(zeros as usize + 1))),
        (0_u8..10, 1_u16..300).prop_map(|(digit, power)| format!("-{digit}.5e-{power:02}")),
    ]
}

proptest! {
    /// Completion → Response → next request: the text of every number stays what it was.
    #[test]
    fn token_data_survives_the_round_trip_byte_by_byte(
        prompt in prop::collection::vec(any::<u32>(), 0..300),
        tokens in prop::collection::vec((any::<u32>(), number_text()), 1..300),
        spaces in prop::bool::ANY,
    ) {
        let separator = if spaces { ", " } else { "," };
        let list = |values: Vec<String>| format!("[{}]", values.join(separator));
        let prompt = list(prompt.iter().map(u32::to_string).collect());
        let ids = list(tokens.iter().map(|(id, _)| id.to_string()).collect());
        let log_probs = list(tokens.iter().map(|(_, text)| text.clone()).collect());
        let completion = format!(
            r#"{{"choices":[{{"message":{{"content":"x","prompt_token_ids":{prompt},"generation_token_ids":{ids},"generation_log_probs":{log_probs}}}}}]}}"#
        );
        let completion = Raw::parse(Bytes::from(completion)).unwrap().members().unwrap();
        let response = to_response(&Members::new(), &completion, OPTIONS, &mut counter(), 0.0).unwrap();
        let items = response.members().unwrap().get("output").unwrap().elements().unwrap();
        let mut request = ModelRequest::parse(Bytes::from_static(br#"{"input":"q"}"#)).unwrap();
        request.input.extend(items);
        let chat = to_chat(&request, ChatOptions { strict_tools: false, token_data: true }).unwrap();
        let body = Raw::parse(chat.to_body()).unwrap().members().unwrap();
        let message = body.get("messages").unwrap().elements().unwrap()[1].members().unwrap();
        prop_assert_eq!(message.get("prompt_token_ids").unwrap().as_str(), prompt);
        prop_assert_eq!(message.get("generation_token_ids").unwrap().as_str(), ids);
        prop_assert_eq!(message.get("generation_log_probs").unwrap().as_str(), log_probs);
    }

    /// The same for numbers that come in log probabilities.
    #[test]
    fn log_probabilities_are_not_rewritten(tokens in prop::collection::vec((any::<u32>(), number_text()), 1..100)) {
        let content: Vec<String> = tokens
            .iter()
            .map(|(id, text)| format!(r#"{{"token":"token_id:{id}","logprob":{text},"bytes":[1],"top_logprobs":[]}}"#))
            .collect();
        let completion = format!(r#"{{"choices":[{{"message":{{}},"logprobs":{{"content":[{}]}}}}]}}"#, content.join(","));
        let Ok(Collected::WithoutPrompt(found)) = collect(&completion) else { panic!("without prompt") };
        let texts: Vec<&str> = tokens.iter().map(|(_, text)| text.as_str()).collect();
        prop_assert_eq!(found.get("generation_log_probs").unwrap().as_str(), format!("[{}]", texts.join(",")));
    }
}
