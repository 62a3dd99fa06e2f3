// SPDX-License-Identifier: Apache-2.0
//! Environments in Python: built, served, limited.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use gym_tests::{Answer, Client, Ended, Host, gym_host, response, root, run};
use serde_json::{Value, json};
use tungstenite::Message;

use crate::openenv::listen;

/// The guest that runs what it is told.
static PROBE: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = root().join("tests/guests/environments/python_probe");
    built(&run(gym_host(&root()).arg("build").arg(&folder)));
    folder
});

pub(crate) fn built(ended: &Ended) {
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
}

fn probe(limits: &str) -> Host {
    probe_with(limits, "")
}

fn probe_with(limits: &str, endpoints: &str) -> Host {
    let guests = PROBE.ancestors().nth(2).unwrap().display().to_string();
    let config = format!(
        "\
head_server: {{host: 127.0.0.1, port: 0}}
gateway: {{host: 127.0.0.1, port: 0}}
probe:
  resources_servers:
    python_probe:
      entrypoint: app.py
      domain: other
      host: 127.0.0.1
      port: 0
      limits: {limits}
      gym_host: {{endpoints: {{{endpoints}}}}}
"
    );
    Host::serve_with(&config, &["--search-dir", &guests])
}

pub(crate) fn tell(client: &mut Client, url: &str, code: &str) -> Answer {
    client.post(&format!("{url}/tell"), &json!({"code": code}))
}

pub(crate) fn seeded(url: &str, seed: u64) -> Client {
    let mut client = Client::default();
    let answer = client.post(&format!("{url}/seed_session"), &json!({"_ng_session_seed": seed}));
    assert_eq!(answer.status, 200, "{answer:?}");
    client
}

fn row(fields: Value) -> Value {
    let mut row = json!({"responses_create_params": {"input": "x"}, "response": response("x")});
    row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    row
}

/// The interpreter for scripts that need the standard library only.
pub(crate) fn python(script: &str) -> Command {
    let python =
        std::env::var_os("GYM_TEST_PYTHON").map_or_else(|| root().join("target/python-clients/bin/python"), Into::into);
    let mut command = Command::new(python);
    command.arg(root().join("tests/python").join(script));
    command
}

#[test]
fn a_session_has_the_same_chance_in_a_component_as_natively() {
    let codes = [
        "import random; result = [random.random(), random.sample(range(100), 5)]",
        "import random; result = [cx.random(), cx.rng().random(), random.gauss(0, 1)]",
        "import time; result = int(time.time())",
        "import time; begun = time.monotonic(); time.sleep(3600); result = int(time.monotonic() - begun)",
        "import json, statistics; result = json.dumps({'é': statistics.median([1, 2, 9])})",
    ];
    let native = run(python("native_probe.py").arg("42").args(codes));
    assert!(native.status.success(), "{}", native.stderr);
    let host = probe("{}");
    let url = host.url("probe");
    let component = |seed: u64| -> String {
        let mut client = seeded(&url, seed);
        codes.map(|code| tell(&mut client, &url, code).text + "\n").concat()
    };
    assert_eq!(component(42), native.stdout);
    assert_ne!(component(43), native.stdout);
    // What the interpreter asks of the system is the session's own as well.
    let system = "import os, uuid, secrets, datetime; result = [str(uuid.uuid4()), secrets.token_hex(), \
                  str(datetime.datetime.now()), list({'a', 'b', 'c', 'd', 'e'}), hash('x')]";
    let told = |seed: u64| tell(&mut seeded(&url, seed), &url, system).json();
    let (first, again, other) = (told(42), told(42), told(43));
    assert_eq!(first, again);
    assert_eq!((&first[3], &first[4]), (&other[3], &other[4]));
    assert!((0..3).all(|index| first[index] != other[index]), "{first} {other}");
}

