// SPDX-License-Identifier: Apache-2.0
//! A guest that misbehaves costs its own session and nobody else's.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use gym_tests::{Client, Host, eventually, get, response, root};
use serde_json::{Value, json};

const CONFIG: &str = "\
head_server: {host: 127.0.0.1, port: 0}
gateway: {host: 127.0.0.1, port: 0}
hostile:
  resources_servers:
    hostile:
      entrypoint: app.py
      domain: other
      host: 127.0.0.1
      port: 0
      limits: {cpu_ms: 1000, memory_mib: 32, host_calls: 10000, reply_bytes: 1000000}
counter:
  resources_servers:
    example_session_state_mgmt: {entrypoint: app.py, domain: agent, host: 127.0.0.1, port: 0}
mcqa:
  resources_servers:
    mcqa: {entrypoint: app.py, domain: knowledge, host: 127.0.0.1, port: 0}
";

/// A host with the guest that does what it is told beside two honest environments. The folder has the guest.
fn serve() -> (Host, tempfile::TempDir) {
    let guests = std::env::var_os("GYM_TEST_GUESTS")
        .map_or_else(|| root().join("tests/guests/target/wasm32-wasip2/release"), PathBuf::from);
    let component = guests.join("hostile.wasm");
    assert!(component.is_file(), "{} is missing: `cargo xtask test` builds it", component.display());
    let folder = tempfile::tempdir().unwrap();
    let environment = folder.path().join("environments/hostile");
    std::fs::create_dir_all(environment.join("configs")).unwrap();
    std::fs::copy(component, environment.join("hostile.wasm")).unwrap();
    let search = folder.path().display().to_string();
    (Host::serve_with(CONFIG, &["--search-dir", &search]), folder)
}

fn verify_row(fields: Value) -> Value {
    let mut row = json!({"responses_create_params": {"input": "go"}, "response": response("\\boxed{B}")});
    for (name, value) in fields.as_object().unwrap() {
        row[name] = value.clone();
    }
    row
}

#[test]
fn every_misdeed_costs_its_own_session_only() {
    let (host, _guest) = serve();
    let (hostile, counter) = (host.url("hostile"), host.url("counter"));
    let mut neighbour = Client::default();
    neighbour.post(&format!("{counter}/seed_session"), &json!({"initial_count": 1}));
    let mut bystander = Client::default();
    bystander.post(&format!("{hostile}/seed_session"), &json!({}));
    // What is done, with which arguments, and the statuses that may come of it.
    let misdeeds: [(&str, &str, &[u16]); 10] = [
        ("spin", "{}", &[504]),
        ("alloc", "{}", &[500]),
        ("recurse", "{}", &[500]),
        ("trap", "{}", &[500]),
        ("panic", "{}", &[500]),
        ("exit", "{}", &[500]),
        ("flood_host", "50000", &[500]),
        ("huge_reply", "5000000", &[500]),
        ("flood_log", "100000", &[200]),
        ("flood_stdout", "100000", &[200]),
    ];
    for (count, (misdeed, arguments, expected)) in (1..).zip(misdeeds) {
        let mut client = Client::default();
        client.post(&format!("{hostile}/seed_session"), &json!({}));
        let answer = client.post_text(&format!("{hostile}/{misdeed}"), arguments);
        assert!(expected.contains(&answer.status), "{misdeed}: {answer:?}");
        // A reply that is too large is an error of that call; the instance itself is as good as before.
        if answer.status != 200 && misdeed != "huge_reply" {
            // The session is gone: its grade is a fault, not a reward.
            let graded = client.post(&format!("{hostile}/verify"), &verify_row(json!({}))).json();
            assert_eq!(graded["mask_sample"], json!(true), "{misdeed}: {graded}");
            assert_eq!(graded["failure_kind"], json!("session_lost"), "{misdeed}: {graded}");
        }
        // Neighbours, of the same environment and of another, go on where they were.
        assert_eq!(bystander.post_text(&format!("{hostile}/count"), "{}").text, count.to_string());
        let added = neighbour.post(&format!("{counter}/increment_counter"), &json!({"count": 1}));
        assert_eq!(added.json(), json!({"success": true}));
    }
    let value = neighbour.post(&format!("{counter}/get_counter_value"), &json!({})).json();
    assert_eq!(value, json!({"count": 1 + misdeeds.len()}));
}

#[test]
fn a_fault_of_the_verifier_is_marked_and_is_no_reward() {
    let (host, _guest) = serve();
    for misdeed in ["spin", "trap", "nan", "bad parts", "bad fields"] {
        let answer =
            Client::default().post(&format!("{}/verify", host.url("hostile")), &verify_row(json!({"do": misdeed})));
        assert_eq!(answer.status, 200, "{misdeed}: {answer:?}");
        let graded = answer.json();
        assert_eq!(graded["mask_sample"], json!(true), "{misdeed}: {graded}");
        assert_eq!(graded["failure_kind"], json!("verifier_error"), "{misdeed}: {graded}");
        assert_eq!(graded["_ng_failure_class"], json!("verifier_error"), "{misdeed}: {graded}");
        assert_eq!(graded["instance_config"]["mask_sample"], json!(true), "{misdeed}: {graded}");
    }
}

