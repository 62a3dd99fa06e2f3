# SPDX-License-Identifier: Apache-2.0
"""Runs one program. As a component it is started anew for every program, from a snapshot in which the interpreter is
ready and the standard library is imported."""

import io
import json
import linecache
import sys
import traceback
import types

import memory_files

NAME = "main.py"

# Taken before any program could change them.
_dumps, _loads, _compile, _exec = json.dumps, json.loads, compile, exec


class Outcome:
    """How a program ended: `status` as of a process, `returned` JSON text or None."""

    def __init__(self, status, returned=None):
        self.status = status
        self.returned = returned


def run(source, arguments=(), files=(), call=None):
    """Run `source` as `__main__`. `files` are pairs of path and bytes; `call` is a pair of a name and JSON texts.

    Standard streams are the process's own. A program may replace or close them, and break the interpreter in any way:
    nothing is done afterwards but to flush what it printed.
    """
    memory_files.install(files)
    sys.argv = [NAME, *arguments]
    main = types.ModuleType("__main__")
    main.__file__ = NAME
    sys.modules["__main__"] = main
    linecache.cache[NAME] = (len(source), None, source.splitlines(keepends=True), NAME)

    def execute():
        _program[:] = main.__dict__, source
        _exec(_compile(source, NAME, "exec", dont_inherit=True), main.__dict__)
        return call and _result(*_program, *call)

    return _outcome(execute)


def call(function, arguments):
    """Call a function of the program that `run` has executed, with JSON texts."""
    return _outcome(lambda: _result(*_program, function, arguments))


# The names and the text of the program that was run.
_program = []


def _outcome(work):
    try:
        status, returned = _ended(work)
    finally:
        flushed = _flush(sys.stdout) and _flush(sys.stderr)
    return Outcome(status if flushed or status else 120, returned)


def _ended(work):
    try:
        return 0, work()
    except SystemExit as error:
        return _exit_status(error), None
    except BaseException as error:  # whatever a program raises is its end
        _report(error)
        return 1, None


def _result(names, source, function, arguments):
    """Call a function, or a method of a new `Solution`."""
    if "class Solution" in source:
        target = getattr(names["Solution"](), function)
    else:
        target = names[function]
    value = target(*[_loads(argument) for argument in arguments])
    try:
        return _dumps(value)
    except (TypeError, ValueError, RecursionError):
        return None


def _exit_status(error):
    code = error.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _report(error):
    """Print the traceback without the frames of this module."""
    try:
        frames = error.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != NAME:
            frames = frames.tb_next
        traceback.print_exception(type(error), error, frames, file=sys.stderr)
    except BaseException:
        sys.__stderr__.write("the program failed, and so did the report of it\n")


def _flush(stream):
    try:
        stream.flush()
        return True
    except BaseException:  # a stream of the program's own
        return isinstance(stream, io.StringIO) or stream is None
