# SPDX-License-Identifier: Apache-2.0
"""Imports the standard library while the snapshot is made: afterwards there is no file to import from."""

import importlib
import io
import os
import pkgutil
import sys
import warnings

# They open windows or browsers, print when imported, are no libraries, or are large and of no use to a program here.
LEFT_OUT = {
    "antigravity", "ensurepip", "idlelib", "lib2to3", "pip", "pydoc_data", "test", "this", "tkinter", "turtle",
    "turtledemo", "venv",
}


def import_everything():
    """Import every module of the standard library that can be imported here, submodules included."""
    quiet, sys.stdout = sys.stdout, io.StringIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in sorted(sys.stdlib_module_names - LEFT_OUT):
                _import(name)
            for name in [name for name in sys.stdlib_module_names - LEFT_OUT if name in sys.modules]:
                _import_submodules(sys.modules[name])
    finally:
        sys.stdout = quiet


def _import(name):
    try:
        return importlib.import_module(name)
    except BaseException:  # made for another system, or for an interpreter with threads or sockets
        return None


def _import_submodules(package):
    for found in pkgutil.iter_modules(getattr(package, "__path__", None) or [], package.__name__ + "."):
        last = found.name.rpartition(".")[2]
        if last in ("__main__", "tests", "test") or last.startswith("_pyrepl"):
            continue
        module = _import(found.name)
        if module is not None and found.ispkg and os.path.commonprefix([module.__name__, package.__name__]):
            _import_submodules(module)
