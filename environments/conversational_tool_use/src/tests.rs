// SPDX-License-Identifier: Apache-2.0
use gym_env::{Failure, Instance, ModelFailure, Response, Rng, TestContext};

use super::*;

const ROW: &str = r#"{"user_instructions": "You want a refund.", "user_script": ["Hello", "One", "Two"]}"#;

fn test_context() -> TestContext {
    Context::for_test().folder(env!("CARGO_MANIFEST_DIR"))
}

fn post(instance: &mut Instance<Conversation>, route: &str, body: Value) -> Value {
    serde_json::from_str(&instance.call_tool(route, &body.to_string()).unwrap()).unwrap()
}

#[test]
fn the_script_is_said_message_by_message() {
    let mut instance = Instance::<Conversation>::new(test_context().build());
    instance.seed_session(ROW).unwrap();
    let goes_on = |text: &str| json!({"message": text, "should_continue": true, "terminal_state": null});
    assert_eq!(post(&mut instance, "next_user_message", json!({})), goes_on("Hello"), "the opening");
    for text in ["One", "Two"] {
        post(&mut instance, "record_agent_message", json!({"message": "Yes?"}));
        assert_eq!(post(&mut instance, "next_user_message", json!({})), goes_on(text));
    }
    let end = json!({"message": "", "should_continue": false, "terminal_state": "user_done"});
    assert_eq!(post(&mut instance, "next_user_message", json!({})), end);
    assert_eq!(post(&mut instance, "next_user_message", json!({})), end);
    let resumed = post(&mut instance, "session_resume", json!({}));
    assert_eq!(resumed["messages"].as_array().unwrap().len(), 5);
    assert_eq!(resumed["terminal_state"], "user_done");
}

#[test]
fn a_model_plays_the_user_from_the_other_side() {
    let says = |text: &str| Ok(Response::builder().message(text).build());
    let test = test_context()
        .config(json!({"user_model_server": {"type": "responses_api_models", "name": "user"}, "max_user_turns": 3}))
        .model("user", [says("My number is C1."), says("Thanks ###STOP###")]);
    let mut instance = Instance::<Conversation>::new(test.build());
    instance.seed_session(ROW).unwrap();
    post(&mut instance, "record_agent_message", json!({"message": "Your number?"}));
    assert_eq!(post(&mut instance, "next_user_message", json!({}))["message"], "My number is C1.");
    post(&mut instance, "record_agent_message", json!({"message": "Done."}));
    let end = json!({"message": "", "should_continue": false, "terminal_state": "user_done"});
    assert_eq!(post(&mut instance, "next_user_message", json!({})), end);
    let requests = test.requests("user");
    assert!(requests[0]["instructions"].as_str().unwrap().contains("You want a refund."));
    let roles: Vec<&Value> = requests[1]["input"].as_array().unwrap().iter().map(|item| &item["role"]).collect();
    assert_eq!(roles, ["assistant", "user", "assistant", "user"]);
    assert_eq!(requests[1]["input"][3]["content"], "Done.");
}

#[test]
fn a_user_whose_model_fails_is_a_fault_of_that_model() {
    let answers = [Err(ModelFailure::Unavailable("no".to_owned())), Ok(Response::builder().reasoning("hm").build())];
    let test = test_context()
        .config(json!({"user_model_server": {"type": "responses_api_models", "name": "user"}}))
        .model("user", answers);
    let mut instance = Instance::<Conversation>::new(test.build());
    instance.seed_session(ROW).unwrap();
    post(&mut instance, "record_agent_message", json!({"message": "Yes?"}));
    for _ in 0..2 {
        let failure = instance.call_tool("next_user_message", "{}").unwrap_err();
        assert!(matches!(failure, Failure::Fault(fault) if fault.is_judge_failure()));
    }
}

#[test]
fn a_user_who_never_ends_is_stopped() {
    let mut instance = Instance::<Conversation>::new(test_context().config(json!({"max_user_turns": 2})).build());
    instance.seed_session(ROW).unwrap();
    post(&mut instance, "record_agent_message", json!({"message": "Yes?"}));
    assert_eq!(post(&mut instance, "next_user_message", json!({}))["message"], "One");
    assert_eq!(post(&mut instance, "next_user_message", json!({}))["terminal_state"], "turn_limit");
}

