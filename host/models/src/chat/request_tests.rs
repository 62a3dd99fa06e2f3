// SPDX-License-Identifier: Apache-2.0
use serde_json::{Value, json};

use super::*;

const OPTIONS: ChatOptions = ChatOptions { strict_tools: false, token_data: true };

fn convert(body: Value) -> Result<Value, String> {
    let request = ModelRequest::parse(Bytes::from(body.to_string())).expect("a request");
    let chat = to_chat(&request, OPTIONS).map_err(|error| error.message)?;
    Ok(serde_json::from_slice(&chat.to_body()).expect("JSON"))
}

fn messages(input: Value) -> Value {
    convert(json!({"input": input})).expect("convertible")["messages"].take()
}

#[test]
fn instructions_and_leading_system_messages_become_one() {
    let mut body = json!({"instructions": "a", "input": [
        {"role": "developer", "content": "b"},
        {"role": "system", "content": [{"type": "input_text", "text": "c"}]},
        {"role": "user", "content": "q"},
        {"role": "developer", "content": "d"}
    ]});
    for nothing in [json!(null), json!("")] {
        let mut plain = body.clone();
        plain["instructions"] = nothing;
        assert_eq!(
            convert(plain).unwrap()["messages"],
            json!([{"role": "developer", "content": "b"},
                   {"role": "system", "content": [{"type": "text", "text": "c"}]},
                   {"role": "user", "content": "q"}, {"role": "developer", "content": "d"}])
        );
    }
    assert_eq!(
        convert(body.take()).unwrap()["messages"],
        json!([{"role": "system", "content": "a\n\nb\n\nc"}, {"role": "user", "content": "q"},
               {"role": "developer", "content": "d"}])
    );
}

#[test]
fn a_text_input_is_a_text_part_and_a_message_with_a_text_keeps_it() {
    let body = convert(json!({"input": "q\n", "instructions": "i"})).unwrap();
    assert_eq!(
        body["messages"],
        json!([{"role": "system", "content": "i"}, {"role": "user", "content": [{"type": "text", "text": "q\n"}]}])
    );
    assert_eq!(messages(json!([{"role": "user", "content": "q"}])), json!([{"role": "user", "content": "q"}]));
}

#[test]
fn reasoning_refusals_and_nothing_have_their_places() {
    let part = |text: &str| json!({"type": "summary_text", "text": text});
    let input = json!([
        {"type": "reasoning", "id": "r", "summary": [part("a"), part(""), part("b")],
         "content": [{"type": "reasoning_text", "text": "not for the model"}]},
        {"type": "message", "id": "m", "role": "assistant", "status": "completed",
         "content": [{"type": "refusal", "refusal": "no"}, {"type": "output_text", "text": "t", "annotations": []}]},
        {"role": "user", "content": "q"},
        {"type": "reasoning", "id": "r", "summary": []}
    ]);
    assert_eq!(
        messages(input),
        json!([{"role": "assistant", "content": "<think>a</think><think>b</think>t", "refusal": "no"},
               {"role": "user", "content": "q"}, {"role": "assistant", "content": null}])
    );
}

#[test]
fn items_of_the_model_become_one_assistant_message() {
    let reasoning = json!({"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]});
    let said = json!({"type": "message", "id": "m", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "so", "annotations": []}]});
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{ \"a\": 1}",
        "prompt_token_ids": [1, 2], "generation_token_ids": [3], "generation_log_probs": [-0.5]});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "x"});
    assert_eq!(
        messages(json!([{"role": "user", "content": "q"}, reasoning, said, call, output, reasoning, said])),
        json!([
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "<think>hm</think>so",
             "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{ \"a\": 1}"}}],
             "prompt_token_ids": [1, 2], "generation_token_ids": [3], "generation_log_probs": [-0.5]},
            {"role": "tool", "tool_call_id": "c", "content": "x"},
            {"role": "assistant", "content": "<think>hm</think>so"}
        ])
    );
    assert_eq!(messages(json!([call]))[0]["content"], Value::Null);
}

