// SPDX-License-Identifier: Apache-2.0
//! Environments elsewhere: an agent plays them over a WebSocket, and a peer that fails is a fault, never a reward.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use gym_tests::{Client, Host, response};
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// Waiting in one call for a peer that may not answer, in milliseconds.
const WAIT_MS: u64 = 2_000;
/// And for one that does.
const LONG_MS: u64 = 120_000;

/// How a peer fails at the first step, after a reset that paid 0.25.
const FAILURES: [&str; 7] = ["resets", "hangs", "garbage", "binary", "huge", "closes", "says_nothing_of_reward"];

/// Listens and handles every connection in a thread of its own; the threads end with the test's process.
pub(crate) fn listen(handle: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handle = handle.clone();
            thread::spawn(move || handle(stream));
        }
    });
    port
}

fn observation(observation: Value, reward: f64, done: bool) -> Message {
    let data = json!({"observation": observation, "reward": reward, "done": done});
    Message::text(json!({"type": "observation", "data": data}).to_string())
}

/// A door that opens to the word `sesame`. A path of `/fails/HOW` fails at the first step.
#[expect(clippy::result_large_err, reason = "the type of the library's callback")]
fn door(stream: TcpStream) {
    let mut path = String::new();
    let note = |request: &tungstenite::handshake::server::Request, response| {
        path = request.uri().path().to_owned();
        Ok(response)
    };
    // Whoever goes away in the middle has nothing to be told.
    let Ok(mut socket) = tungstenite::accept_hdr(stream, note) else { return };
    while let Ok(message) = socket.read() {
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(text.as_str()).expect("the client speaks JSON");
        let sent = match message["type"].as_str() {
            Some("reset") => socket.send(observation(json!({"door": "shut"}), 0.25, false)),
            Some("step") if path.starts_with("/fails/") => return fail(&path["/fails/".len()..], socket),
            Some("step") => {
                let opens = message["data"]["word"] == "sesame";
                let door = if opens { "open" } else { "shut" };
                socket.send(observation(json!({"door": door}), if opens { 0.75 } else { -0.25 }, opens))
            }
            _ => socket.close(None),
        };
        if sent.is_err() {
            return;
        }
    }
}

fn fail(how: &str, mut socket: WebSocket<TcpStream>) {
    let sent = match how {
        // Closing with unread or unsent data, without a word.
        "resets" => {
            socket.get_mut().shutdown(std::net::Shutdown::Both).ok();
            Ok(())
        }
        "hangs" => socket.read().map(drop),
        "garbage" => socket.send(Message::text("{\"type\": \"observation\", \"data\": [1e999, \"\\ud800")),
        "binary" => socket.send(Message::binary(vec![0xff; 100])),
        "huge" => socket.send(Message::text("x".repeat(200_000))),
        "closes" => socket.close(None),
        "says_nothing_of_reward" => socket.send(Message::text(r#"{"type":"observation","data":{"reward":"much"}}"#)),
        other => panic!("nobody fails by `{other}`"),
    };
    // The client may have gone already; a peer that still can goes on listening.
    if sent.is_ok() {
        while socket.read().is_ok() {}
    }
}

/// A server of `openenv` with its agent.
fn server(name: &str, port: u16, path: &str, wait_ms: u64) -> String {
    format!(
        "\
{name}:
  resources_servers:
    openenv:
      entrypoint: app.py
      domain: agent
      host: 127.0.0.1
      port: 0
      endpoint: elsewhere
      path: {path}
      gym_host: {{endpoints: {{elsewhere: \"http://127.0.0.1:{port}\"}}}}
      limits: {{network_wait_ms: {wait_ms}, network_message_bytes: 100000}}
{name}_agent:
  responses_api_agents:
    simple_agent:
      entrypoint: app.py
      host: 127.0.0.1
      port: 0
      resources_server: {{type: resources_servers, name: {name}}}
      model_server: {{type: responses_api_models, name: policy_model}}
"
    )
}

const MODEL: &str = "\
head_server: {host: 127.0.0.1, port: 0}
gateway: {host: 127.0.0.1, port: 0}
policy_model:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      host: 127.0.0.1
      port: 0
      script:
      - contains: Open it
        attempts:
        - - calls: [{name: step, arguments: {word: sesame}}]
          - text: It is open.
      - contains: Knock at it
        attempts:
        - - calls: [{name: step, arguments: {word: knock}}]
          - text: Nobody answers.
";

fn run(host: &Host, agent: &str, task: &str) -> Value {
    let row = json!({"responses_create_params": {"input": [{"role": "user", "content": task}]}});
    let reply = Client::default().post(&format!("{}/run", host.url(agent)), &row);
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

#[test]
fn openenv_pays_what_the_environment_elsewhere_pays() {
    let host = Host::serve(&format!("{MODEL}{}", server("door", listen(door), "/ws", LONG_MS)));
    let opened = run(&host, "door_agent", "Open it.");
    assert_eq!(opened["reward"], json!(1.0), "a quarter for the reset, the rest for the step: {opened}");
    assert_eq!(opened["mask_sample"], json!(false));
    let told: Value = serde_json::from_str(opened["response"]["output"][1]["output"].as_str().unwrap()).unwrap();
    assert_eq!(told, json!({"done": true, "reward": 0.75, "metadata": {}, "door": "open"}));
    let knocked = run(&host, "door_agent", "Knock at it.");
    assert_eq!(knocked["reward"], json!(0.0), "what the reset paid the step took away: {knocked}");
    assert_eq!(knocked["mask_sample"], json!(false), "and that is a reward like any other");
}

#[test]
fn openenv_makes_a_fault_of_a_peer_that_fails_and_waits_no_longer_than_its_deadline() {
    let port = listen(door);
    let servers: String = FAILURES.iter().map(|how| server(how, port, &format!("/fails/{how}"), WAIT_MS)).collect();
    // Nobody listens, nobody answers, somebody speaks another protocol.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = listen(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let foreign = listen(|mut stream| {
        if stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").ok();
        }
    });
    let unreachable = [("closed", closed), ("silent", silent), ("foreign", foreign)];
    let more: String = unreachable.iter().map(|(name, port)| server(name, *port, "/ws", WAIT_MS)).collect();
    let host = Host::serve(&format!("{MODEL}{servers}{more}"));
    for name in FAILURES.into_iter().chain(unreachable.map(|(name, _)| name)) {
        // Peers that say nothing say it for longer than the client of the test waits.
        let graded = run(&host, &format!("{name}_agent"), "Open it.");
        assert_eq!(graded["mask_sample"], json!(true), "{name}: {graded}");
        assert!(graded["failure_kind"].is_string(), "{name}: {graded}");
    }
    // The same without an agent: the call is answered with an error, and the grade of the session is a fault.
    let url = host.url("hangs");
    let mut client = Client::default();
    assert_eq!(client.post(&format!("{url}/seed_session"), &json!({})).status, 200);
    let began = Instant::now();
    let answer = client.post(&format!("{url}/step"), &json!({"word": "sesame"}));
    assert!(began.elapsed() >= Duration::from_millis(WAIT_MS), "it had its time");
    assert!((500..600).contains(&answer.status), "{answer:?}");
    let row = json!({"responses_create_params": {"input": "x"}, "response": response("It is open.")});
    let graded = client.post(&format!("{url}/verify"), &row).json();
    assert_eq!(graded["mask_sample"], json!(true), "{graded}");
}
