// SPDX-License-Identifier: Apache-2.0
//! Packages in environments in Python: what pip would install works inside a component.

use std::{fs, path::Path};

use gym_tests::{Client, Host, gym_host, run};
use serde_json::json;

use crate::python_guests::{build, built, python, seeded, tell};

const CONFIG: &str = "\
head_server: {host: 127.0.0.1, port: 0}
gateway: {host: 127.0.0.1, port: 0}
packed:
  resources_servers:
    packed: {entrypoint: app.py, domain: other, host: 127.0.0.1, port: 0}
";

const APP: &str = "\
from typing import Any

from gym_host_sdk import Attempt, any_tool, resources_server, verify


@resources_server(default_session=True)
class Packed:
    @any_tool
    async def tell(self, name: str, arguments: Any) -> Any:
        scope: dict[str, Any] = {}
        exec(arguments['code'], scope)
        return scope.get('result')

    @verify
    def verify(self, attempt: Attempt[dict]) -> float:
        return 1.0
";

fn written(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn packages_bring_their_files_plugins_and_parts_of_namespaces() {
    let folder = tempfile::tempdir().unwrap();
    built(&run(python("make_wheels.py").arg(folder.path().join("wheels"))));
    let environment = folder.path().join("environments/packed");
    written(
        &environment,
        &[
            ("pyproject.toml", "[project]\nname = \"the.Packed\"\nversion = \"3.1\"\ndynamic = [\"dependencies\"]\n"),
            ("requirements.txt", "-r more.txt\n--find-links ../../wheels\n"),
            ("more.txt", "gym-test-part-one==1.0 ; sys_platform == 'wasi'\ngym-test-native ; sys_platform != 'wasi'\n"),
            ("app.py", APP),
            ("words.txt", "own words"),
            ("parts/own.py", "value = 5\n"),
        ],
    );
    built(&build(folder.path(), &["packed"]));
    let host = Host::serve_with(CONFIG, &["--search-dir", &folder.path().display().to_string()]);
    let url = host.url("packed");
    let mut client = seeded(&url, 1);
    for (code, expected) in [
        ("import gym_test_space.one as a, gym_test_space.two as b; result = [a.value, b.value]", json!([1, 2])),
        ("import parts.own; result = parts.own.value", json!(5)),
        ("result = open('/0/words.txt').read()", json!("own words")),
        (
            "import importlib.resources as r; d = r.files('gym_test_space.one') / 'data'\n\
             result = [(d / 'a.txt').read_text(), r.files('gym_test_space.one.data').joinpath('a.txt').read_text(), \
             [p.name for p in r.files('gym_test_space').iterdir()]]",
            json!(["some data", "some data", ["one", "two.py"]]),
        ),
        (
            "import pkgutil, gym_test_space as s\n\
             result = [pkgutil.get_data('gym_test_space.one', 'data/a.txt').decode(), \
             [m.name for m in pkgutil.walk_packages(s.__path__, 'gym_test_space.')]]",
            json!(["some data", ["gym_test_space.one", "gym_test_space.two"]]),
        ),
        (
            "import importlib.metadata as m\n\
             result = [m.version('the-packed'), m.version('gym_test.part-two'), \
             [e.load()() for e in m.entry_points(group='gym_test.plugins')]]",
            json!(["3.1", "2.0", [3]]),
        ),
        ("try: import no_such.part\nexcept ModuleNotFoundError as error: result = error.name", json!("no_such")),
        (
            "import hashlib; result = hashlib.pbkdf2_hmac('sha256', b'password', b'salt', 1).hex()[:16]",
            json!("120fb6cffcf8b32c"),
        ),
    ] {
        let answer = tell(&mut client, &url, code);
        assert_eq!(answer.status, 200, "{code}: {answer:?}");
        assert_eq!(answer.json(), expected, "{code}");
    }
    for (code, said) in [
        ("import threading; threading.Thread(target=print).start()", "there are no threads in a component"),
        ("import asyncio; raise asyncio.CancelledError()", "CancelledError"),
        ("raise KeyboardInterrupt()", "KeyboardInterrupt"),
    ] {
        let answer = tell(&mut client, &url, code);
        assert_eq!(answer.status, 500, "{code}: {answer:?}");
        assert!(answer.text.contains(said), "{code}: {answer:?}");
    }
    // The session is still there: nothing of this trapped.
    assert_eq!(tell(&mut client, &url, "import parts.own; result = parts.own.value").json(), json!(5));
    let fresh = Client::default().post(&format!("{url}/tell"), &json!({"code": "result = 1"}));
    assert_eq!(fresh.json(), json!(1));
}

#[test]
fn an_environment_is_built_from_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let environment = folder.path().join("here");
    written(&environment, &[("requirements.txt", ""), ("app.py", APP)]);
    let ended = run(gym_host(&environment).args(["build", "."]));
    built(&ended);
    assert!(environment.join("here.wasm").is_file(), "{}", ended.stderr);
}