#[test]
fn token_data_is_that_of_one_item() {
    let call = |prompt: Value, experts: Value| {
        let mut call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}",
            "prompt_token_ids": prompt, "generation_token_ids": [3], "generation_log_probs": [-0.5]});
        if !experts.is_null() {
            call["routed_experts"] = experts;
        }
        call
    };
    let message = messages(json!([call(json!([1]), json!("nrlre1:x")), call(json!([1, 2]), Value::Null)]));
    assert_eq!((&message[0]["prompt_token_ids"], message[0].get("routed_experts")), (&json!([1, 2]), None));
    let message = messages(json!([call(json!([1]), Value::Null), call(json!([1, 2]), json!("nrlre1:x"))]));
    assert_eq!(message[0]["routed_experts"], "nrlre1:x");
}

#[test]
fn content_parts_are_renamed_and_chat_parts_pass_through() {
    for (part, expected) in [
        (json!({"type": "input_text", "text": "t"}), json!({"type": "text", "text": "t"})),
        (
            json!({"type": "input_image", "image_url": "u"}),
            json!({"type": "image_url", "image_url": {"url": "u", "detail": "auto"}}),
        ),
        (
            json!({"type": "input_image", "image_url": "u", "detail": "high"}),
            json!({"type": "image_url", "image_url": {"url": "u", "detail": "high"}}),
        ),
        (json!({"type": "input_video", "video_url": "v"}), json!({"type": "video_url", "video_url": {"url": "v"}})),
        (
            json!({"type": "input_audio", "input_audio": {"data": "d", "format": "wav"}}),
            json!({"type": "input_audio", "input_audio": {"data": "d", "format": "wav"}}),
        ),
        (
            json!({"type": "input_file", "file_data": "d", "filename": "n"}),
            json!({"type": "file", "file": {"file_data": "d", "filename": "n"}}),
        ),
        (json!({"type": "image_url", "image_url": "u"}), json!({"type": "image_url", "image_url": "u"})),
    ] {
        let input = json!([{"role": "user", "content": [part]}]);
        assert_eq!(messages(input)[0]["content"], json!([expected]));
    }
    let tool = json!({"role": "tool", "tool_call_id": "c", "content": "x", "extra": 1});
    assert_eq!(messages(json!([tool])), json!([tool]));
}

#[test]
fn params_are_renamed_and_copied_where_set() {
    let tool =
        json!({"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true});
    let body = json!({
        "input": [], "max_output_tokens": 7, "reasoning": {"effort": "low", "summary": null}, "temperature": 0.5,
        "top_p": null, "metadata": {"a": "b"}, "parallel_tool_calls": false, "tool_choice": {"type": "function", "name": "f"},
        "tools": [tool, {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "g"}]},
                  {"type": "custom", "name": "h", "description": "raw"}],
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": true}},
        "truncation": "disabled", "background": false, "include": [], "stream": false
    });
    assert_eq!(
        convert(body).unwrap(),
        json!({
            "messages": [], "max_tokens": 7, "reasoning_effort": "low", "temperature": 0.5, "metadata": {"a": "b"},
            "parallel_tool_calls": false, "tool_choice": {"type": "function", "function": {"name": "f"}},
            "tools": [
                {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}},
                {"type": "function", "function": {"name": "ns__g"}},
                {"type": "custom", "custom": {"name": "h", "description": "raw"}}
            ],
            "verbosity": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": true}}
        })
    );
}

#[test]
fn without_tools_there_is_no_tool_choice() {
    let body = json!({"input": [], "tools": [], "tool_choice": "auto", "parallel_tool_calls": true});
    assert_eq!(convert(body).unwrap(), json!({"messages": []}));
}

