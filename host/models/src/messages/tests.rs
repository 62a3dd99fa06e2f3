// SPDX-License-Identifier: Apache-2.0
use serde_json::{Value, json};

use super::*;

fn convert(body: Value) -> Result<Value, String> {
    let request = to_model_request(Bytes::from(body.to_string()), true).map_err(|error| error.message)?;
    Ok(serde_json::from_slice(&request.to_body()).expect("JSON"))
}

#[test]
fn a_request_becomes_create_params() {
    let body = json!({
        "model": "m", "max_tokens": 100, "temperature": 0.5, "stop_sequences": ["END"], "top_k": 5, "stream": true,
        "system": [{"type": "text", "text": "a"}, {"type": "text", "text": ""},
            {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}], "metadata": {"user_id": "u"},
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "I look"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": 1.50}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "out"},
                    {"type": "text", "text": "put"}]},
                {"type": "text", "text": "and"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]}
        ]
    });
    assert_eq!(
        convert(body).unwrap(),
        json!({
            "input": [
                {"type": "message", "role": "user", "content": "q"},
                {"type": "reasoning", "id": "rs_history", "summary": [{"type": "summary_text", "text": "hm"}],
                    "encrypted_content": "s"},
                {"type": "message", "role": "assistant", "content": "I look"},
                {"type": "function_call", "call_id": "t1", "name": "f", "arguments": "{\"x\":1.5}"},
                {"type": "function_call_output", "call_id": "t1", "output": "out\nput"},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "and"},
                    {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"}]}
            ],
            "instructions": "a\nb", "metadata": {"extra_body": "{\"stop\":[\"END\"],\"top_k\":5}"}, "model": "m", "max_output_tokens": 100, "temperature": 0.5, "user": "u",
            "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"},
                "strict": false},
                {"type": "function", "name": "web_search", "parameters": {"type": "object", "properties": {}},
                "strict": false}],
            "tool_choice": "required", "parallel_tool_calls": false
        })
    );
}

#[test]
fn what_has_no_form_is_refused() {
    for (body, text) in [
        (json!({}), "`messages` must be a list"),
        (
            json!({"messages": [{"role": "tool", "content": ""}]}),
            "the `role` of a message must be `user` or `assistant`",
        ),
        (json!({"messages": [], "tools": [{"type": "custom"}]}), "every tool must have a `name`"),
    ] {
        assert_eq!(convert(body).unwrap_err(), text);
    }
}

fn message(response: Value) -> Value {
    to_message(&Raw::from_value(&response).members().unwrap(), None).read().unwrap()
}

#[test]
fn a_response_becomes_a_message() {
    let response = json!({
        "id": "resp_1", "model": "m", "incomplete_details": null,
        "output": [
            {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"},
                {"type": "summary_text", "text": "aha"}], "encrypted_content": "x"},
            {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "hi", "annotations": []}]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{\"a\": 1}"},
            {"type": "function_call", "call_id": "d", "name": "f", "arguments": "oops"},
            {"type": "function_call", "call_id": "e", "name": "f", "arguments": ""}
        ],
        "usage": {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 8}
    });
    assert_eq!(
        message(response),
        json!({
            "id": "resp_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "tool_use",
            "stop_sequence": null,
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "x"},
                {"type": "thinking", "thinking": "aha", "signature": "x"}, {"type": "text", "text": "hi"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "d", "name": "f", "input": {"invalid_arguments": "oops"}},
                {"type": "tool_use", "id": "e", "name": "f", "input": {}}
            ],
            "usage": {"input_tokens": 5, "output_tokens": 3}
        })
    );
}

#[test]
fn the_stop_reason_says_how_it_ended() {
    let stop = |details: Value, output: Value| {
        message(json!({"incomplete_details": details, "output": output}))["stop_reason"].take()
    };
    assert_eq!(stop(json!(null), json!([])), "end_turn");
    assert_eq!(stop(json!({"reason": "max_output_tokens"}), json!([])), "max_tokens");
    assert_eq!(stop(json!({"reason": "content_filter"}), json!([])), "refusal");
    let refusal = json!([{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]);
    assert_eq!(stop(json!(null), refusal), "refusal");
}

#[test]
fn options_without_a_form_go_to_engines_only() {
    let body =
        Bytes::from_static(br#"{"messages":[{"role":"user","content":"q"}],"stop_sequences":["END"],"top_k":5}"#);
    for options in [true, false] {
        let request = to_model_request(body.clone(), options).unwrap();
        assert_eq!(request.params.get("metadata").is_some(), options);
    }
}
