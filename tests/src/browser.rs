// SPDX-License-Identifier: Apache-2.0
//! Chromium without a window, driven over a pipe with its DevTools protocol.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use crate::PATIENCE;

/// A browser with one page. It ends when dropped.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    last: u64,
    /// Addresses that the page asked for.
    pub requests: Vec<String>,
    /// Exceptions and log entries of the page.
    pub complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

/// A key that is pressed.
#[derive(Clone, Copy, Debug)]
pub enum Key {
    /// One that writes a character.
    Character(char),
    /// One with a name, as `Enter`.
    Named(&'static str),
}

/// What makes Chromium run everywhere: as root, in a container with little shared memory, and by itself.
const ALONE: [&str; 6] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
];

/// Whether this is a browser, and one that runs here. Some systems have a program of its name that only says how to
/// install it.
fn runs(program: &Path) -> bool {
    let profile = tempfile::tempdir().expect("a temporary folder");
    let folder = format!("--user-data-dir={}", profile.path().display());
    let shown = Command::new(program).args(ALONE).args([&folder, "--dump-dom", "about:blank"]).output();
    program.is_file() && shown.is_ok_and(|shown| shown.status.success() && !shown.stdout.is_empty())
}

impl Browser {
    /// Starts Chromium, if it is installed.
    pub fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let program = ["chromium", "chromium-browser", "google-chrome"]
            .into_iter()
            .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
            .find(|program| runs(program))?;
        Some(Self::of(program))
    }

    fn of(program: PathBuf) -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        // Chromium reads commands from file 3 and writes answers to file 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .arg(program)
            .args(ALONE)
            .arg("--remote-debugging-pipe")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let input = child.stdin.take().expect("standard input is piped");
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut browser = Self {
            child,
            input,
            output,
            session: String::new(),
            last: 0,
            requests: Vec::new(),
            complaints: Vec::new(),
            _profile: profile,
        };
        let target = browser.command("Target.createTarget", json!({"url": "about:blank"}));
        let attached =
            browser.command("Target.attachToTarget", json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.command(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Sends a command and waits for its answer.
    pub fn command(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.input.write_all(format!("{message}\0").as_bytes()).expect("chromium reads");
        self.input.flush().expect("chromium reads");
        loop {
            let mut answer = Vec::new();
            self.output.read_until(0, &mut answer).expect("chromium answers");
            assert_eq!(answer.pop(), Some(0), "chromium ended");
            let answer: Value = serde_json::from_slice(&answer).expect("chromium answers JSON");
            if answer["id"] == json!(self.last) {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.note(&answer);
        }
    }

    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.requests.push(parameters["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            "Runtime.exceptionThrown" | "Log.entryAdded" => self.complaints.push(parameters.to_string()),
            _ => {}
        }
    }

    /// Goes to an address.
    pub fn open(&mut self, url: &str) {
        self.command("Page.navigate", json!({"url": url}));
    }

    /// The value of a JavaScript expression; promises are awaited.
    pub fn value(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.command("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until a JavaScript expression holds.
    pub fn wait(&mut self, condition: &str) {
        let start = Instant::now();
        // The page looks at every frame, and gives the browser back before the test's patience ends.
        let look = format!(
            "new Promise((done) => {{ const end = performance.now() + 1000; const look = () => ({condition}) ? done(true) : \
             performance.now() > end ? done(false) : requestAnimationFrame(look); look(); }})"
        );
        while self.value(&look) != json!(true) {
            if start.elapsed() > PATIENCE {
                let text = self.value("location.href + '\\n' + document.body.innerText.slice(0, 2000)");
                panic!("the page does not come to `{condition}`: {text}\n{:?}", self.complaints);
            }
        }
    }

    /// Presses a key.
    pub fn press(&mut self, key: Key) {
        let (name, text) = match key {
            Key::Character(character) => (character.to_string(), character.to_string()),
            Key::Named("Enter") => ("Enter".to_owned(), "\r".to_owned()),
            Key::Named(name) => (name.to_owned(), String::new()),
        };
        self.command("Input.dispatchKeyEvent", json!({"type": "keyDown", "key": name, "text": text}));
        self.command("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": name}));
    }

    /// Sets the window's size in CSS pixels, and whether the system is dark.
    pub fn screen(&mut self, width: u32, height: u32, dark: bool) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.command("Emulation.setDeviceMetricsOverride", metrics);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.command("Emulation.setEmulatedMedia", features);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself, and then both fail.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