/// One session over HTTP: the bytes of every reply.
fn played(url: &str, seed: u64, asked: &Value) -> Vec<String> {
    let mut client = Client::default();
    let mut row = asked["row"].clone();
    row["_ng_session_seed"] = json!(seed);
    let mut replies = vec![client.post(&format!("{url}/seed_session"), &row).text];
    for call in asked["calls"].as_array().unwrap() {
        replies.push(client.post(&format!("{url}/{}", call[0].as_str().unwrap()), &call[1]).text);
    }
    replies.push(client.post(&format!("{url}/verify"), &asked["verify"]).text);
    replies
}

#[test]
fn the_same_source_gives_the_same_replies_natively_and_as_a_component_and_the_same_bytes_for_a_seed() {
    let folder = root().join("environments/example_python_wordcount");
    built(&run(gym_host(&root()).arg("build").arg(&folder)));
    let tested = run(gym_host(&root()).args(["test", "example_python_wordcount"]));
    assert!(tested.status.success(), "{}{}", tested.stdout, tested.stderr);
    let config = "\
head_server: {host: 127.0.0.1, port: 0}
gateway: {host: 127.0.0.1, port: 0}
words:
  resources_servers:
    example_python_wordcount: {entrypoint: app.py, domain: other, host: 127.0.0.1, port: 0}
";
    let (one, other) = (Host::serve(config), Host::serve(config));
    let rows = fs::read_to_string(folder.join("data/example.jsonl")).unwrap();
    let mut drawn = BTreeSet::new();
    let scratch = tempfile::tempdir().unwrap();
    for (seed, line) in rows.lines().step_by(4).enumerate() {
        let row: Value = serde_json::from_str(line).unwrap();
        let any_line = json!(["read_line", {"number": null}]);
        let calls = json!([
            any_line, ["count_words", {}], any_line, ["word_lengths", {}], any_line,
            ["find_word", {"word": "THE", "first": null}], ["find_word", {"word": "a b", "first": 2}],
            ["find_word", {"word": "the", "first": 99}], any_line
        ]);
        let mut graded = row.clone();
        graded["response"] = response(&format!("It is \\boxed{{{}}}.", row["expected_answer"].as_str().unwrap()));
        let asked = json!({"row": row, "calls": calls, "verify": graded});
        let seed = seed as u64;
        let replies = played(&one.url("words"), seed, &asked);
        assert_eq!(replies, played(&one.url("words"), seed, &asked), "again");
        assert_eq!(replies, played(&other.url("words"), seed, &asked), "in another process");
        drawn.insert([&replies[1..2], &replies[3..4], &replies[5..6], &replies[9..10]].concat());

        let input = scratch.path().join("asked.json");
        fs::write(&input, asked.to_string()).unwrap();
        let mut command = python("native_session.py");
        command.arg(&folder).args(["WordCount", &seed.to_string()]).stdin(fs::File::open(&input).unwrap());
        let native = run(&mut command);
        assert!(native.status.success(), "{}", native.stderr);
        let lines: Vec<&str> = native.stdout.lines().collect();
        let (verdict, calls) = lines.split_last().unwrap();
        assert_eq!(calls, &replies[..replies.len() - 1], "seed {seed}");
        let (verdict, reply): (Value, Value) =
            (serde_json::from_str(verdict).unwrap(), serde_json::from_str(replies.last().unwrap()).unwrap());
        for (name, value) in verdict.as_object().unwrap() {
            assert_eq!(&reply[name], value, "`{name}` with seed {seed}");
        }
        assert_eq!(reply["reward"], json!(1.0));
    }
    assert!(drawn.len() > 1, "other seeds draw other lines");
}

