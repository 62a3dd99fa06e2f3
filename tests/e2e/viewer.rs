// SPDX-License-Identifier: Apache-2.0
//! `gym-host view` in a real browser.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Stdio},
};

use gym_tests::{Browser, Key, gym_host};
use serde_json::json;

/// A viewer that ends when dropped.
struct Viewer {
    child: Child,
    url: String,
}

impl Viewer {
    fn of(folder: &Path, files: &[&str]) -> Self {
        let mut child = gym_host(folder)
            .arg("view")
            .args(files)
            .args(["--port", "0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("gym-host starts");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut url).expect("the address is printed");
        Self { child, url: url.trim().to_owned() }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn browser() -> Option<Browser> {
    let browser = Browser::start();
    if browser.is_none() {
        eprintln!("chromium is not installed: the tests of the viewer in a browser are left out");
    }
    browser
}

fn row(task: usize, rollout: usize, reward: f64, agent: &str) -> String {
    json!({
        "responses_create_params": {"input": [{"role": "user", "content": format!("Question {task}: how far is the moon?")}]},
        "response": {
            "model": "m",
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Let me look it up."}]},
                {"type": "function_call", "name": "look_up", "call_id": "c1", "arguments": "{\"what\":\"moon\"}"},
                {"type": "function_call_output", "call_id": "c1", "output": "{\"km\":384400}"},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text",
                    "text": format!("<img src=x onerror=\"window.harmed=1\"><script>window.harmed=1</script> {task}")}]},
            ],
            "usage": {"input_tokens": 10, "output_tokens": task % 977, "total_tokens": 10 + task % 977},
        },
        "reward": reward,
        "reward_components": {"distance": reward},
        "expected_answer": "384400 km",
        "_ng_task_index": task,
        "_ng_rollout_index": rollout,
        "agent_ref": {"name": agent},
    })
    .to_string()
}

fn rollouts(path: &Path, tasks: usize, turn: usize) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).expect("the file is made"));
    for task in 0..tasks {
        for rollout in 0..2 {
            let reward = [0.0, 0.5, 1.0][(task + rollout + turn) % 3];
            let agent = ["astronomer", "geographer"][task % 2];
            writeln!(file, "{}", row(task, rollout, reward, agent)).expect("the file is written");
        }
    }
    file.flush().expect("the file is written");
}

const PHONE_FITS: &str = "document.documentElement.scrollWidth <= innerWidth";

