// SPDX-License-Identifier: Apache-2.0
use std::{cell::RefCell, collections::VecDeque, rc::Rc};

use gym_env::{ChannelEnd, HttpReply, Instance, NetworkFailure, Rng, TestContext};

use super::*;

/// Says what a script says, and remembers what it was told.
struct Scripted {
    answers: VecDeque<Result<Option<String>, NetworkFailure>>,
    told: Rc<RefCell<Vec<String>>>,
}

impl ChannelEnd for Scripted {
    fn send(&mut self, text: &str) -> Result<(), NetworkFailure> {
        self.told.borrow_mut().push(text.to_owned());
        Ok(())
    }

    fn receive(&mut self) -> Result<Option<String>, NetworkFailure> {
        self.answers.pop_front().unwrap_or(Ok(None))
    }
}

fn elsewhere(config: Value, answers: &[&str]) -> (Instance<OpenEnv>, Rc<RefCell<Vec<String>>>) {
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let told = Rc::new(RefCell::new(Vec::new()));
    let notes = Rc::clone(&told);
    let test: TestContext = Context::for_test().config(config).endpoint("maze", move |path| {
        notes.borrow_mut().push(path.to_owned());
        let answers = answers.iter().map(|answer| Ok(Some(answer.clone()))).collect();
        Ok(Box::new(Scripted { answers, told: Rc::clone(&notes) }) as Box<dyn ChannelEnd>)
    });
    (Instance::new(test.build()), told)
}