#[test]
fn the_standard_library_is_there_at_any_time() {
    let modules = "argparse ast asyncio base64 calendar cmath collections.abc configparser contextlib contextvars csv \
        dataclasses datetime decimal difflib dis doctest email.mime.text encodings.utf_16 enum fractions functools glob \
        graphlib gzip hashlib heapq hmac html.parser http.client importlib.metadata importlib.resources inspect ipaddress \
        itertools json linecache logging.handlers mailbox mimetypes multiprocessing numbers operator pathlib pickle \
        pkgutil platform plistlib pprint pydoc queue random re runpy sched secrets selectors shelve shlex shutil signal \
        socket sqlite3 statistics string.templatelib struct subprocess symtable tarfile tempfile textwrap threading \
        timeit tokenize tomllib traceback tracemalloc types typing unicodedata unittest.mock urllib.request uuid warnings \
        wave weakref xml.dom.minidom xml.etree.ElementTree xmlrpc.client zipfile zoneinfo";
    let host = probe("{}");
    let url = host.url("probe");
    let mut client = seeded(&url, 1);
    let import = format!(
        "import importlib\nresult = []\nfor name in {modules:?}.split():\n  try: importlib.import_module(name)\n  except \
         BaseException as error: result.append(f'{{name}}: {{error}}')"
    );
    assert_eq!(tell(&mut client, &url, &import).json(), json!([]));
    let uses = [
        ("import importlib.metadata as m; result = m.version('python-probe')", json!("1.2.3")),
        (
            "import inspect, app; result = inspect.getsource(app.run).splitlines()[0]",
            json!("def run(code: str, cx: Context) -> Any:"),
        ),
        ("import os; result = sorted(os.listdir('/0'))[1]", json!("app.py")),
        ("from pathlib import Path; result = Path('/0/app.py').read_text().count('SPDX')", json!(1)),
        ("import sqlite3; d = sqlite3.connect(':memory:'); result = d.execute('select 1 + 1').fetchone()", json!([2])),
        ("import asyncio\nasync def f():\n  await asyncio.sleep(100)\n  return 5\nresult = asyncio.run(f())", json!(5)),
        ("import decimal; result = str(decimal.Decimal(1) / 7)[:8]", json!("0.142857")),
        ("import signal; result = signal.alarm(1)", json!(0)),
        ("import ctypes; result = ctypes.sizeof(ctypes.c_longlong)", json!(8)),
    ];
    for (code, expected) in uses {
        let answer = tell(&mut client, &url, code);
        assert_eq!(answer.status, 200, "{code}: {answer:?}");
        assert_eq!(answer.json(), expected, "{code}");
    }
    for code in
        ["open('/etc/passwd')", "open('/0/app.py', 'w')", "import socket; socket.create_connection(('127.0.0.1', 1))"]
    {
        let answer = tell(&mut client, &url, &format!("try:\n  {code}\nexcept OSError: result = 'no'"));
        assert_eq!(answer.json(), json!("no"), "{code}");
    }
}

#[test]
fn programs_run_apart_and_their_functions_are_called_one_by_one() {
    let host = probe("{}");
    let url = host.url("probe");
    let mut client = seeded(&url, 1);
    let mut told = |code: &str| tell(&mut client, &url, &format!("from gym_host_sdk import *\n{code}")).json();
    let run = r#"
run = cx.run_code(Program('import sys\nprint(input(), sys.argv[1], open("f").read())', 'a', ['b'], {'f': b'c'}))
result = [run.ending.name, run.status, run.stdout, run.stderr]"#;
    assert_eq!(told(run), json!(["EXITED", 0, "a b c\n", ""]));
    let late = r"
run = cx.run_code(Program('print(1, flush=True)\nwhile True: pass', cpu_ms=200))
result = [run.ending.name, run.status, run.stdout, run.cpu_seconds < 2]";
    assert_eq!(told(late), json!(["OUT_OF_TIME", null, "1\n", true]));
    let called = "result = cx.run_code(Program('def f(a, b): return {a: b}', call=('f', ['x', [1]]))).result()";
    assert_eq!(told(called), json!({"x": [1]}));
    let process = r"
process, run = cx.start_code('seen = []\ndef see(x):\n    seen.append(x)\n    print(x)\n    return seen\ndef end(): raise SystemExit(2)')
with process:
    result = [run.status, process.call('see', 1).result(), process.call('see', 2).stdout]
    result += [process.call('end').status, process.call('see', 3).result()]
try:
    process.call('see', 4)
except RunFailure as failure:
    result.append(failure.kind)";
    assert_eq!(told(process), json!([0, [1], "2\n", 2, [1, 2, 3], "unavailable"]));
    let unknown = "
try:
    cx.run_code('1', runner='ruby')
except RunFailure as failure:
    result = failure.kind";
    assert_eq!(told(unknown), json!("unknown-runner"));
    // Event loops and threads, in a component that has neither sockets nor a second thread.
    let loops = r#"
run = cx.run_code("""
import asyncio, threading, concurrent.futures
async def late(n):
    await asyncio.sleep(n)
    return n
async def main():
    print(await asyncio.gather(late(20), late(10)), await asyncio.to_thread(len, 'abc'))
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 5)
    except TimeoutError:
        print('late')
asyncio.run(main())
thread = threading.Thread(target=print, args=['thread'])
thread.start(); thread.join()
with concurrent.futures.ThreadPoolExecutor() as pool:
    print(list(pool.map(abs, [-1, 2])), thread.is_alive())
""")
result = [run.stdout, run.stderr]"#;
    assert_eq!(told(loops), json!(["[20, 10] 3\nlate\nthread\n[1, 2] False\n", ""]));
}

