# SPDX-License-Identifier: Apache-2.0
# Executes a solution. It has the inputs of one test at a time, and nothing of what is expected: a solution can do here
# whatever it likes, what comes out is its answer.

import ast
import builtins
import decimal
import fractions
import io
import json
import os
import shutil
import subprocess
import sys
import traceback
import types

STARRED = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools operator io sys json "
    "builtins typing"
).split()
PRELUDE = "".join(
    [f"from {name} import *\n" for name in STARRED]
    + [f"import {name}\n" for name in STARRED if name not in ("builtins", "typing")]
    + ["sys.setrecursionlimit(50000)\n", "sys.set_int_max_str_digits(1 << 20)\n"]
)
# Functions that a solution finds to be None.
NULLED = {
    builtins: "quit help",
    os: "kill system putenv remove removedirs rmdir fchdir setuid fork forkpty killpg rename renames truncate replace "
    "unlink fchmod fchown chmod chown chroot lchflags lchmod lchown getcwd chdir",
    shutil: "rmtree move chown",
    subprocess: "Popen",
}
# Modules that a solution cannot import.
ABSENT = "ipdb joblib resource psutil tkinter".split()

# Most bytes of output that are kept.
OUTPUT_BYTES = 10 << 20
# Most values in a result, and how deep they may be nested.
VALUES, DEPTH = 5_000_000, 190
# A class of this name is a solution's own frame; it is never written in one piece, so that this text is none.
OWN_CLASS = "Solut" + "ion"

# Taken before a solution could change them.
_loads, _compile, _exec = json.loads, compile, exec


class Lines:
    """Bytes of standard input, read as a stream."""

    def __init__(self, text):
        self._bytes = io.BytesIO(text.encode("utf-8", "replace"))

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._bytes)

    def __getattr__(self, name):
        return getattr(self._bytes, name)


class Input:
    """Standard input. `read` and `readlines` give everything each time."""

    def __init__(self, text):
        self._text = text
        self._stream = io.StringIO(text)
        self.buffer = Lines(text)

    def read(self, *_):
        return self._text

    def readlines(self, *_):
        return self._text.split("\n")

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._stream)

    def __getattr__(self, name):
        return getattr(self._stream, name)


class Given:
    """While it is entered, a text is what there is to read: in `sys.stdin`, in what `open` opens, and through the methods
    of the stream that was standard input before, where each has a position of its own."""

    def __init__(self, text):
        lines = iter(text.split("\n"))
        self._text = text
        self._methods = {
            "read": lambda *_: text, "readline": lambda *_: next(lines), "readlines": lambda *_: text.split("\n")
        }

    def __enter__(self):
        self._before = sys.stdin, builtins.open
        for name, method in self._methods.items():
            setattr(sys.stdin, name, method)
        sys.stdin, builtins.open = Input(self._text), lambda *_, **__: io.StringIO(self._text)

    def __exit__(self, *_):
        sys.stdin, builtins.open = self._before
        for name in self._methods:
            delattr(sys.stdin, name)


class Kept(io.RawIOBase):
    """The first bytes of the output."""

    def __init__(self):
        self.bytes = bytearray()

    def writable(self):
        return True

    def write(self, data):
        if len(self.bytes) <= OUTPUT_BYTES:
            self.bytes += data[: OUTPUT_BYTES + 1 - len(self.bytes)]
        return len(data)

    def close(self):
        pass


class Output:
    """Catches what is printed while it is entered."""

    def __enter__(self):
        self._before = sys.stdout
        self._kept = Kept()
        self._buffer = io.BufferedWriter(self._kept, 1 << 16)
        sys.stdout = io.TextIOWrapper(self._buffer, encoding="utf-8", newline="", write_through=True)
        sys.stdout.close = lambda *_: None
        self._stream = sys.stdout
        return self

    def __exit__(self, *_):
        sys.stdout = self._before

    def text(self):
        self._stream.flush()
        self._buffer.flush()
        kept = self._kept.bytes
        return bytes(kept[:OUTPUT_BYTES]).decode("utf-8", "replace"), len(kept) > OUTPUT_BYTES


# What tests call: the solution's function, or the whole solution as one.
_target = None


def prepare(solution, function):
    """Execute the solution, for calls of `function` (a name), or to be run as a program (None)."""
    global _target
    guard()
    sys.stdin = io.TextIOWrapper(io.BytesIO())
    is_program = function is None
    source = as_function(without_main_guard(solution)) if is_program else PRELUDE + "\n\n" + solution
    name = "whole_solution" if is_program else function
    module = types.ModuleType("solution", "")
    try:
        _exec(_compile(with_early_annotations(source), "<string>", "exec", dont_inherit=True), module.__dict__)
        owner = getattr(module, OWN_CLASS)() if "class " + OWN_CLASS in source else module
    except Exception as error:
        return {"error": said(error)}
    try:
        _target = getattr(owner, name)
    except Exception:
        return {"error": f"there is no function {name!r}"}
    return {}