#[test]
fn allowed_tools_are_a_tool_choice() {
    let choice = json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]});
    let body = json!({"input": [], "tools": [{"type": "function", "name": "f"}], "tool_choice": choice});
    assert_eq!(
        convert(body).unwrap()["tool_choice"],
        json!({"type": "allowed_tools", "allowed_tools": {"mode": "required",
            "tools": [{"type": "function", "function": {"name": "f"}}]}})
    );
}

#[test]
fn what_has_no_chat_form_is_an_error() {
    for (body, text) in [
        (json!({"input": [], "previous_response_id": "r"}), "`previous_response_id` has no form in Chat Completions"),
        (json!({"input": [], "background": true}), "`background` has no form in Chat Completions"),
        (json!({"input": [], "include": ["x"]}), "`include` has no form in Chat Completions"),
        (json!({"input": [], "truncation": "auto"}), "`truncation` has no form in Chat Completions"),
        (json!({"input": [], "reasoning": {"summary": "auto"}}), "`reasoning.summary` has no form in Chat Completions"),
        (json!({"input": [], "tool_choice": "required"}), "`tool_choice` asks for a tool, but there are no tools"),
        (
            json!({"input": [], "tools": [{"type": "web_search"}]}),
            "tools of type `web_search` have no form in Chat Completions",
        ),
        (
            json!({"input": [], "tools": [{"type": "function", "name": "f", "defer_loading": true}]}),
            "deferred tools have no form in Chat Completions",
        ),
        (
            json!({"input": [{"type": "message", "role": "assistant", "phase": "commentary", "content": "x"}]}),
            "`phase` of messages has no form in Chat Completions",
        ),
        (
            json!({"input": [{"type": "function_call", "namespace": "n", "name": "f", "call_id": "c", "arguments": ""}]}),
            "`namespace` of function calls has no form in Chat Completions",
        ),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}),
            "images by file id have no form in Chat Completions",
        ),
        (
            json!({"input": [{"type": "web_search_call", "id": "w"}]}),
            "input items of type `web_search_call` have no form in Chat Completions",
        ),
    ] {
        assert_eq!(convert(body).unwrap_err(), text);
    }
}

#[test]
fn think_blocks_are_split_off() {
    for (content, thoughts, rest) in [
        ("<think>a</think>b", vec!["a"], "b"),
        ("x<think>\na\n</think>\n\nb<think>c</think>d", vec!["\na\n", "c"], "x\n\nbd"),
        ("<think><think>a</think>b</think>", vec!["<think>a"], "b</think>"),
        ("<think></think>", vec![""], ""),
        ("</think><think>a", vec![], "</think><think>a"),
        ("b", vec![], "b"),
    ] {
        assert_eq!(split_think(content), (thoughts, rest.to_owned()), "{content}");
    }
}

#[test]
fn the_grammar_of_a_custom_tool_is_nested_in_chat() {
    let tool = |format: Value| json!({"type": "custom", "name": "c", "format": format});
    let body = json!({"input": "q", "tools": [tool(json!({"type": "grammar", "syntax": "lark", "definition": "d"})),
        tool(json!({"type": "text"}))]});
    let nested = |format: Value| json!({"type": "custom", "custom": {"name": "c", "format": format}});
    assert_eq!(
        convert(body).unwrap()["tools"],
        json!([
            nested(json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "d"}})),
            nested(json!({"type": "text"}))
        ])
    );
}

#[test]
fn token_data_goes_back_to_engines_that_collect_it_only() {
    let input = json!([{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "prompt_token_ids": [1],
        "generation_token_ids": [2], "generation_log_probs": [0]}]);
    let request = ModelRequest::parse(Bytes::from(json!({"input": input}).to_string())).expect("a request");
    for token_data in [true, false] {
        let chat = to_chat(&request, ChatOptions { token_data, ..OPTIONS }).expect("convertible");
        assert_eq!(chat.messages[0].get("generation_token_ids").is_some(), token_data);
    }
}
