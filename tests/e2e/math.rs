// SPDX-License-Identifier: Apache-2.0
//! A verifier in Python whose library does not always come to an end.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
};

use gym_tests::{Client, Host, eventually, get, response, root};
use serde_json::{Value, json};

/// CPU time of one verify in milliseconds. No pair of the corpus needs a tenth of it.
const CPU_MS: u64 = 1000;
/// Memory that an instance may have.
const MEMORY_MIB: u64 = 256;
/// Memory that an instance may have gained when it is kept for the next call.
const GROWTH_MIB: u64 = 16;

fn serve() -> Host {
    Host::serve(&format!(
        "\
head_server: {{host: 127.0.0.1, port: 0}}
gateway: {{host: 127.0.0.1, port: 0}}
math_with_judge:
  resources_servers:
    math_with_judge:
      entrypoint: app.py
      domain: math
      host: 127.0.0.1
      port: 0
      judge_model_server: {{type: responses_api_models, name: math_judge_model}}
      judge_responses_create_params: {{input: []}}
      should_use_judge: false
      limits: {{cpu_ms: {CPU_MS}, memory_mib: {MEMORY_MIB}, recycle_growth_mib: {GROWTH_MIB}, pool_size: 1}}
math_judge_model:
  responses_api_models:
    scripted_model: {{entrypoint: app.py, host: 127.0.0.1, port: 0, script: environments/math_with_judge/tests/judge.jsonl}}
"
    ))
}

/// A comparison, and whether the two are equal. None: it never ends.
type Pair = (String, String, Option<bool>);

/// The pairs of the environment's corpus, with the verdicts that it states.
fn corpus() -> Vec<Pair> {
    let text = fs::read_to_string(root().join("environments/math_with_judge/src/corpus.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let pair = |line: &str| {
        let [verdict, expected, given] = line.split(" ;; ").collect::<Vec<_>>()[..] else { panic!("{line}") };
        let said =
            if given.contains("\\boxed") { given.to_owned() } else { format!("The answer is $\\boxed{{{given}}}$.") };
        (expected.to_owned(), said, Some(verdict.starts_with('=')))
    };
    lines.map(pair).collect()
}

fn matrix(size: usize, cell: impl Fn(usize, usize) -> String) -> String {
    let row = |i| (1..=size).map(|j| cell(i, j)).collect::<Vec<_>>().join("&");
    let rows: Vec<String> = (1..=size).map(row).collect();
    format!("\\begin{{pmatrix}}{}\\end{{pmatrix}}", rows.join("\\\\"))
}

/// Comparisons that the library would go on with for hours.
fn endless() -> Vec<Pair> {
    let symbols = |name: &str| matrix(7, |i, j| format!("{name}_{{{i}{j}}}"));
    let powers = |y: usize| matrix(6, |i, j| format!("x+{i}y^{{{}}}", j + y));
    let radicals = |last: u32| format!("\\left(\\sqrt{{2}}+\\sqrt[3]{{3}}+\\sqrt[5]{{5}}+\\sqrt[7]{{{last}}}\\right)");
    let fraction = |last: &str| (1..=14).rev().fold(last.to_owned(), |s, i| format!("\\frac{{1}}{{x_{{{i}}}+{s}}}"));
    let pairs = [
        ("9^{9^{9^{9}}}".to_owned(), "9^{9^{9^{9}}}+1".to_owned()),
        ("2^{3^{4^{5^{6}}}}".to_owned(), "2^{3^{4^{5^{7}}}}".to_owned()),
        ("(10^{10^{10}})!".to_owned(), "7".to_owned()),
        (symbols("x") + "^{-1}", symbols("y") + "^{-1}"),
        (powers(0) + "^{50}", powers(1) + "^{50}"),
        (format!("{}^{{30}}", radicals(7)), format!("{}^{{15}}{}^{{15}}", radicals(7), radicals(8))),
        (fraction("x"), fraction("y")),
    ];
    pairs.map(|(expected, given)| (expected, format!("So $\\boxed{{{given}}}$."), None)).into()
}

/// Grades a pair, and says what is wrong with the reply.
fn problem(url: &str, (expected, said, equal): &Pair) -> Option<String> {
    let row = json!({
        "responses_create_params": {"input": "x"}, "question": "Q", "expected_answer": expected,
        "response": response(said)
    });
    let answer = Client::default().post(&format!("{url}/verify"), &row);
    let reply = answer.json();
    let right = match equal {
        // A fault, which says that there is no reward.
        None => reply["mask_sample"] == json!(true) && reply["failure_kind"] == json!("verifier_error"),
        Some(equal) => reply["failure_kind"].is_null() && reply["reward"] == json!(f64::from(u8::from(*equal))),
    };
    (answer.status != 200 || !right).then(|| format!("{expected} and {said} should be {equal:?}: {reply}"))
}

/// Grades all pairs, so many at a time, and checks all verdicts.
fn grade(url: &str, pairs: &[Pair], clients: usize) {
    let next = AtomicUsize::new(0);
    let client = || {
        let mut problems = Vec::new();
        while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
            problems.extend(problem(url, pair));
        }
        problems
    };
    let problems: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), pairs.len(), problems.join("\n"));
}