/// A peer that says what it was asked over HTTP, and the same in capitals over a WebSocket.
fn peer(mut stream: TcpStream) {
    let mut first = [0; 7];
    while stream.peek(&mut first).is_ok_and(|read| 0 < read && read < first.len()) {}
    if first == *b"GET /ws" {
        let Ok(mut socket) = tungstenite::accept(stream) else { return };
        while let Ok(Message::Text(text)) = socket.read() {
            let sent = match text.as_str() {
                "bye" => socket.close(None),
                "much" => socket.send(Message::text("x".repeat(200_000))),
                other => socket.send(Message::text(other.to_uppercase())),
            };
            if sent.is_err() {
                return;
            }
        }
        return;
    }
    let mut asked = Vec::new();
    let ends = |asked: &[u8]| asked.ends_with(b"\r\n\r\n") || asked.ends_with(b"}");
    while !ends(&asked) {
        let mut more = [0; 1024];
        match stream.read(&mut more) {
            Ok(read) if read > 0 => asked.extend_from_slice(&more[..read]),
            _ => return,
        }
    }
    let asked = String::from_utf8_lossy(&asked);
    let (head, body) = asked.split_once("\r\n\r\n").expect("the head has an end");
    let told = json!({"asked": head.lines().next(), "body": body}).to_string();
    let reply =
        format!("HTTP/1.1 418 Teapot\r\nx-kind: a\r\nx-kind: b\r\ncontent-length: {}\r\n\r\n{told}", told.len());
    stream.write_all(reply.as_bytes()).ok();
}

#[test]
fn endpoints_that_the_configuration_grants_are_reached_and_no_others() {
    let endpoint = format!("peer: \"http://127.0.0.1:{}/base\"", listen(peer));
    let root = format!("root: \"http://127.0.0.1:{}\"", listen(peer));
    let host = probe_with("{network_message_bytes: 100000, network_channels: 2}", &format!("{endpoint}, {root}"));
    let url = host.url("probe");
    let mut client = seeded(&url, 1);
    let mut told = |code: &str| tell(&mut client, &url, &format!("from gym_host_sdk import *\n{code}"));
    let posted = r#"
reply = cx.exchange("peer", HttpRequest.post_json("/step?a=1", {"word": "é"}))
result = [reply.status, reply.json(), reply.header("X-Kind"), len([1 for name, _ in reply.headers if name == "x-kind"])]"#;
    let expected = json!([418, {"asked": "POST /base/step?a=1 HTTP/1.1", "body": "{\"word\":\"é\"}"}, "a", 2]);
    assert_eq!(told(posted).json(), expected);
    let got = "result = cx.exchange('root', HttpRequest.get('/x')).json()['asked']";
    assert_eq!(told(got).json(), json!("GET /x HTTP/1.1"));
    let talked = r#"
with cx.channel("root", "/ws") as channel:
    channel.send("a")
    first = channel.receive()
    channel.send_json({"b": "\ud800"})
    channel.send("bye")
    result = [first, *channel, channel.receive()]"#;
    assert_eq!(told(talked).json(), json!(["A", "{\"B\":\"\u{fffd}\"}", null]));
    let failures = r#"
def kind(use):
    try:
        use()
    except NetworkFailure as failure:
        return failure.kind
def much():
    with cx.channel("root", "/ws") as channel:
        channel.send("much")
        channel.receive()
def many():
    kept = [cx.channel("root", "/ws") for _ in range(3)]
def closed():
    channel = cx.channel("root", "/ws")
    channel.close()
    channel.send("x")
get = HttpRequest.get("/")
result = [kind(lambda: cx.exchange("nobody", get)), kind(lambda: cx.channel("nobody")), kind(much), kind(many), kind(closed),
    kind(lambda: cx.exchange("root", HttpRequest("POST", "/", [], b"x" * 200000)))]"#;
    let kinds = json!(["unknown-endpoint", "unknown-endpoint", "too-large", "used-up", "unavailable", "too-large"]);
    assert_eq!(told(failures).json(), kinds);
    assert_eq!(told("cx.exchange('nobody', HttpRequest.get('/'))").status, 500);
}

