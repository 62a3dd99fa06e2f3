# SPDX-License-Identifier: Apache-2.0
"""Runs inside the component's Python: compiles modules to the code that this Python understands. The builder copies it
beside what is to be compiled, with `TASK` filled in, and makes a component of it; when it has run, the archive is there
and the component is of no use."""

import marshal
import os
import sys
import zlib

#: `root`: the folder to compile; `leave_out`: names directly in it; `output`: the archive; `keep_files`: whether the
#: archive also has the files themselves.
TASK: dict = {}


def _walk(root, leave_out):
    stack = [root]
    while stack:
        folder = stack.pop()
        for name in sorted(os.listdir(folder)):
            path = f"{folder}/{name}"
            if name == "__pycache__" or (folder == root and name in leave_out):
                continue
            try:
                os.listdir(path)
            except NotADirectoryError:
                yield path
            else:
                stack.append(path)


def _run():
    root = TASK["root"]
    modules, files, skipped = {}, {}, []
    for path in sorted(_walk(root, TASK["leave_out"])):
        relative = path[len(root) + 1 :]
        with open(path, "rb") as file:
            content = file.read()
        if TASK["keep_files"]:
            files[path] = zlib.compress(content, 9)
        if not relative.endswith(".py"):
            continue
        parts = relative[:-3].split("/")
        if parts[-1] == "__init__":
            parts.pop()
        if not parts or any("." in part for part in parts):
            continue
        try:
            code = compile(content, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            # Templates and files for other versions of Python: importing them is an error here as well.
            skipped.append(path)
            continue
        modules[".".join(parts)] = (relative.endswith("__init__.py"), path, zlib.compress(marshal.dumps(code), 9))
    with open(TASK["output"], "wb") as archive:
        archive.write(marshal.dumps((modules, files)))
    if skipped:
        print("not compiled:", " ".join(skipped), file=sys.stderr)


_run()


class ResourcesServer:
    """There is none."""