def run(text):
    """Run the solution as a program. Its answer is what it prints."""
    with Output() as output:
        with Given(text):
            try:
                _target()
            except SystemExit:
                pass
            except Exception as error:
                return failure(error)
    try:
        printed, is_cut = output.text()
    except Exception as error:  # the solution has closed what it prints to
        return failure(error)
    return {"output": printed, "is_cut": is_cut}


def call(text):
    """Call the solution's function. Its answer is what it returns."""
    arguments = [_loads(line) for line in text.split("\n")]
    try:
        value = _target(*arguments)
    except Exception as error:
        return failure(error)
    if isinstance(value, tuple):
        value = list(tuple.__iter__(value))
    try:
        answer = encoded(value, DEPTH, [VALUES])
    except (OverflowError, RecursionError):
        answer = {"o": 0}
    try:
        text = value if isinstance(value, str) else str(value)
        return {"value": answer, "shown": shortened(text)}
    except Exception as error:
        return {"value": answer, "unshown": shown(error)}


def encoded(value, depth, left):
    """The data of a value, whatever methods its class has, with what JSON would not tell apart: tuples are `{"t": …}`,
    dictionaries `{"d": […]}`, numbers that JSON has not `{"e": …}`, all else `{"o": 0}`."""
    left[0] -= 1
    if depth == 0 or left[0] < 0:
        raise OverflowError
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__add__(value, 0)
    if isinstance(value, float):
        return float.__mul__(value, 1.0)
    if isinstance(value, list):
        return [encoded(item, depth - 1, left) for item in list.__iter__(value)]
    if isinstance(value, tuple):
        return {"t": [encoded(item, depth - 1, left) for item in tuple.__iter__(value)]}
    if isinstance(value, dict):
        items = dict.items(value)
        return {"d": [[encoded(key, depth - 1, left), encoded(item, depth - 1, left)] for key, item in items]}
    if type(value) in (decimal.Decimal, fractions.Fraction, complex):
        try:
            return {"e": as_number(value)}
        except (ArithmeticError, ValueError):
            pass
    return {"o": 0}


def as_number(value):
    """The `int` or `float` that is equal to it."""
    if type(value) is complex:
        if value.imag:
            raise ValueError
        return value.real
    top, bottom = value.as_integer_ratio()
    if bottom == 1:
        return top
    if value == float(value):
        return float(value)
    raise ValueError


def guard():
    for module, names in NULLED.items():
        for name in names.split():
            setattr(module, name, None)
    for name in ABSENT:
        sys.modules[name] = None


def without_main_guard(source):
    """The body of a last `if __name__ == '__main__':` in its place."""
    try:
        body = ast.parse(source).body
        if isinstance(body[-1], ast.If) and ast.unparse(body[-1].test).strip() == "__name__ == '__main__'":
            return ast.unparse(body[:-1]) + "\n" + ast.unparse(body[-1].body)
    except Exception:
        pass
    return source


def as_function(source):
    """Everything but imports as the body of one function. What cannot be parsed stays as it is."""
    try:
        body = ast.parse(source).body
        imports = [statement for statement in body if isinstance(statement, (ast.Import, ast.ImportFrom))]
        whole = ast.parse("def whole_solution(): pass").body[0]
        whole.body = [statement for statement in body if not isinstance(statement, (ast.Import, ast.ImportFrom))]
        return PRELUDE + "\n" + ast.unparse(imports) + "\n" + ast.unparse(whole)
    except Exception:
        return source


class EarlyAnnotations(ast.NodeTransformer):
    """Annotations are evaluated where they are written, as Python did before 3.14: a name that is not there is an error."""

    def visit_body(self, node):
        self.generic_visit(node)
        body = []
        for statement in node.body:
            body += [ast.copy_location(ast.Expr(early), statement) for early in self.annotations(node, statement)]
            body.append(statement)
        node.body = body
        return node

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = visit_body
    visit_If = visit_For = visit_While = visit_With = visit_Try = visit_body

    def annotations(self, scope, statement):
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and not statement.type_params:
            given = statement.args
            arguments = given.posonlyargs + given.args + given.kwonlyargs + [given.vararg, given.kwarg]
            return [one for one in [*(a and a.annotation for a in arguments), statement.returns] if one]
        if isinstance(statement, ast.AnnAssign) and isinstance(scope, (ast.Module, ast.ClassDef)):
            return [statement.annotation]
        return []


def with_early_annotations(source):
    tree = ast.parse(source)
    is_late = any(isinstance(statement, ast.ImportFrom) and statement.module == "__future__" for statement in tree.body)
    if is_late or sys.version_info < (3, 14):
        return source
    return ast.fix_missing_locations(EarlyAnnotations().visit(tree))


def failure(error):
    try:
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    except Exception:
        text = ""
    return {"error": shown(error), "traceback": text[-4000:]}


def said(error):
    try:
        return str(error)[:2000]
    except Exception:
        return type(error).__name__


def shown(error):
    try:
        return repr(error)[:2000]
    except Exception:
        return type(error).__name__


def shortened(text, length=300):
    if len(text) <= length:
        return text
    return text[: length // 2] + "...(truncated) ..." + text[-length // 2 :]
