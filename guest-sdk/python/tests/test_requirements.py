# SPDX-License-Identifier: Apache-2.0
import hashlib

import pytest

from gym_host_build import BuildError, lock, project, requirements, wheels
from gym_host_build.resolve import Pinned, version_of

A, B = "a" * 64, "b" * 64


def written(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
    return folder


def test_what_pip_reads_is_read(tmp_path):
    text = (
        "\ufeff# made by a tool\r\n"
        "idna==3.10 \\\r\n"
        f"    --hash=sha256:{A} \\\n"
        f"    --hash=sha256:{B.upper()}\n"
        "    # via something\n"
        "rich[jupyter] >= 13 ; python_version >= '3.9'  # why\n"
        "name @ https://example.com/name-1.0-py3-none-any.whl#egg=x\n"
        "-r more/others.txt\n"
        "--constraint=bounds.txt\n"
        "--find-links wheels\n"
        "--prefer-binary\n"
    )
    files = {"r.txt": text, "more/others.txt": "-c ../bounds.txt\nsix\n", "bounds.txt": "six<2\n", "wheels/x": ""}
    found = requirements.read(written(tmp_path, files) / "r.txt")
    assert found.lines == [
        "idna==3.10",
        "rich[jupyter] >= 13 ; python_version >= '3.9'",
        "name @ https://example.com/name-1.0-py3-none-any.whl#egg=x",
        "six",
    ]
    assert found.constraints == ["six<2", "six<2"]
    assert found.hashes == {"idna": {A, B}}
    assert found.find_links == [tmp_path / "wheels"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x\n-e .", "r.txt:2: a component cannot hold an editable package"),
        ("git+https://example.com/x@v1", "no requirement of a package by its name"),
        ("./x-1.0-py3-none-any.whl", "no requirement of a package by its name"),
        ("https://example.com/x.tar.gz", "no requirement of a package by its name"),
        ("--index-url https://example.com", "no matter of the environment"),
        ("--no-deps", "this option of pip is not supported"),
        ("-r missing.txt", "failed to read"),
        ("-r r.txt", "includes itself"),
        ("x --hash=md5:00", "only SHA-256"),
        ("x --config-settings=y", "option of a requirement"),
        ("-f nowhere", "no folder with wheels"),
    ],
)
def test_what_is_not_supported_is_named_with_its_line(tmp_path, text, said):
    with pytest.raises(BuildError) as error:
        requirements.read(written(tmp_path, {"r.txt": text}) / "r.txt")
    assert said in str(error.value)


def read(folder, text, **files):
    return project.read(written(folder, {"pyproject.toml": text, "app.py": "x: str = '2.5'\nVERSION = '7'\n", **files}), "env")


@pytest.mark.parametrize(
    ("text", "name", "version"),
    [
        ("", "env", "0.1.0"),
        ("[project]\nname = 'my.env'\nversion = '3.1'", "my.env", "3.1"),
        ("[project]\ndynamic = ['version']\n[tool.setuptools.dynamic]\nversion = {attr = 'app.x'}", "env", "2.5"),
        ("[project]\ndynamic = ['version']\n[tool.setuptools.dynamic]\nversion = {file = 'app.py'}", "env", "x: str = '2.5'\nVERSION = '7'"),
        ("[project]\ndynamic = ['version']\n[tool.hatch.version]\npath = 'app.py'", "env", "7"),
        ("[tool.poetry]\nversion = '4'\n[tool.poetry.dependencies]\npython = '^3.11'", "env", "4"),
    ],
)
def test_a_project_has_its_name_and_version(tmp_path, text, name, version):
    found = read(tmp_path, text)
    assert (found.distribution, found.version) == (name, version)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[project]\ndependencies = 'idna'", "`dependencies` of `[project]` should be a list of texts"),
        ("[project]\nrequires-python = '<3.12'", "`requires-python` is `<3.12`"),
        ("[project]\nrequires-python = 'new'", "no bound of versions"),
        ("[project]\ndynamic = ['version']", "`version` is dynamic"),
        ("[project]\ndynamic = ['dependencies']", "there is no requirements.txt"),
        ("[tool.poetry.dependencies]\nidna = '*'", "are not read"),
        ("[tool.gym-host]\nmodule = 3", "`module` of `[tool.gym-host]` should be a text"),
        ("[tool.gym-host]\nmodul = 'x'", "no setting `modul`"),
        ("project = 3", "`project` should be a table"),
    ],
)
def test_a_manifest_that_says_something_else_than_it_seems_is_an_error(tmp_path, text, said):
    with pytest.raises(BuildError) as error:
        read(tmp_path, text)
    assert said in str(error.value)


def test_dynamic_dependencies_come_from_the_named_files(tmp_path):
    text = "[project]\ndynamic = ['dependencies']\n[tool.setuptools.dynamic]\ndependencies = {file = ['a.in', 'b.in']}"
    assert read(tmp_path, text, **{"a.in": "six", "b.in": "idna"}).requirements == ["six", "idna"]


def test_modules_and_what_they_read_are_taken_in(tmp_path):
    files = {
        "words.txt": "a", "parts/one.py": "", "parts/data.bin": "", "test_app.py": "", "README.md": "", "requirements.txt": "",
        "tests/test_x.py": "", "data/example.jsonl": "", ".hidden": "", "env.wasm": "",
    }  # fmt: skip
    found = [path for path, _ in read(tmp_path, "", **files).modules()]
    assert found == ["app.py", "words.txt", "parts/data.bin", "parts/one.py"]


def test_a_lock_names_versions_or_addresses(tmp_path):
    url = "https://example.com/a%2Bb/idna-3.10-py3-none-any.whl?x=1"
    pins = [Pinned("idna", "3.10", A, url), Pinned("six", "1.0", B)]
    assert version_of(url) == "3.10"
    made = read(tmp_path, "[project]\ndependencies = ['six']")
    stamp = f"# requirements: {lock.inputs(made)}"
    made.lock.write_text("\n".join([stamp, *(pin.line() for pin in pins)]))
    assert lock.locked(made) == pins
    # Hashes and bounds are inputs too.
    made.hashes = {"six": {A}}
    assert stamp != f"# requirements: {lock.inputs(made)}"


def test_a_stored_wheel_is_taken_for_its_own_package_and_version_only(tmp_path):
    digest = hashlib.sha256(b"wheel").hexdigest()
    store = written(tmp_path, {f"{digest}/Some_Name-1.0-py3-none-any.whl": "wheel"})
    assert wheels._stored(store, Pinned("some-name", "1.0", digest)) is not None
    assert wheels._stored(store, Pinned("some-name", "1.0.0", digest)) is not None
    assert wheels._stored(store, Pinned("some-name", "1.1", digest)) is None
    assert wheels._stored(store, Pinned("other", "1.0", digest)) is None
