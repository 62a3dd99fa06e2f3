# SPDX-License-Identifier: Apache-2.0
"""`python -m gym_host_build.runner`: makes a component that runs programs, of a folder with a `component.py`."""

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path

from . import COMPONENTIZE_PY, BuildError
from .componentize import Componentizer, told

#: The last section of a component says what it was made from, so that nothing is made twice.
_SECTION = b"gym-host-inputs"


def main() -> int:
    parser = argparse.ArgumentParser(prog="gym_host_build.runner")
    for name in ("folder", "wit", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--preload", type=Path)
    arguments = parser.parse_args()
    try:
        print(build(arguments.folder, arguments.wit, arguments.output, arguments.preload))
        return 0
    except BuildError as error:
        print(json.dumps({"error": str(error), "hint": error.hint}), file=sys.stderr)
        return 1


def build(folder: Path, wit: Path, output: Path, preload: Path | None) -> str:
    """Makes the component unless it is there already; says which."""
    sources = {path.name: path.read_bytes() for path in sorted(folder.glob("*.py"))}
    if "component.py" not in sources:
        raise BuildError(f"{folder} has no component.py", "the module that the host calls has this name")
    sum = hashlib.sha256(f"componentize-py {COMPONENTIZE_PY}".encode())
    for part in [*sources.items(), *((path.name, path.read_bytes()) for path in sorted(wit.glob("*.wit")))]:
        sum.update(f"{part[0]} {len(part[1])}\n".encode() + part[1])
    mark = _SECTION + sum.hexdigest()[:32].encode()
    section = bytes([0, len(mark) + 1, len(_SECTION)]) + mark
    if output.is_file() and output.read_bytes().endswith(section):
        return "unchanged"
    componentizer = Componentizer(wit, preload, world="code-runner")
    with componentizer.scratch() as name:
        scratch = Path(name)
        program = scratch / "program"
        program.mkdir()
        for path, content in sources.items():
            (program / path).write_bytes(content)
        made = scratch / "component.wasm"
        done = componentizer.run("component", [program], made, scratch)
        if done.returncode != 0 or not made.is_file():
            raise BuildError(f"the code runner failed while it was imported:\n{told(done.stderr)}")
        partial = output.with_suffix(".wasm.partial")
        shutil.copyfile(made, partial)
        with partial.open("ab") as file:
            file.write(section)
        partial.rename(output)
    return "built"


if __name__ == "__main__":
    sys.exit(main())