/// What the host says of its instances.
fn account(host: &Host) -> Value {
    get(&format!("{}/gym-host/status", host.url("head"))).json()["runtime"]["environments"].clone()
}

/// Four clients make honest verifies until `over`; every answer is checked. Returns how many there were.
fn honest_verifies(url: &str, over: impl Fn() -> bool + Sync) -> u64 {
    let one = || {
        let mut client = Client::default();
        for round in 0_u64.. {
            if over() {
                return round;
            }
            let (gold, reward) = if round % 2 == 0 { ("B", 1.0) } else { ("A", 0.0) };
            let row = verify_row(json!({"options": [{"A": "x"}, {"B": "y"}], "expected_answer": gold}));
            let graded = client.post(&format!("{url}/verify"), &row).json();
            assert_eq!(graded["reward"], json!(reward), "{graded}");
            assert_eq!(graded["mask_sample"], json!(false), "{graded}");
        }
        unreachable!("it goes on until it is over")
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        clients.into_iter().map(|client| client.join().expect("the client goes on")).sum()
    })
}

#[test]
fn honest_clients_are_answered_rightly_beside_hostile_ones() {
    /// Memory that the pool of small instances keeps for the next ones: of 256 slots at most 256 KiB of memory, 64 KiB of
    /// each of four tables and 32 KiB of stack.
    const KEPT: u64 = (256 * (256 + 4 * 64 + 32)) << 10;
    // Misdeeds that end their sessions, so that memory must come back without anybody closing one.
    const MISDEEDS: [&str; 5] = ["spin", "alloc", "trap", "recurse", "panic"];
    const TIMES: u64 = 4;
    let (host, _guest) = serve();
    let (hostile, mcqa) = (host.url("hostile"), host.url("mcqa"));
    let few = AtomicU64::new(0);
    honest_verifies(&mcqa, || few.fetch_add(1, Ordering::Relaxed) >= 100);
    let memory = host.private_memory();
    let done = AtomicU64::new(0);
    let all = MISDEEDS.len() as u64 * TIMES;
    let honest = std::thread::scope(|scope| {
        for misdeed in MISDEEDS {
            let (done, hostile) = (&done, &hostile);
            scope.spawn(move || {
                for _ in 0..TIMES {
                    let answer = Client::default().post_text(&format!("{hostile}/{misdeed}"), "{}");
                    assert!([200, 500, 503, 504].contains(&answer.status), "{misdeed}: {answer:?}");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        honest_verifies(&mcqa, || done.load(Ordering::Relaxed) >= all)
    });
    // A speed is shown by a benchmark; this only notices when somebody is starved.
    assert!(honest > all, "{honest} answers for honest clients beside {all} for hostile ones");
    eventually("only idle instances are left", || {
        let account = account(&host);
        let servers = account["servers"].as_array().unwrap();
        let idle: u64 = servers.iter().map(|server| server["pool_idle"].as_u64().unwrap()).sum();
        account["live_sessions"] == json!(0) && account["live_calls"] == json!(idle)
    });
    // The rest is for what the host's allocator keeps, and for the stacks of its threads.
    let now = host.private_memory();
    assert!(now < memory + KEPT + (128 << 20), "{} MiB became {}", memory >> 20, now >> 20);
}

#[test]
fn two_thousand_clients_get_right_answers_or_are_told_to_wait() {
    let (host, _guest) = serve();
    let url = host.url("counter");
    let (right, busy) = (AtomicU64::new(0), AtomicU64::new(0));
    let before = host.private_memory();
    std::thread::scope(|scope| {
        for worker in 0..64_u64 {
            let (url, right, busy) = (&url, &right, &busy);
            scope.spawn(move || {
                // Each worker holds many sessions at once and goes through them in turns.
                let mut clients: Vec<Client> = (0..32).map(|_| Client::default()).collect();
                for (number, client) in clients.iter_mut().enumerate() {
                    let start = worker * 1000 + number as u64;
                    let answer = client.post(&format!("{url}/seed_session"), &json!({"initial_count": start}));
                    assert!([200, 503].contains(&answer.status), "{answer:?}");
                    if answer.status == 503 {
                        assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
                        busy.fetch_add(1, Ordering::Relaxed);
                        client.cookie = None;
                    }
                }
                for (number, client) in clients.iter_mut().enumerate().filter(|(_, client)| client.cookie.is_some()) {
                    let start = worker * 1000 + number as u64;
                    let answer = client.post(&format!("{url}/get_counter_value"), &json!({}));
                    assert_eq!(answer.json(), json!({"count": start}));
                    right.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(right.load(Ordering::Relaxed) + busy.load(Ordering::Relaxed), 64 * 32, "no answer is lost");
    // Each session is charged 128 KiB for being there, and none of them grows. Where the kernel hands out huge pages
    // unasked, all of its four tables' slots of 160 KiB may be there too.
    let huge = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    let tables = if huge.is_ok_and(|modes| modes.contains("[always]")) { (4 * 160) << 10 } else { 0 };
    let right = right.load(Ordering::Relaxed);
    let sessions = account(&host)["live_sessions"].as_u64().unwrap();
    assert_eq!(sessions, right, "nobody closed a session");
    let now = host.private_memory();
    assert!(
        now < before + sessions * ((128 << 10) + tables) + (128 << 20),
        "{} MiB became {}",
        before >> 20,
        now >> 20
    );
}
