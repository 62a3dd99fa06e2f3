// SPDX-License-Identifier: Apache-2.0
use serde_json::{Value, json};

use super::*;
use crate::outbound::OutboundSettings;
use crate::test_upstream::{Act, TestUpstream};

fn try_model(url: &str, block: Value) -> Result<VllmModel, ModelError> {
    let mut whole = json!({"base_url": format!("{url}/v1"), "api_key": "k", "model": "m",
        "return_token_id_information": false, "uses_reasoning_parser": true});
    for (key, value) in block.as_object().expect("a mapping") {
        whole[key] = value.clone();
    }
    let server = ServerName::new("policy_model").expect("not empty");
    let outbound = Outbound::new(OutboundSettings::default()).expect("a client");
    VllmModel::new(Settings::new(&server, whole.as_object().expect("a mapping")), &outbound)
}

fn model(url: &str, block: Value) -> VllmModel {
    try_model(url, block).expect("a model")
}

fn completion(message: Value) -> Value {
    json!({"id": "x", "created": 1, "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
}

async fn respond(model: &VllmModel, body: Value) -> (u16, Value) {
    let request = ModelRequest::parse(Bytes::from(body.to_string())).expect("a request");
    let reply = model.respond(request, &mut RequestContext::default()).await.expect("a reply");
    (reply.status, serde_json::from_slice(&reply.body).expect("JSON"))
}

/// The chat body that a request becomes.
async fn sent(block: Value, body: Value) -> Value {
    let upstream = TestUpstream::start(vec![TestUpstream::json(completion(json!({"content": "a"})))]).await;
    respond(&model(&upstream.url, block), body).await;
    upstream.seen()[0].json()
}

#[tokio::test]
async fn a_response_comes_from_a_chat_completion() {
    let answer = completion(json!({"content": "a", "reasoning_content": "r"}));
    let upstream = TestUpstream::start(vec![TestUpstream::json(answer)]).await;
    let (status, response) = respond(&model(&upstream.url, json!({})), json!({"input": "q", "user": "u"})).await;
    assert_eq!(status, 200);
    assert_eq!(response["output"][0]["summary"][0]["text"], "r");
    assert_eq!(response["output"][1]["content"][0]["text"], "a");
    assert_eq!((&response["user"], &response["usage"]), (&json!("u"), &Value::Null));
    let seen = &upstream.seen()[0];
    assert_eq!((seen.path.as_str(), seen.header("authorization")), ("/v1/chat/completions", Some("Bearer k")));
    let part = json!({"type": "text", "text": "q"});
    assert_eq!(seen.json(), json!({"messages": [{"role": "user", "content": [part]}], "user": "u", "model": "m"}));
}

#[tokio::test]
async fn settings_and_metadata_shape_the_body() {
    let block = json!({"extra_body": {"top_k": 5, "temperature": 0.1}, "sampling_overrides": {"top_p": 0.25},
        "chat_template_kwargs": {"a": 1, "b": 2}});
    let body = json!({"input": [{"role": "user", "content": "q"}], "temperature": 0.5, "top_p": 1.0,
        "metadata": {"extra_body": "{\"seed\": 7, \"top_k\": 6}", "chat_template_kwargs": "{\"b\": 3}"}});
    assert_eq!(
        sent(block, body.clone()).await,
        json!({"messages": [{"role": "user", "content": "q"}], "top_k": 6, "seed": 7, "temperature": 0.5, "top_p": 0.25,
            "metadata": body["metadata"], "model": "m", "chat_template_kwargs": {"a": 1, "b": 3}})
    );
    let other = json!({"input": "q", "chat_template_kwargs": {"b": 4}});
    assert_eq!(sent(json!({}), other.clone()).await.get("chat_template_kwargs"), None);
    let forwarded = json!({"forward_request_chat_template_kwargs": true});
    assert_eq!(sent(forwarded, other).await["chat_template_kwargs"], json!({"b": 4}));
    let nothing = json!({"input": "q", "metadata": {"extra_body": "", "chat_template_kwargs": ""}});
    assert_eq!(sent(json!({}), nothing).await.get("chat_template_kwargs"), None);
    let (status, _) =
        respond(&model("http://127.0.0.1:9", json!({})), json!({"input": "q", "metadata": {"extra_body": "not json"}}))
            .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn reasoning_goes_back_under_the_names_that_the_engine_knows() {
    let history = json!({"input": [{"role": "user", "content": "q"},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "id": "m", "content": [{"type": "output_text", "text": "a"}]},
        {"role": "developer", "content": "more"}]});
    let assistant = |body: Value| body["messages"][1].clone();
    for (block, expected) in [
        (json!({}), json!({"role": "assistant", "content": "a", "reasoning_content": "hm", "reasoning": "hm"})),
        (json!({"reasoning_field": "reasoning"}), json!({"role": "assistant", "content": "a", "reasoning": "hm"})),
        (json!({"uses_interleaved_reasoning": false}), json!({"role": "assistant", "content": "a"})),
        (
            json!({"preserve_reasoning_in_assistant_content": true}),
            json!({"role": "assistant", "content": "<think>hm</think>a"}),
        ),
        (json!({"uses_reasoning_parser": false}), json!({"role": "assistant", "content": "<think>hm</think>a"})),
    ] {
        assert_eq!(assistant(sent(block.clone(), history.clone()).await), expected, "{block}");
    }
    let body = sent(json!({"replace_developer_role_with_system": true}), history).await;
    assert_eq!(body["messages"][2]["role"], "system");
}

#[tokio::test]
async fn tokens_are_collected_with_the_help_of_tokenize() {
    let answer = r#"{"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop",
        "logprobs":{"content":[{"token":"token_id:7","logprob":-0.50},{"token":"token_id:8","logprob":-1e-05}]}}]}"#;
    let upstream =
        TestUpstream::start(vec![TestUpstream::json(answer), TestUpstream::json(r#"{"count":2,"tokens":[1, 2]}"#)])
            .await;
    let model = model(
        &upstream.url,
        json!({"return_token_id_information": true,
        "request_prompt_and_generation_token_ids": true, "chat_template_kwargs": {"x": 1}}),
    );
    let request = ModelRequest::parse(Bytes::from_static(br#"{"input":"q","temperature":1.0}"#)).unwrap();
    let reply = model.respond(request, &mut RequestContext::default()).await.unwrap();
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    let fields = r#""prompt_token_ids":[1, 2],"generation_token_ids":[7,8],"generation_log_probs":[-0.50,-1e-05]}"#;
    assert!(text.contains(fields), "{text}");
    let seen = upstream.seen();
    for (name, value) in [
        ("logprobs", json!(true)),
        ("top_logprobs", json!(0)),
        ("return_tokens_as_token_ids", json!(true)),
        ("return_token_ids", json!(true)),
    ] {
        assert_eq!(seen[0].json()[name], value, "{name}");
    }
    assert_eq!(seen[1].path, "/tokenize");
    assert_eq!(
        seen[1].json(),
        json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "q"}]}],
            "chat_template_kwargs": {"x": 1}})
    );
}