#[test]
fn several_things_are_asked_at_once_and_each_has_its_outcome() {
    let guests = PROBE.ancestors().nth(2).unwrap().display().to_string();
    let config = "\
head_server: {host: 127.0.0.1, port: 0}
gateway: {host: 127.0.0.1, port: 0}
probe:
  resources_servers:
    python_probe:
      entrypoint: app.py
      domain: other
      host: 127.0.0.1
      port: 0
      judge: {type: responses_api_models, name: judge}
judge:
  responses_api_models:
    scripted_model:
      entrypoint: app.py
      host: 127.0.0.1
      port: 0
      script:
      - {contains: one, attempts: [[{text: first}]]}
      - {contains: two, attempts: [[{status: 400, body: {detail: no}}]]}
";
    let host = Host::serve_with(config, &["--search-dir", &guests]);
    let url = host.url("probe");
    let mut client = seeded(&url, 1);
    let asked = r#"
from gym_host_sdk import Response
replies = cx.respond_all("judge", [{"input": "one"}, {"input": "two"}, {"input": "one"}], pause=0.01)
result = [reply.output_text() if isinstance(reply, Response) else [reply.kind, reply.status] for reply in replies]"#;
    assert_eq!(tell(&mut client, &url, asked).json(), json!(["first", ["status", 400], "first"]));
    let unknown = "result = [reply.kind for reply in cx.respond_all('other', [{'input': 'x'}])]";
    assert_eq!(tell(&mut client, &url, unknown).json(), json!(["unknown-server"]));
}

#[test]
fn what_python_does_without_end_costs_its_own_session_only() {
    // Enough for what ends at its memory to get there.
    let host = probe("{cpu_ms: 2000}");
    let url = host.url("probe");
    let mut neighbour = seeded(&url, 1);
    tell(&mut neighbour, &url, "kept.append('mine')");
    for (code, status, said) in [
        ("while True: pass", 504, "CPU time"),
        ("9 ** 9 ** 9", 504, "CPU time"),
        ("import re; re.match(r'(a+)+$', 'a' * 60 + 'b')", 504, "CPU time"),
        ("x = 'a'\nwhile True: x += x", 500, "memory"),
        ("x = []\nwhile True: x.append(bytearray(1000000))", 500, "memory"),
        ("import os; os._exit(3)", 500, "exited"),
    ] {
        let mut client = seeded(&url, 2);
        let answer = tell(&mut client, &url, code);
        assert_eq!(answer.status, status, "{code}: {answer:?}");
        assert!(answer.text.contains(said), "{code}: {answer:?}");
    }
    assert_eq!(tell(&mut neighbour, &url, "result = kept").json(), json!(["mine"]));
}

#[test]
fn too_much_recursion_is_an_exception() {
    let host = probe("{}");
    let url = host.url("probe");
    let mut client = seeded(&url, 1);
    tell(&mut client, &url, "kept.append('mine')");
    for code in [
        "def f(): f()\nf()",
        "x = []\nfor _ in range(100000): x = [x]\nrepr(x)",
        "import json; json.loads('[' * 100000)",
        "x = []\nfor _ in range(100000): x = [x]\nimport json; json.dumps(x)",
        "x = []\nfor _ in range(100000): x = [x]\nimport copy; copy.deepcopy(x)",
        "eval('(' * 100000)",
        "import sys; sys.exit(3)",
    ] {
        let answer = tell(&mut client, &url, code);
        assert_eq!(answer.status, 500, "{code}: {answer:?}");
    }
    assert_eq!(tell(&mut client, &url, "result = kept").json(), json!(["mine"]));
}