#[test]
fn a_discarded_conversation_has_no_reward() {
    let mut instance = Instance::<Conversation>::new(test_context().build());
    instance.seed_session(ROW).unwrap();
    post(&mut instance, "discard_session", json!({}));
    let request = r#"{"expected_changes": {}, "response": {"output": []}}"#;
    assert!(matches!(instance.verify(request), Err(Failure::Refused(refuse)) if refuse.status() == 400));
}

#[test]
fn calls_and_messages_are_also_taken_as_texts() {
    let mut instance = Instance::<Conversation>::new(test_context().build());
    instance.seed_session(ROW).unwrap();
    let resumed = |instance: &mut _| {
        let resumed = post(instance, "session_resume", json!({}));
        (resumed["next_actor"].clone(), resumed["is_initial"].clone(), resumed["messages"].as_array().unwrap().len())
    };
    assert_eq!(resumed(&mut instance), (json!("agent"), json!(true), 1));
    let goes_on = json!({"should_continue": true, "terminal_state": null});
    let item = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hm"}]});
    let call = json!({"type": "function_call", "tool_name": "list_parcels", "tool_call_id": "1", "arguments": "{}"});
    let outputs = json!([{"type": "message", "content": "Who are you?", "response_output_index": 0}, call, item]);
    assert_eq!(post(&mut instance, "record_agent_outputs", json!({"outputs": outputs, "response": {}})), goes_on);
    assert_eq!(resumed(&mut instance), (json!("user"), json!(false), 2));
    assert_eq!(post(&mut instance, "record_agent_message", json!({"content": "Well?", "response": null})), goes_on);
    let mut execute = |name: &str, arguments: &str| {
        let body = json!({"tool_name": name, "tool_call_id": "1", "arguments": arguments, "response": {}});
        let reply = post(&mut instance, "execute_agent_tool_call", body);
        assert_eq!((&reply["should_continue"], &reply["terminal_state"]), (&json!(true), &Value::Null));
        (reply["output"].clone(), reply["schema_valid"].clone(), reply["error"].clone())
    };
    let refused = |reason: &str| (json!({"error": reason}), json!(false), json!(reason));
    assert_eq!(execute("list_parcels", "{}"), refused("identify the customer first"));
    assert_eq!(execute("list_parcels", "{"), refused("the arguments are not JSON"));
    assert_eq!(execute("drop_everything", "{}"), refused("there is no tool `drop_everything`"));
    let world: World = serde_json::from_str(include_str!("../data/world.json")).unwrap();
    let world = serde_json::to_value(world).unwrap();
    let (id, customer) = world["customers"].as_object().unwrap().iter().next().unwrap();
    let arguments = json!({"customer_id": id, "postcode": customer["postcode"]}).to_string();
    let (output, schema_valid, error) = execute("find_customer", &arguments);
    assert!(output.is_object() && schema_valid == true && error.is_null(), "{output}");
    for route in ["record_generation_error", "record_agent_generation_error", "record_agent_step_limit"] {
        let body = json!({"source": "agent", "error": "no answer", "max_agent_steps": 3});
        assert_eq!(post(&mut instance, route, body), json!({"should_continue": false, "terminal_state": null}));
    }
    assert_eq!(post(&mut instance, "discard_session", json!({})), json!({"discarded": true}));
    assert_eq!(post(&mut instance, "discard_session", json!({})), json!({"discarded": false}));
}