#[tokio::test]
async fn token_data_of_earlier_turns_is_sent_back_unless_it_is_not_collected() {
    let input = json!([{"role": "user", "content": "q"},
        {"type": "message", "role": "assistant", "id": "m", "content": [{"type": "output_text", "text": "a"}],
         "prompt_token_ids": [1, 2], "generation_token_ids": [3], "generation_log_probs": [-0.5], "routed_experts": "x"},
        {"role": "user", "content": "more"}]);
    let message = sent(json!({}), json!({"input": input})).await["messages"][1].take();
    assert_eq!(message, json!({"role": "assistant", "content": "a"}));
    let answer = |prompt: Value| {
        completion(json!({"content": "b", "prompt_token_ids": prompt, "generation_token_ids": [9],
            "generation_log_probs": [-1.0]}))
    };
    let acts = vec![TestUpstream::json(answer(json!([1, 2, 3, 4]))), TestUpstream::json(answer(json!([1, 5])))];
    let upstream = TestUpstream::start(acts).await;
    let model = model(&upstream.url, json!({"return_token_id_information": true, "supply_prefix_token_ids": true}));
    let (_, response) = respond(&model, json!({"input": input})).await;
    assert_eq!(response["output"][0]["prompt_token_ids"], json!([1, 2, 3, 4]));
    let body = upstream.seen()[0].json();
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": "a", "prompt_token_ids": [1, 2], "generation_token_ids": [3],
            "generation_log_probs": [-0.5], "routed_experts": "x"})
    );
    assert_eq!(body["required_prefix_token_ids"], json!([1, 2, 3]));
    let request = ModelRequest::parse(Bytes::from(json!({"input": input}).to_string())).unwrap();
    let fault = model.respond(request, &mut RequestContext::default()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::ModelFailed);
}