fn reward(instance: &mut Instance<OpenEnv>) -> Result<f64, Failure> {
    instance.verify(r#"{"response": {"output": []}}"#).map(|verdict| verdict.reward())
}

const ECHO: &str = "echo_env.server.echo_environment.EchoEnvironment";
const MAZE: &str = "maze_env.server.maze_env_environment.MazeEnvironment";

const BEGUN: &str = r#"{"type":"observation","data":{"observation":{"x":1},"reward":0.25,"done":false}}"#;

#[test]
fn an_episode_elsewhere_is_played_over_the_endpoint() {
    let config = json!({"endpoint": "maze", "path": "/env/ws", "reset_kwargs": {"seed": 7}});
    let answers = [
        BEGUN,
        r#"{"type":"error","data":{"message":"no such way","code":"EXECUTION_ERROR"}}"#,
        r#"{"type":"observation","data":{"observation":{"x":2,"metadata":{"m":1}},"reward":1,"done":true}}"#,
    ];
    let (mut instance, told) = elsewhere(config, &answers);
    instance.seed_session("{}").unwrap();
    let lost = instance.call_tool("step", r#"{"to":"north"}"#).unwrap();
    assert_eq!(lost, r#"{"error":"no such way","result":null}"#);
    let found = instance.call_tool("step", r#"{"to":"south"}"#).unwrap();
    assert_eq!(found, r#"{"done":true,"reward":1.0,"metadata":{"m":1},"x":2}"#);
    let over = instance.call_tool("step", "{}").unwrap();
    assert_eq!(over, r#"{"error":"Episode has ended.","result":null}"#);
    assert_eq!(reward(&mut instance), Ok(1.25), "the reset's reward counts too");
    assert_eq!(reward(&mut instance), Ok(1.25), "grading again says the same");
    let closed = instance.call_tool("step", "{}").unwrap();
    assert_eq!(closed, r#"{"error":"No active session. Call /seed_session first.","result":null}"#);
    assert_eq!(
        *told.borrow(),
        [
            "/env/ws",
            r#"{"type":"reset","data":{"seed":7}}"#,
            r#"{"type":"step","data":{"to":"north"}}"#,
            r#"{"type":"step","data":{"to":"south"}}"#,
            r#"{"type":"close"}"#,
        ]
    );
}

#[test]
fn without_a_session_there_is_nothing_to_do() {
    let mut instance = Instance::<OpenEnv>::new(Context::for_test().build());
    let reply = instance.call_tool("step", "{}").unwrap();
    assert_eq!(reply, r#"{"error":"No active session. Call /seed_session first.","result":null}"#);
    assert_eq!(reward(&mut instance), Ok(0.0));
}

#[test]
fn an_environment_that_breaks_off_is_a_fault_and_no_reward() {
    for answers in [
        vec![BEGUN],
        vec![BEGUN, "not JSON"],
        vec![BEGUN, r#"{"type":"state","data":{}}"#],
        vec![BEGUN, r#"{"type":"observation","data":{"reward":1}}"#],
        vec![BEGUN, r#"{"type":"observation","data":{"observation":{},"reward":"1"}}"#],
        vec![BEGUN, r#"{"type":"observation","data":{"observation":{},"done":1}}"#],
    ] {
        let (mut instance, _) = elsewhere(json!({"endpoint": "maze"}), &answers);
        instance.seed_session("{}").unwrap();
        for _ in 0..2 {
            assert!(matches!(instance.call_tool("step", "{}"), Err(Failure::Fault(_))), "{answers:?}");
        }
        assert!(matches!(reward(&mut instance), Err(Failure::Fault(_))), "{answers:?}");
    }
}

#[test]
fn an_endpoint_that_is_not_granted_is_a_fault_and_no_reward() {
    let mut instance = Instance::<OpenEnv>::new(Context::for_test().config(json!({"endpoint": "maze"})).build());
    assert!(matches!(instance.seed_session("{}"), Err(Failure::Fault(_))));
    assert!(matches!(reward(&mut instance), Err(Failure::Fault(_))));
}

#[test]
fn a_class_that_is_not_in_here_needs_an_endpoint() {
    let mut instance = Instance::<OpenEnv>::new(Context::for_test().config(json!({"env_class": "envs.Chess"})).build());
    let refused = format!("{:?}", instance.describe().unwrap_err());
    for part in
        ["`env_class: envs.Chess`", "`endpoint: peer`", "`gym_host: {endpoints: {peer: http://127.0.0.1:8000}}`"]
    {
        assert!(refused.contains(part), "{refused}");
    }
    for class in ["maze", "examples.echo", "tools", ECHO, MAZE] {
        let mut instance = Instance::<OpenEnv>::new(Context::for_test().config(json!({"env_class": class})).build());
        assert!(instance.describe().is_ok(), "{class}");
    }
}

#[test]
fn the_echo_of_openenv_has_two_tools_and_no_rewards() {
    let config = json!({"env_class": ECHO, "action_class": "any.CallToolAction", "is_mcp": true});
    let mut instance = Instance::<OpenEnv>::new(Context::for_test().config(config).build());
    instance.seed_session("{}").unwrap();
    let mut call = |name: &str| instance.call_tool(name, r#"{"message":"añb","more":1}"#);
    let content = |text: &str| json!([{"type": "text", "text": text, "annotations": null, "_meta": null}]);
    let reply = |text: &str, structured: Value, data: Value| {
        let result = json!({
            "content": content(text), "structured_content": structured, "meta": null, "data": data, "is_error": false
        });
        json!({"result": result, "error": null}).to_string()
    };
    assert_eq!(call("echo_message").unwrap(), reply("añb", json!({"result": "añb"}), json!("añb")));
    let data = json!({"message": "añb", "length": 3});
    assert_eq!(call("echo_with_length").unwrap(), reply(r#"{"message":"añb","length":3}"#, data.clone(), data));
    assert!(matches!(call("add"), Err(Failure::Refused(refuse)) if refuse.status() == 404));
    let missing = instance.call_tool("echo_message", "{}").unwrap_err();
    assert!(matches!(missing, Failure::Refused(refuse) if refuse.detail()[0]["type"] == "missing"));
    assert_eq!(reward(&mut instance), Ok(0.0));
}

#[test]
fn the_maze_of_openenv_sums_the_rewards_of_its_moves() {
    let config = json!({"env_class": MAZE, "action_class": "maze_env.models.MazeAction", "is_mcp": false});
    let mut instance = Instance::<OpenEnv>::new(Context::for_test().config(config).build());
    instance.seed_session("{}").unwrap();
    let refused = instance.call_tool("step", r#"{"action":"up"}"#).unwrap();
    let text = "action: Input should be a valid integer, unable to parse string as an integer";
    assert_eq!(refused, json!({"error": text, "result": null}).to_string());
    // A wall above, then right, right, and on along the only way.
    for action in [0, 3, 3, 1, 1, 2, 2, 1, 1, 3, 3, 3, 3, 3, 1, 1, 1, 3, 3] {
        instance.call_tool("step", &json!({"action": action}).to_string()).unwrap();
    }
    let over = instance.call_tool("step", r#"{"action":0}"#).unwrap();
    assert_eq!(over, r#"{"error":"Episode has ended.","result":null}"#);
    let total = reward(&mut instance).unwrap();
    assert!((total - (10.0 - 0.75 - 17.0 * 0.05)).abs() < 1e-9, "{total}");
}

/// An instance that plays over HTTP, and the requests that were sent: path and body.
fn over_http(config: Value, replies: &[(u16, &str)]) -> (Instance<OpenEnv>, Rc<RefCell<Vec<String>>>) {
    let replies: RefCell<VecDeque<_>> =
        replies.iter().map(|(status, body)| (*status, (*body).to_owned())).collect::<VecDeque<_>>().into();
    let told = Rc::new(RefCell::new(Vec::new()));
    let notes = Rc::clone(&told);
    let test = Context::for_test().config(config).http("old", move |request| {
        notes.borrow_mut().push(format!("{} {}", request.path, String::from_utf8_lossy(&request.body)));
        let next = replies.borrow_mut().pop_front();
        let (status, body) = next.ok_or_else(|| NetworkFailure::Unavailable("nobody answers".to_owned()))?;
        Ok(HttpReply { status, headers: Vec::new(), body: body.into_bytes() })
    });
    (Instance::new(test.build()), told)
}

#[test]
fn an_episode_is_played_over_plain_requests() {
    let config = json!({"endpoint": "old", "transport": "http", "path": "/env", "reset_kwargs": {"seed": 7}});
    let refusal = r#"{"detail":[{"type":"missing","loc":["body","to"],"msg":"Field required"}]}"#;
    let replies = [
        (200, r#"{"observation":{"x":1},"reward":0.25,"done":false}"#),
        (422, refusal),
        (500, "Internal Server Error"),
        (200, r#"{"observation":{"x":2},"reward":1,"done":true}"#),
    ];
    let (mut instance, told) = over_http(config, &replies);
    instance.seed_session("{}").unwrap();
    let mut step = |action: &str| instance.call_tool("step", action).unwrap();
    assert_eq!(step("{}"), r#"{"error":"body.to: Field required","result":null}"#);
    assert_eq!(step(r#"{"to":0}"#), r#"{"error":"the environment answered with the status 500","result":null}"#);
    assert_eq!(step(r#"{"to":1}"#), r#"{"done":true,"reward":1.0,"metadata":{},"x":2}"#);
    assert_eq!(reward(&mut instance), Ok(1.25));
    assert_eq!(
        *told.borrow(),
        [
            r#"/env/reset {"seed":7}"#,
            r#"/env/step {"action":{}}"#,
            r#"/env/step {"action":{"to":0}}"#,
            r#"/env/step {"action":{"to":1}}"#,
        ]
    );
}

#[test]
fn a_server_over_plain_requests_that_answers_otherwise_is_a_fault_and_no_reward() {
    let begun = (200, r#"{"observation":{},"reward":1,"done":false}"#);
    for reply in [Some((404, "{}")), Some((503, "")), Some((307, "")), Some((200, "[]")), Some((200, "<html>")), None] {
        let replies: Vec<_> = [begun].into_iter().chain(reply).collect();
        let (mut instance, _) = over_http(json!({"endpoint": "old", "transport": "http"}), &replies);
        instance.seed_session("{}").unwrap();
        assert!(matches!(instance.call_tool("step", "{}"), Err(Failure::Fault(_))), "{reply:?}");
        assert!(matches!(reward(&mut instance), Err(Failure::Fault(_))), "{reply:?}");
    }
}

/// OpenEnv 0.2 refuses an action that asks for the tools, and answers a message of MCP.
#[test]
fn tools_are_found_over_mcp_where_an_action_does_not_find_them() {
    let refused = r#"{"type":"error","data":{"message":"Invalid message","errors":[{"loc":["type"],"msg":"no"}]}}"#;
    let tool = r#"{"name":"say","inputSchema":{"properties":{"text":{"type":"string"}},"required":["text"]}}"#;
    let listed = format!(r#"{{"type":"mcp","data":{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{tool}]}}}}}}"#);
    let said =
        r#"{"type":"observation","data":{"observation":{"result":"a","error":null},"reward":null,"done":false}}"#;
    let (mut instance, told) = elsewhere(json!({"endpoint": "maze", "is_mcp": true}), &[BEGUN, refused, &listed, said]);
    instance.seed_session("{}").unwrap();
    assert!(matches!(instance.call_tool("say", "{}"), Err(Failure::Refused(refuse)) if refuse.status() == 422));
    assert_eq!(instance.call_tool("say", r#"{"text":"a"}"#).unwrap(), r#"{"result":"a","error":null}"#);
    assert!(told.borrow()[3].contains(r#""method":"tools/list""#));
    let nothing = r#"{"type":"mcp","data":{"jsonrpc":"2.0","id":1,"error":{"code":-32603}}}"#;
    let (mut instance, _) = elsewhere(json!({"endpoint": "maze", "is_mcp": true}), &[BEGUN, refused, nothing]);
    assert!(matches!(instance.seed_session("{}"), Err(Failure::Fault(_))));
}

/// Whatever comes from either side, nothing panics.
#[test]
fn no_message_makes_it_panic() {
    let pieces = ["\"", "{", "[[[[", "null", "1e999", "\\ud800", "\u{0}", "-", "true"];
    let mut rng = Rng::from_seed(3);
    for _ in 0..300 {
        let mut answer = BEGUN.to_owned();
        for _ in 0..rng.below(3) {
            let at = rng.below(answer.len() as u64) as usize;
            if answer.is_char_boundary(at) {
                answer.insert_str(at, rng.choose(&pieces).copied().unwrap());
            }
        }
        let (mut instance, _) =
            elsewhere(json!({"endpoint": "maze", "is_mcp": rng.below(2) == 0}), &[&answer, &answer]);
        let outcomes = (instance.seed_session("{}"), instance.call_tool("step", &answer), reward(&mut instance));
        assert!(!matches!(&outcomes.1, Err(Failure::Rejected(_))), "{outcomes:?}");
        let mut peer = Peer::new(Example::Tools);
        peer.answer(&answer);
        peer.answer(&answer.replace("observation", "step"));
        let mut maze = Peer::new(Example::MazeWalk);
        maze.answer(&answer.replace("observation", "step"));
        let (mut instance, _) =
            over_http(json!({"endpoint": "old", "transport": "http"}), &[(200, &answer), (200, &answer)]);
        let outcomes = (instance.seed_session("{}"), instance.call_tool("step", &answer), reward(&mut instance));
        assert!(!matches!(&outcomes.2, Err(Failure::Rejected(_))), "{outcomes:?}");
    }
}
