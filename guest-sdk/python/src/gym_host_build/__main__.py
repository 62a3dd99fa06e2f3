# SPDX-License-Identifier: Apache-2.0
"""`python -m gym_host_build`: what `gym-host build` runs, with the interpreter that has componentize-py."""

import argparse
import hashlib
import json
import sys
import tomllib
from pathlib import Path

from . import COMPONENTIZE_PY, PYTHON, BuildError, bundle, lock, project, wheels
from .componentize import Componentizer, told

#: The last section of a component says what it was made from, so that nothing is made twice.
_SECTION = b"gym-host-inputs"


def main() -> int:
    parser = argparse.ArgumentParser(prog="gym_host_build")
    for name in ("folder", "sdk", "wit", "cache", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--preload", type=Path)
    arguments = parser.parse_args()
    try:
        print(build(arguments))
        return 0
    except BuildError as error:
        print(json.dumps({"error": str(error), "hint": error.hint}), file=sys.stderr)
        return 1


def build(arguments: argparse.Namespace) -> str:
    """Makes the component unless it is there already; says which."""
    environment = project.read(arguments.folder, arguments.name)
    pins = lock.locked(environment)
    sdk_version = tomllib.loads((arguments.sdk.parent / "pyproject.toml").read_text())["project"]["version"]
    own = bundle.own_files(environment, arguments.sdk) | bundle.metadata(environment, sdk_version)
    boot = (arguments.sdk / "gym_host_sdk/_component/boot.py").read_text(encoding="utf-8")
    facts = {"module": environment.module, "name": environment.name, "version": environment.version}
    boot = boot.replace("PROJECT: dict = {}", f"PROJECT: dict = {facts!r}")
    tool = f"componentize-py {COMPONENTIZE_PY} {tools_digest(arguments.preload)}"
    inputs = digest(tool, boot, own, [f"{p.name} {p.version} {p.sha256}" for p in pins], arguments.wit, environment)
    if inputs_of(arguments.output) == inputs:
        return "unchanged"

    componentizer = Componentizer(arguments.wit, arguments.preload)
    cache = arguments.cache / f"componentize-py-{COMPONENTIZE_PY}"
    library = cache / f"standard-library-{tools_digest(arguments.preload)}.bin"
    if not library.is_file():
        componentizer.compile(None, library)
    packages = compiled_packages(environment, pins, componentizer, arguments, cache)
    with componentizer.scratch() as name:
        scratch = Path(name)
        program, archives = scratch / "program", scratch / "archives"
        program.mkdir()
        archives.mkdir()
        (program / "gym_component.py").write_text(boot, encoding="utf-8")
        (archives / "standard_library.bin").write_bytes(library.read_bytes())
        if packages is None:
            bundle.write(archives / "packages.bin", {}, {})
        else:
            (archives / "packages.bin").write_bytes(packages.read_bytes())
        bundle.write(archives / "own.bin", *bundle.sources(own))
        made = scratch / "component.wasm"
        done = componentizer.run("gym_component", [program, archives], made, scratch)
        if done.returncode != 0 or not made.is_file():
            raise BuildError(f"`{environment.name}` failed while it was imported:\n{told(done.stderr)}")
        partial = arguments.output.with_suffix(".wasm.partial")
        partial.write_bytes(made.read_bytes() + section(inputs))
        partial.rename(arguments.output)
    return "built"


def compiled_packages(environment, pins, componentizer, arguments, cache) -> Path | None:
    """The archive of the packages that the environment requires."""
    if not pins:
        return None
    key = [f"{pin.name} {pin.version} {pin.sha256}" for pin in pins] + sorted(environment.exclude)
    archive = cache / f"packages-{digest(tools_digest(arguments.preload), *key)}.bin"
    if archive.is_file():
        return archive
    files = wheels.unpack(environment, wheels.fetch(environment, pins, arguments.cache / "wheels"))
    with componentizer.scratch() as name:
        for path, content in files.items():
            target = Path(name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        componentizer.compile(Path(name), archive)
    return archive


def tools_digest(preload: Path | None) -> str:
    """What the builder itself consists of."""
    parts = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    return digest(*parts, "moving" if preload is None else "still")


def digest(*parts: object) -> str:
    """One digest of many things; folders stand for the files in them."""
    sum = hashlib.sha256()

    def add(part: object) -> None:
        if isinstance(part, Path):
            part = {str(path.relative_to(part)): path.read_bytes() for path in sorted(part.rglob("*")) if path.is_file()}
        if isinstance(part, project.Project):
            part = [part.name, part.version, part.module, *sorted(part.exclude)]
        if isinstance(part, dict):
            part = [item for name in sorted(part) for item in (name, part[name])]
        if isinstance(part, list):
            sum.update(f"list {len(part)}\n".encode())
            for item in part:
                add(item)
            return
        data = part if isinstance(part, bytes) else str(part).encode()
        sum.update(f"{len(data)}\n".encode() + data)

    for part in parts:
        add(part)
    return sum.hexdigest()[:32]


def section(inputs: str) -> bytes:
    """A custom section for the end of a component."""
    content = bytes([len(_SECTION)]) + _SECTION + f"{inputs} python {PYTHON[0]}.{PYTHON[1]}".encode()
    return bytes([0, len(content)]) + content


def inputs_of(component: Path) -> str | None:
    """What a component was made from; None if there is none."""
    if not component.is_file():
        return None
    with component.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - 256, 0))
        tail = file.read()
    start = tail.rfind(_SECTION)
    if start < 0:
        return None
    return tail[start + len(_SECTION) :].decode("ascii", "replace").split(" ")[0]


sys.exit(main())