#[tokio::test]
async fn missing_log_probabilities_are_a_fault_of_the_model_server() {
    let upstream = TestUpstream::start(vec![TestUpstream::json(completion(json!({"content": "a"})))]).await;
    let model = model(&upstream.url, json!({"return_token_id_information": true}));
    let request = ModelRequest::parse(Bytes::from_static(br#"{"input":"q"}"#)).unwrap();
    let fault = model.respond(request, &mut RequestContext::default()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::ModelFailed);
    assert!(fault.message.contains("no log probabilities"), "{}", fault.message);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_an_empty_incomplete_answer() {
    let error = json!({"object": "error", "message": "This model's maximum context length is 10 tokens."});
    let upstream = TestUpstream::start(vec![Act::Answer(400, "", error.to_string())]).await;
    let (status, response) = respond(&model(&upstream.url, json!({})), json!({"input": "q"})).await;
    assert_eq!(status, 200);
    assert_eq!(response["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!((response["output"].as_array().map(Vec::len), &response["usage"]), (Some(1), &Value::Null));
    assert_eq!(response["output"][0]["content"][0]["text"], "");
    let strict = model(&upstream.url, json!({"propagate_context_overflow_errors": true}));
    assert_eq!(respond(&strict, json!({"input": "q"})).await, (400, error));
    let other = TestUpstream::start(vec![Act::Answer(400, "", r#"{"message":"bad"}"#.into())]).await;
    assert_eq!(respond(&model(&other.url, json!({})), json!({"input": "q"})).await.0, 400);
}

#[tokio::test]
async fn a_last_message_of_nothing_but_reasoning_may_end_it() {
    let model = model("http://127.0.0.1:9", json!({"sequential_reasoning_allowed": false}));
    let input = json!([{"role": "user", "content": "q"}, {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "x"}]}]);
    let (_, response) = respond(&model, json!({"input": input})).await;
    assert_eq!(response["incomplete_details"], json!({"reason": "content_filter"}));
}

#[tokio::test]
async fn a_session_stays_at_its_replica() {
    let answer = TestUpstream::json(completion(json!({"content": "a"})));
    let (one, two) = (TestUpstream::start(vec![answer.clone()]).await, TestUpstream::start(vec![answer]).await);
    let model = model("http://x", json!({"base_url": [format!("{}/v1", one.url), format!("{}/v1", two.url)]}));
    let mut context = RequestContext::default();
    for _ in 0..3 {
        let request = ModelRequest::parse(Bytes::from_static(br#"{"input":"q"}"#)).unwrap();
        model.respond(request, &mut context).await.unwrap();
    }
    assert!(matches!((one.seen().len(), two.seen().len()), (3, 0) | (0, 3)));
    assert!(context.cookies.get("VLLMModel___policy_model").is_some());
    // sha256("abc") begins with ba7816bf 8f01cfea; 0xba7816bf8f01cfea = 5 n + 4.
    assert_eq!(replica_index("abc", 5), 4);
    assert_eq!(replica_index("abc", 2), 0);
    assert_eq!(replica_index("abc", 1), 0);
}

#[tokio::test]
async fn the_chat_route_is_prepared_alike_and_shows_reasoning_in_the_text() {
    let answer = completion(json!({"role": "assistant", "content": "a", "reasoning": "r"}));
    let upstream = TestUpstream::start(vec![TestUpstream::json(answer)]).await;
    let model = model(&upstream.url, json!({}));
    let body = json!({"model": "z", "messages": [{"role": "assistant", "content": "<think>t</think>x"}]});
    let reply = model.chat(Bytes::from(body.to_string()), &mut RequestContext::default()).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(reply["choices"][0]["message"], json!({"role": "assistant", "content": "<think>r</think>a"}));
    assert_eq!(
        upstream.seen()[0].json(),
        json!({"model": "m", "messages": [{"role": "assistant", "content": "x", "reasoning_content": "t", "reasoning": "t"}]})
    );
}

#[tokio::test]
async fn a_native_engine_gets_the_responses_request() {
    let upstream = TestUpstream::start(vec![TestUpstream::json(r#"{"id":"resp_9"}"#)]).await;
    let block = json!({"is_responses_native": true, "extra_body": {"top_k": 1}, "chat_template_kwargs": {"a": 1}});
    let (_, response) = respond(&model(&upstream.url, block), json!({"input": "q"})).await;
    assert_eq!(response, json!({"id": "resp_9"}));
    assert_eq!(upstream.seen()[0].path, "/v1/responses");
    assert_eq!(
        upstream.seen()[0].json(),
        json!({"input": "q", "top_k": 1, "chat_template_kwargs": {"a": 1}, "model": "m"})
    );
}

#[tokio::test]
async fn base_models_get_the_text_as_prompt() {
    let answer = r#"{"choices":[{"index":0,"text":" four","finish_reason":"stop","prompt_token_ids":[1],
        "logprobs":{"tokens":["token_id:4"],"token_logprobs":[-0.25]},"token_ids":[4]}]}"#;
    let upstream = TestUpstream::start(vec![TestUpstream::json(answer)]).await;
    let block = json!({"use_completions_api": true, "return_token_id_information": true});
    let model = model(&upstream.url, block);
    let (_, response) = respond(&model, json!({"instructions": "sum", "input": "2+2=", "max_output_tokens": 3})).await;
    assert_eq!(response["output"][0]["content"][0]["text"], " four");
    assert_eq!(response["output"][0]["generation_log_probs"], json!([-0.25]));
    assert_eq!(upstream.seen()[0].path, "/v1/completions");
    assert_eq!(
        upstream.seen()[0].json(),
        json!({"prompt": "sum\n\n2+2=", "max_tokens": 3, "model": "m", "logprobs": 0, "return_token_ids": true,
            "return_tokens_as_token_ids": true})
    );
    let (status, _) = respond(&model, json!({"input": "q", "tools": [{"type": "function", "name": "f"}]})).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_a_text_completion_does_not_know_stays_behind_and_missing_tokens_are_asked_for() {
    let answer = r#"{"id":"c","choices":[{"text":"b","logprobs":{"tokens":["token_id:4","token_id:5"],
        "token_logprobs":[-0.250,null]}}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}"#;
    let acts = vec![TestUpstream::json(answer), TestUpstream::json(r#"{"tokens":[1, 2]}"#)];
    let upstream = TestUpstream::start(acts).await;
    let block = json!({"use_completions_api": true, "return_token_id_information": true, "sampling_overrides": {"top_k": 1},
        "extra_body": {"top_k": 9, "max_tokens": 7, "add_special_tokens": false}});
    let model = model(&upstream.url, block);
    let body = json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}], "stop": ["x"], "tools": [],
        "max_completion_tokens": 5, "reasoning_effort": "low", "top_logprobs": null, "tool_choice": "none", "stream": false,
        "metadata": {"extra_body": "{\"seed\": 3}"}});
    let reply = model.chat(Bytes::from(body.to_string()), &mut RequestContext::default()).await.unwrap();
    assert_eq!(
        upstream.seen()[0].json(),
        json!({"model": "m", "prompt": "a", "stop": ["x"], "max_tokens": 5, "logprobs": 0, "top_k": 1, "seed": 3,
            "add_special_tokens": false, "return_token_ids": true, "return_tokens_as_token_ids": true})
    );
    assert_eq!(upstream.seen()[1].json(), json!({"model": "m", "prompt": "a", "add_special_tokens": false}));
    let text = String::from_utf8(reply.body.to_vec()).unwrap();
    assert!(text.contains(r#""generation_log_probs":[-0.250,null]"#), "{text}");
    let reply: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        reply["choices"],
        json!([{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "b",
            "prompt_token_ids": [1, 2], "generation_token_ids": [4, 5], "generation_log_probs": [-0.25, null]}}])
    );
}

#[tokio::test]
async fn the_chat_route_passes_token_data_on_that_nobody_collects() {
    let tokens = json!({"prompt_token_ids": [1], "generation_token_ids": [2], "generation_log_probs": [-0.5]});
    let mut message = tokens.clone();
    message["role"] = json!("assistant");
    message["content"] = json!("a");
    let upstream = TestUpstream::start(vec![TestUpstream::json(completion(message.clone()))]).await;
    let body = json!({"messages": [message]});
    let plain = model(&upstream.url, json!({}));
    let reply = plain.chat(Bytes::from(body.to_string()), &mut RequestContext::default()).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(reply["choices"][0]["message"], message);
    assert_eq!(upstream.seen()[0].json()["messages"], body["messages"]);
    // A Response has it only where it is collected.
    let (_, response) = respond(&plain, json!({"input": "q"})).await;
    assert_eq!(response["output"][0].get("prompt_token_ids"), None);
}

#[tokio::test]
async fn log_probabilities_beside_whole_token_data_stay() {
    let mut answer: Value = serde_json::from_str(
        &completion(json!({"content": "a", "prompt_token_ids": [1],
        "generation_token_ids": [2], "generation_log_probs": [-0.5]}))
        .to_string(),
    )
    .unwrap();
    answer["choices"][0]["logprobs"] = json!({"content": [{"token": "token_id:2", "logprob": -0.5}]});
    let upstream = TestUpstream::start(vec![TestUpstream::json(&answer)]).await;
    let model = model(&upstream.url, json!({"return_token_id_information": true}));
    let body = json!({"messages": [{"role": "user", "content": "q"}]});
    let reply = model.chat(Bytes::from(body.to_string()), &mut RequestContext::default()).await.unwrap();
    let reply: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(reply, answer);
}

#[tokio::test]
async fn audio_goes_before_the_text_of_the_last_user_message() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.mp3"), b"abc").unwrap();
    let block = json!({"audio_root": folder.path()});
    let body = json!({"input": "q", "metadata": {"audio_path": "a.mp3"}});
    let sent = sent(block.clone(), body).await;
    assert_eq!(
        sent["messages"][0]["content"],
        json!([{"type": "audio_url", "audio_url": {"url": "data:audio/mpeg;base64,YWJj"}}, {"type": "text", "text": "q"}])
    );
    assert_eq!(sent.get("metadata"), None);
    for metadata in [
        json!({"audio_path": "none.mp3"}),
        json!({"audio_path": "../a.mp3"}),
        json!({"audio_path": "/etc/passwd"}),
        json!({"audio_path": "a.mp3", "audio_data": "data:"}),
        json!({"audio_paths": "nope"}),
    ] {
        let (status, _) =
            respond(&model("http://127.0.0.1:9", block.clone()), json!({"input": "q", "metadata": metadata})).await;
        assert_eq!(status, 400, "{metadata}");
    }
}

#[tokio::test]
async fn chat_streams_are_passed_on_unless_tokens_are_collected() {
    let upstream = TestUpstream::start(vec![Act::Events(vec!["data: x\n\n"], false)]).await;
    let body = Bytes::from_static(br#"{"messages":[],"stream":true}"#);
    let mut context = RequestContext::default();
    let streams = model(&upstream.url, json!({}));
    let streamed = streams.respond_stream(ModelRoute::Chat, &body, &mut context).await;
    assert!(matches!(streamed, Some(Ok(Streamed::Events(_)))));
    assert_eq!(upstream.seen()[0].json(), json!({"messages": [], "stream": true, "model": "m"}));
    assert!(streams.respond_stream(ModelRoute::Responses, &body, &mut context).await.is_none());
    let collects = model(&upstream.url, json!({"return_token_id_information": true}));
    assert!(collects.respond_stream(ModelRoute::Chat, &body, &mut context).await.is_none());
}

#[test]
fn what_cannot_be_honoured_is_refused_at_the_start() {
    for (block, key) in [
        (json!({"uses_reasoning_parser": null}), "`uses_reasoning_parser`"),
        (json!({"base_url": "nonsense"}), "`base_url`"),
        (json!({"base_url": []}), "`base_url`"),
        (json!({"reasoning_field": "x"}), "`reasoning_field`"),
        (json!({"tokenizer": "t"}), "`tokenizer`"),
        (json!({"render_chat_template": true}), "`render_chat_template`"),
        (json!({"endpoint_file": "f"}), "`endpoint_file`"),
        (json!({"supply_prefix_token_ids": true}), "`supply_prefix_token_ids`"),
        (json!({"is_responses_native": true, "return_token_id_information": true}), "`return_token_id_information`"),
    ] {
        let error = try_model("http://h", block).err().expect("an error").to_string();
        assert!(error.contains(key), "{error}");
    }
    assert!(try_model("http://h", json!({"render_chat_template": false, "tokenizer": null})).is_ok());
}
