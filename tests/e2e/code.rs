// SPDX-License-Identifier: Apache-2.0
//! Solutions that nobody trusts, many at once.

use std::{fs, time::Instant};

use gym_tests::{Client, Host, response, root};
use serde_json::{Value, json};

const SERVER: &str = "\
head_server: {host: 127.0.0.1, port: 0}
gateway: {host: 127.0.0.1, port: 0}
code_gen:
  resources_servers:
    code_gen:
      entrypoint: app.py
      domain: coding
      host: 127.0.0.1
      port: 0
      num_processes: 8
      unit_test_timeout_secs: 1
      sandbox_slowdown: 1
      debug: false
";

fn lines(path: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join("environments/code_gen").join(path)).expect("the file is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// The request of `/verify` for an answer to an example.
fn request(rows: &[Value], task: usize, text: &str) -> Value {
    let mut request = rows[task].clone();
    request["response"] = response(text);
    request
}

/// Sends all at once, and gives the replies in their order.
fn verify_all(url: &str, requests: &[Value]) -> Vec<Value> {
    std::thread::scope(|scope| {
        let send = |request| {
            move || {
                let answer = Client::default().post(&format!("{url}/verify"), request);
                assert_eq!(answer.status, 200, "{answer:?}");
                answer.json()
            }
        };
        let sent: Vec<_> = requests.iter().map(|request| scope.spawn(send(request))).collect();
        sent.into_iter().map(|reply| reply.join().expect("a client does not fail")).collect()
    })
}

#[test]
fn among_64_attempts_at_once_hanging_ones_cost_the_others_nothing() {
    let host = Host::serve(SERVER);
    let url = host.url("code_gen");
    let (rows, cases) = (lines("data/example.jsonl"), lines("tests/cases.jsonl"));
    let attempts: Vec<&Value> = cases.iter().filter(|case| case["task"].is_u64()).collect();
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    for case in attempts.iter().take(56) {
        let task = case["task"].as_u64().expect("a number") as usize;
        let text = case["turns"][0]["text"].as_str().expect("a text");
        requests.push(request(&rows, task, text));
        expected.push((case["reward"].clone(), case["expect"]["result"].clone()));
    }
    // Every eighth one never ends, or takes all it can get.
    for (at, code) in [
        "while True: pass",
        "x = []\nwhile True: x.append('x' * 1000000)",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "while True: print('x' * 1000000)",
        "import os\nos._exit(0)",
        "def f(): f()\nwhile True:\n    try: f()\n    except RecursionError: pass",
        "x = 'x'\nwhile True: x += x",
        "import time\nwhile True: time.sleep(1000)",
    ]
    .into_iter()
    .enumerate()
    {
        requests.insert(at * 8, request(&rows, 0, &format!("```python\n{code}\n```")));
        expected.insert(at * 8, (json!(0.0), Value::Null));
    }
    verify_all(&url, &requests[1..3]);
    let began = Instant::now();
    let replies = verify_all(&url, &requests);
    let rate = requests.len() as f64 / began.elapsed().as_secs_f64();
    for ((reply, (reward, result)), request) in replies.iter().zip(&expected).zip(&requests) {
        assert_eq!(reply["reward"], *reward, "{} {reply}", request["response"]);
        assert!(reply["failure_kind"].is_null(), "{reply}");
        if result.is_null() {
            let code = reply["result"][0].as_i64();
            assert!(matches!(code, Some(-1 | -3 | -4)), "{reply}");
        } else {
            assert_eq!(reply["result"], *result, "{reply}");
        }
    }
    let good: Vec<Value> = requests
        .iter()
        .zip(&expected)
        .filter(|(_, (_, result))| !result.is_null())
        .map(|(request, _)| request.clone())
        .collect();
    let began = Instant::now();
    verify_all(&url, &good);
    let alone = good.len() as f64 / began.elapsed().as_secs_f64();
    eprintln!("{rate:.1} verifies/s with hanging ones, {alone:.1} without");
}

#[test]
fn a_limit_that_is_too_small_for_the_tests_is_a_fault_and_no_wrong_answer() {
    let small = format!("{SERVER}      run_code: {{python: {{cpu_ms: 300}}}}\n");
    let host = Host::serve(&small);
    let rows = lines("data/example.jsonl");
    let request = request(&rows, 0, "```python\nwhile True: pass\n```");
    let reply = Client::default().post(&format!("{}/verify", host.url("code_gen")), &request).json();
    assert_eq!(reply["failure_kind"], "verifier_error", "{reply}");
    let reason = reply["failure_reason"].as_str().expect("a reason");
    assert!(reason.contains("run_code.python.cpu_ms"), "{reason}");
}

const PYTHON: &str = "\
head_server: {host: 127.0.0.1, port: 0}
gateway: {host: 127.0.0.1, port: 0}
python_exec:
  resources_servers:
    python_exec: {entrypoint: app.py, domain: coding, host: 127.0.0.1, port: 0, program_cpu_ms: 3000}
";

#[test]
fn a_program_finds_nothing_of_the_machine_and_reaches_nobody() {
    let host = Host::serve(PYTHON);
    let url = format!("{}/run_python", host.url("python_exec"));
    let mut client = Client::default();
    let mut told = |code: &str| client.post(&url, &json!({"code": code, "stdin": null})).json();
    for (code, stdout) in [
        (
            r#"import os
print(os.listdir('/'), dict(os.environ), os.getcwd())"#,
            "[] {} /\n",
        ),
        (
            r#"try:
    open('/proc/self/environ')
except Exception as error:
    print(type(error).__name__)"#,
            "FileNotFoundError\n",
        ),
        (
            r#"try:
    import socket
    socket.create_connection(('127.0.0.1', 80))
except Exception as error:
    print(type(error).__name__)"#,
            "gaierror\n",
        ),
        (
            r#"try:
    import ctypes
    ctypes.string_at(0)
except Exception as error:
    print(type(error).__name__)"#,
            "ModuleNotFoundError\n",
        ),
        (
            r#"try:
    import os
    while True: os.fork()
except Exception as error:
    print(type(error).__name__)"#,
            "AttributeError\n",
        ),
        (
            r#"try:
    import subprocess
    subprocess.run(['id'])
except Exception as error:
    print(type(error).__name__)"#,
            "OSError\n",
        ),
        (
            r#"try:
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
except Exception as error:
    print(type(error).__name__)"#,
            "AttributeError\n",
        ),
        (
            r#"import threading
thread = threading.Thread(target=print, args=['first'])
thread.start()
print('second')
thread.join()"#,
            "first\nsecond\n",
        ),
        (
            r#"import time
began = time.time()
time.sleep(100000)
print(round(time.time() - began))"#,
            "100000\n",
        ),
    ] {
        assert_eq!(told(code), json!({"stdout": stdout, "stderr": "", "exit_status": 0}), "{code}");
    }
    // What ends the interpreter, or breaks it, ends that program only.
    let broken = "f = lambda: 0\nf.__code__ = f.__code__.replace(co_code=b'\\xff' * 20)\nf()";
    assert_eq!(told(broken)["exit_status"], Value::Null);
    for code in [
        "while True: print('x' * 1000000)",
        "import threading\nwhile True: threading.Thread(target=len, args=['']).start()",
    ] {
        assert_eq!(told(code)["ended"], json!("out of time"), "{code}");
    }
    assert_eq!(told("print(1)")["stdout"], json!("1\n"));
}