/// What the host says of its environments.
fn account(host: &Host) -> Value {
    get(&format!("{}/gym-host/status", host.url("head"))).json()["runtime"]["environments"].clone()
}

/// What it says of this one.
fn status(host: &Host) -> Value {
    account(host)["servers"][0].clone()
}

/// Waits until no call runs and nothing is left of the instances but an idle one: it is charged 8 MiB for being there
/// and what it has gained, and takes two places.
fn only_the_pool_is_left(host: &Host) {
    let number = |value: &Value| value.as_u64().unwrap();
    eventually("one idle instance is left", || {
        let account = account(host);
        let server = &account["servers"][0];
        let idle = number(&server["pool_idle"]);
        number(&server["running_calls"]) == 0
            && idle <= 1
            && number(&account["live_calls"]) == 2 * idle
            && number(&account["memory_used_bytes"]) <= (idle * (8 + GROWTH_MIB)) << 20
    });
}

/// The host counts CPU time when its clock ticks. How late a tick comes is the machine's business; the call does not get
/// twice its time.
fn ended_in_time(server: &Value) {
    let longest = server["longest_cpu_ms"].as_u64().unwrap();
    assert!((CPU_MS..2 * CPU_MS).contains(&longest), "{longest} ms of CPU time");
}

#[test]
fn what_never_ends_ends_at_its_cpu_time_and_the_others_get_their_verdicts() {
    let host = serve();
    let url = host.url("math_with_judge");
    let mut pairs = corpus();
    assert!(pairs.len() >= 300, "{}", pairs.len());
    pairs.truncate(300);
    grade(&url, &pairs[..100], 16);
    only_the_pool_is_left(&host);
    let before = host.private_memory();
    let endless = endless();
    for (at, pair) in endless.iter().enumerate() {
        pairs[40 * at + 20] = pair.clone();
    }
    grade(&url, &pairs, 16);
    only_the_pool_is_left(&host);
    let after = status(&host);
    assert_eq!(after["faults"], json!({"cpu_deadline": endless.len()}), "{after}");
    assert_eq!(after["calls"], json!(400), "{after}");
    ended_in_time(&after);
    // At worst no instance was idle before, and now one is, as large as it may be. The rest is for what the host's
    // allocator keeps for later.
    let memory = host.private_memory();
    let most = before + (MEMORY_MIB << 20) + (128 << 20);
    assert!(memory < most, "{} MiB, before {} MiB", memory >> 20, before >> 20);
}

#[test]
fn towers_matrices_and_radicals_without_end_do_no_harm() {
    let host = serve();
    let url = host.url("math_with_judge");
    let easy = ("\\frac{1}{2}".to_owned(), "It is $\\boxed{0.5}$.".to_owned(), Some(true));
    let endless = endless();
    let pairs: Vec<Pair> = endless.iter().flat_map(|pair| [pair.clone(), easy.clone()]).collect();
    grade(&url, &pairs, 1);
    let after = status(&host);
    assert_eq!(after["faults"], json!({"cpu_deadline": endless.len()}), "{after}");
    ended_in_time(&after);
}