#[test]
fn grading_tells_the_conversation_step_by_step() {
    let mut instance = Instance::<Conversation>::new(test_context().build());
    instance.seed_session(ROW).unwrap();
    let call = |id: &str| json!({"type": "function_call", "tool_name": "list_parcels", "tool_call_id": id, "arguments": "{}", "response_output_index": 1});
    let outputs = json!([{"type": "message", "content": "Wait.", "response_output_index": 0}, call("a")]);
    post(&mut instance, "record_agent_outputs", json!({"outputs": outputs, "response": {"id": "resp_1"}}));
    let execute =
        |id: &str| json!({"tool_name": "list_parcels", "tool_call_id": id, "arguments": "{}", "response": {}});
    post(&mut instance, "execute_agent_tool_call", execute("a"));
    post(&mut instance, "execute_agent_tool_call", execute("never recorded"));
    assert!(instance.call_tool("list_parcels", "{}").is_err(), "a refusal is a step like any other");
    post(&mut instance, "next_user_message", json!({}));
    post(&mut instance, "record_generation_error", json!({"source": "agent", "error": "cut off"}));
    post(&mut instance, "record_agent_step_limit", json!({"max_agent_steps": 3}));
    let verdict = instance.verify(r#"{"expected_changes": {}, "response": {"output": []}}"#).unwrap();
    assert_eq!(verdict.fields()["instance_config"], json!({"mask_sample": false}));
    let told = &verdict.fields()["result"]["trajectory"];
    let steps = told["messages"].as_array().unwrap();
    let kinds: Vec<String> = steps.iter().map(|step| format!("{} {}", step["source"], step["type"])).collect();
    let pair = [r#""agent" "tool_call""#, r#""environment" "tool_execution""#];
    let texts = [r#""user" "text""#, r#""agent" "text""#];
    assert_eq!(kinds, [&texts[..], &pair, &pair, &pair, &texts[..1]].concat());
    assert_eq!((&steps[1]["text"], &steps[1]["response_id"]), (&json!("Wait."), &json!("resp_1")));
    assert_eq!((&steps[2]["tool_call_id"], &steps[2]["response_output_index"]), (&json!("a"), &json!(1)));
    assert_eq!(steps[3]["deserialized_execution_result"]["error"], "identify the customer first");
    assert_eq!(
        (&steps[4]["tool_call_id"], &steps[6]["tool_call_id"]),
        (&json!("never recorded"), &json!("tool_call_3"))
    );
    assert_eq!((&told["prefill_message_count"], &told["terminal_state"]), (&json!(1), &json!("incomplete")));
    assert_eq!(told["terminal_error"], "cut off");
}

#[test]
fn tools_can_be_called_by_their_names_too() {
    let mut instance = Instance::<Conversation>::new(test_context().build());
    instance.seed_session(ROW).unwrap();
    let rejected = instance.call_tool("list_parcels", "{}");
    assert!(matches!(rejected, Err(Failure::Rejected(reject)) if reject.text() == "identify the customer first"));
    let unknown = instance.call_tool("drop_everything", "{}");
    assert!(matches!(unknown, Err(Failure::Refused(refuse)) if refuse.status() == 404));
}

#[test]
fn expectations_of_parcels_that_do_not_exist_are_a_fault_of_the_data() {
    let mut instance = Instance::<Conversation>::new(test_context().build());
    instance.seed_session(ROW).unwrap();
    for changes in [json!({"P1": {"status": "lost"}}), json!({"P1001": {"colour": "red"}})] {
        let request = json!({"expected_changes": changes, "response": {"output": []}});
        assert!(matches!(instance.verify(request.to_string()), Err(Failure::Fault(_))));
    }
}

/// Whatever comes is refused, rejected or answered; nothing panics.
#[test]
fn no_request_makes_it_panic() {
    let routes = [
        "execute_agent_tool_call",
        "record_agent_message",
        "record_agent_outputs",
        "next_user_message",
        "change_address",
        "file_claim",
        "session_tools",
        "",
    ];
    let bodies = [
        r#"{"tool_name": "file_claim", "arguments": {"parcel_id": "P1001", "reason": "lost", "amount_cents": 99}}"#,
        r#"{"message": "text"}"#,
        r#"{"expected_changes": {"P1001": {"status": null}}, "must_say": [""], "response": {"output": [{}]}}"#,
    ];
    let pieces = ["\"", "{", "[[[[[[", "null", "1e999", "99999999999999999999", "\\ud800", "\u{0}", "-", "ü"];
    let mut rng = Rng::from_seed(5);
    for _ in 0..300 {
        let mut instance = Instance::<Conversation>::new(test_context().build());
        instance.seed_session(ROW).unwrap();
        let mut body = (*rng.choose(&bodies).unwrap()).to_owned();
        for _ in 0..rng.below(3) {
            let at = rng.below(body.len() as u64 + 1) as usize;
            if body.is_char_boundary(at) {
                body.insert_str(at, rng.choose(&pieces).copied().unwrap());
            }
        }
        let route = rng.choose(&routes).copied().unwrap();
        if let Err(Failure::Fault(fault)) = instance.call_tool(route, &body) {
            panic!("{route} {body}: {fault:?}");
        }
        if let Ok(verdict) = instance.verify(body.clone()) {
            assert!([0.0, 1.0].contains(&verdict.reward()), "{body}");
        }
    }
}