#[test]
fn a_request_that_is_nested_deeply_does_no_harm() {
    let host = probe("{}");
    let url = host.url("probe");
    let deep = format!("{}{}", "[".repeat(300_000), "]".repeat(300_000));
    let body = row(json!({"code": "result = 3"})).to_string().replacen('{', &format!("{{\"deep\":{deep},"), 1);
    let answer = Client::default().post_text(&format!("{url}/verify"), &body);
    assert_eq!(answer.status, 200, "{}", &answer.text[..200.min(answer.text.len())]);
    assert!(answer.text.contains("\"result\":3"), "{}", &answer.text[answer.text.len() - 400..]);
}

#[test]
fn pooled_instances_are_replaced_by_calls_by_growth_and_after_faults() {
    let host = probe("{recycle_after_calls: 3, recycle_growth_mib: 8, pool_size: 1, prewarm: 0}");
    let url = host.url("probe");
    let grade = |code: &str| Client::default().post(&format!("{url}/verify"), &row(json!({"code": code}))).json();
    let calls = |code: &str| grade(code)["calls"].as_u64().unwrap();
    assert_eq!([1, 2, 3, 1, 2].map(|_| calls("")), [1, 2, 3, 1, 2]);
    assert_eq!(calls(""), 3);
    // What has grown is replaced, whether it still needs the memory or not.
    assert_eq!(calls("x = bytearray(64 << 20)"), 1);
    assert_eq!(calls(""), 1);
    assert_eq!(grade("raise ValueError('x')")["mask_sample"], true);
    assert_eq!(calls(""), 1);
    assert_eq!(grade("import os; os._exit(1)")["mask_sample"], true);
    assert_eq!(calls(""), 1);
    // Whatever served before, chance is that of a first call.
    let draw = || grade("import random; result = random.random()")["result"].as_f64().unwrap().to_bits();
    assert_eq!(draw(), draw());
}

/// A folder with an environment that requires a package, and the wheels that the tests make.
fn pinned(parent: &Path, name: &str, requirement: &str) {
    let folder = parent.join("environments").join(name);
    fs::create_dir_all(&folder).unwrap();
    let settings = format!(
        "[project]\nname = \"{name}\"\nversion = \"0.1.0\"\ndependencies = [\"{requirement}\"]\n\n[tool.gym-host]\n\
         find-links = [\"../../wheels\"]\n"
    );
    fs::write(folder.join("pyproject.toml"), settings).unwrap();
    let source = "from gym_host_sdk import Attempt, Verdict, resources_server, verify\nimport gym_test_answers\n\n\n\
        @resources_server(reusable=True)\nclass Pinned:\n    @verify\n    def verify(self, attempt: Attempt) -> Verdict:\n        \
        from importlib.metadata import version\n        return Verdict(1.0, answer=gym_test_answers.answer(), \
        version=version('gym-test-answers'))\n";
    fs::write(folder.join("app.py"), source).unwrap();
}

pub(crate) fn build(folder: &Path, names: &[&str]) -> Ended {
    run(gym_host(folder).arg("build").args(names).env("PIP_NO_INDEX", "1"))
}