#[test]
fn a_hundred_thousand_rollouts_are_listed_sorted_and_filtered() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    rollouts(&folder.path().join("r.jsonl"), 50_000, 0);
    let failure =
        json!({"_ng_failure_class": "agent_run_error", "_ng_task_index": 7, "agent_ref": {"name": "astronomer"}});
    std::fs::write(folder.path().join("r_failures.jsonl"), format!("{failure}\n")).expect("the file is written");
    let viewer = Viewer::of(folder.path(), &["r.jsonl"]);
    browser.screen(1280, 800, false);
    browser.open(&viewer.url);
    browser.wait("document.querySelector('.counts')?.textContent.startsWith('100,001 of 100,001')");
    assert!(browser.value("document.querySelectorAll('.grid .row').length").as_u64() < Some(60), "rows out of sight");

    let choose = |index: usize, value: &str| {
        format!(
            "{{ const s = document.querySelectorAll('.bar select')[{index}]; s.value = '{value}'; \
             s.dispatchEvent(new Event('change')); }}"
        )
    };
    let first = "document.querySelector('.grid .row[aria-rowindex=\"1\"]')?.textContent";
    browser.value(&choose(2, "-tokens"));
    // 976 is the highest remainder: task 976 is the first with 986 tokens.
    browser.wait(&format!("{first}.includes('Question 976:') && {first}.includes('986')"));
    browser.value(&choose(0, "is:failed"));
    browser.wait("document.querySelector('.counts').textContent.startsWith('1 of')");
    browser.wait(&format!("{first}.includes('agent_run_error')"));
    browser.value(&choose(0, ""));
    browser.press(Key::Character('/'));
    for character in "agent:geo reward=1 \"question 49999\"".chars() {
        browser.command("Input.dispatchKeyEvent", json!({"type": "char", "text": character.to_string()}));
    }
    // The rewards of the last task are the second and the third: (49999 + 0) mod 3 = 1, (49999 + 1) mod 3 = 2.
    browser.wait("document.querySelector('.counts').textContent.startsWith('1 of')");
    browser.wait(&format!("{first}.includes('49999:1')"));
    browser.value("document.querySelector('#filter').value = 'colour>3'; document.querySelector('#filter').dispatchEvent(new Event('input'))");
    browser.wait("document.querySelector('#filter-error').textContent.includes('no field `colour`')");

    assert!(browser.requests.iter().all(|url| url.starts_with(&viewer.url)), "{:?}", browser.requests);
    // What was refused on purpose is logged by the browser.
    browser.complaints.retain(|text| !text.contains("status of 400"));
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn one_rollout_is_read_with_the_keyboard_on_any_screen_and_harms_nobody() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    rollouts(&folder.path().join("r.jsonl"), 20, 0);
    let viewer = Viewer::of(folder.path(), &["r.jsonl"]);
    browser.screen(1280, 800, true);
    browser.open(&viewer.url);
    browser.wait("document.querySelectorAll('.grid .row').length > 10 && document.activeElement.className === 'grid'");
    assert_eq!(browser.value("getComputedStyle(document.body).backgroundColor"), "rgb(20, 22, 26)");
    for _ in 0..2 {
        browser.press(Key::Character('j'));
    }
    browser.press(Key::Named("Enter"));
    browser.wait("document.querySelector('h2.place')?.textContent.startsWith('Task 1, rollout 0')");
    for (selector, text) in [
        (".reasoning", "Let me look it up."),
        (".call pre", "\"what\": \"moon\""),
        (".result", "384400"),
        (".role-assistant .prose", "<script>window.harmed=1</script>"),
        (".facts", "384400 km"),
        (".facts meter", ""),
        (".reward-line", "0.5"),
    ] {
        browser.wait(&format!("document.querySelector({})?.textContent.includes({})", json!(selector), json!(text)));
    }
    assert!(browser.value("window.harmed ?? null").is_null());
    assert_eq!(browser.value("document.querySelectorAll('main img, main script').length"), 0);
    browser.press(Key::Character('j'));
    browser.wait("document.querySelector('h2.place')?.textContent.startsWith('Task 1, rollout 1')");
    browser.press(Key::Character('c'));
    browser.wait("document.querySelectorAll('.two .column').length === 2");
    browser.wait("document.querySelector('.verdicts .differs')?.textContent.includes('reward')");
    browser.screen(390, 844, false);
    browser.wait(PHONE_FITS);
    browser.press(Key::Named("Escape"));
    browser.wait("document.querySelector('h2.place')?.textContent.startsWith('Task 1, rollout 1')");
    browser.wait(PHONE_FITS);
    browser.press(Key::Named("Escape"));
    browser.wait("document.querySelector('.row[aria-selected=true]')?.textContent.includes('Question 1:')");
    browser.wait(PHONE_FITS);
    assert_eq!(browser.complaints, Vec::<String>::new());
}

#[test]
fn two_files_are_compared_and_rows_that_are_added_appear() {
    let Some(mut browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    rollouts(&folder.path().join("a.jsonl"), 6, 0);
    rollouts(&folder.path().join("b.jsonl"), 6, 1);
    let viewer = Viewer::of(folder.path(), &["a.jsonl", "b.jsonl"]);
    browser.screen(1280, 800, false);
    browser.open(&format!("{}#/pairs", viewer.url));
    // Mean rewards by task mod 3: 0.25, 0.75, 0.5 in the first file, 0.75, 0.5, 0.25 in the second.
    browser.wait("[...document.querySelectorAll('.card strong')].map((one) => one.textContent).join() === '2,4,0,0'");
    browser.wait("document.querySelector('.grid .row .delta')?.textContent === '−0.25'");
    browser.press(Key::Named("Enter"));
    browser.wait("document.querySelectorAll('.two .column').length === 2");
    browser.open(&viewer.url);
    browser.wait("document.querySelector('.counts')?.textContent.startsWith('24 of 24')");
    let mut file =
        std::fs::File::options().append(true).open(folder.path().join("b.jsonl")).expect("the file is there");
    writeln!(file, "{}", row(99, 0, 1.0, "newcomer")).expect("the row is written");
    browser.wait("document.querySelector('.counts')?.textContent.startsWith('25 of 25')");
}