#[test]
fn two_versions_of_a_package_serve_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    built(&run(python("make_wheels.py").arg(folder.path().join("wheels"))));
    pinned(folder.path(), "pinned_one", "gym-test-answers==1.0");
    pinned(folder.path(), "pinned_two", "gym-test-answers>=1");
    let ended = build(folder.path(), &["pinned_one", "pinned_two"]);
    built(&ended);
    let lock = fs::read_to_string(folder.path().join("environments/pinned_two/requirements.lock")).unwrap();
    let packages: Vec<&str> =
        lock.lines().filter_map(|line| line.split_once(" --hash=sha256:")).map(|(p, _)| p).collect();
    assert_eq!(packages, ["gym-test-answers==2.0", "gym-test-words==1.5"]);
    // What the lock names is taken even when there is something newer, and nothing is made twice.
    let again = build(folder.path(), &["pinned_one", "pinned_two"]);
    assert_eq!(again.stderr.matches("unchanged").count(), 2, "{}", again.stderr);

    let server = |name: &str| {
        format!(
            "{name}:\n  resources_servers:\n    {name}: {{entrypoint: app.py, domain: other, host: 127.0.0.1, port: 0}}\n"
        )
    };
    let config = format!(
        "head_server: {{host: 127.0.0.1, port: 0}}\ngateway: {{host: 127.0.0.1, port: 0}}\n{}{}",
        server("pinned_one"),
        server("pinned_two")
    );
    let host = Host::serve_with(&config, &["--search-dir", &folder.path().display().to_string()]);
    for (name, version, answer) in [("pinned_one", "1.0", "ONE"), ("pinned_two", "2.0", "TWO")] {
        let reply = Client::default().post(&format!("{}/verify", host.url(name)), &row(json!({}))).json();
        assert_eq!((&reply["version"], &reply["answer"]), (&json!(version), &json!(answer)), "{reply}");
    }
}

#[test]
fn native_code_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    built(&run(python("make_wheels.py").arg(folder.path().join("wheels"))));
    pinned(folder.path(), "needs_native", "gym-test-needy");
    let ended = build(folder.path(), &["needs_native"]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for part in [
        "`gym-test-native==1.0`",
        "needed by `gym-test-needy` 1.0",
        "no pure-Python wheel",
        "without = [\"gym-test-native\"]",
    ] {
        assert!(ended.stderr.contains(part), "`{part}` in {}", ended.stderr);
    }
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("python_probe");
    fs::create_dir(&copy).unwrap();
    for file in ["app.py", "pyproject.toml"] {
        fs::copy(PROBE.join(file), copy.join(file)).unwrap();
    }
    // Everything is made anew: nothing comes from the cache of the first.
    let tools = root().join("target/python-tools");
    let ended = run(gym_host(folder.path())
        .args(["build", "python_probe"])
        .env("GYM_HOST_CACHE", folder.path().join("cache"))
        .env("TMPDIR", folder.path()));
    assert!(tools.is_dir(), "`cargo xtask setup` makes the tools");
    built(&ended);
    let (first, second) = (PROBE.join("python_probe.wasm"), copy.join("python_probe.wasm"));
    assert!(fs::read(first).unwrap() == fs::read(second).unwrap(), "the components differ");
}

#[test]
fn a_scaffolded_python_environment_builds_and_passes_its_tests_at_once() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["init", "--python", "my_python"].as_slice(), &["build", "my_python"]] {
        built(&run(gym_host(folder.path()).args(arguments)));
    }
    let tested = run(gym_host(folder.path()).args(["test", "my_python"]));
    assert!(tested.status.success(), "{}{}", tested.stdout, tested.stderr);
    assert!(tested.stdout.lines().last().unwrap_or_default().ends_with(" 0 failed"), "{}", tested.stdout);
    // Its rows are found where they were made.
    let prepare = ["data", "prepare", "--environment", "my_python", "--mode", "example_validation", "-o", "prepared"];
    built(&run(gym_host(folder.path()).args(prepare)));
}

#[test]
fn an_environment_that_fails_while_it_is_imported_shows_why() {
    let folder = tempfile::tempdir().unwrap();
    let environment = folder.path().join("broken");
    fs::create_dir(&environment).unwrap();
    fs::write(environment.join("requirements.txt"), "").unwrap();
    fs::write(environment.join("app.py"), "import gym_host_sdk\n\nraise ValueError('no ' + 'luck')\n").unwrap();
    let ended = run(gym_host(folder.path()).args(["build", "broken"]));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("ValueError: no luck") && ended.stderr.contains("/0/app.py"), "{}", ended.stderr);
}
