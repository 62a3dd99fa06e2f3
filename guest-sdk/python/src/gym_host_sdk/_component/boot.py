# SPDX-License-Identifier: Apache-2.0
"""The top-level module of a component. The builder copies it beside the environment, with `PROJECT` filled in.

A component has no file system. All modules and files are in archives that the builder made; this module takes them into
memory, lets `import`, `open` and `os` find them there, and imports the environment. It runs when the component is built;
what it leaves in memory is the component's image.
"""

import marshal
import sys

sys.dont_write_bytecode = True

#: What the builder says of the environment: `module`, `name`, `version`.
PROJECT: dict = {}

#: Where the builder's archives are while the component is built.
ARCHIVES = ("/1/standard_library.bin", "/1/packages.bin", "/1/own.bin")


def _load() -> tuple[dict, dict]:
    """Modules (name to whether it is a package, its path and its packed code) and files (path to packed content)."""
    modules: dict = {}
    files: dict = {}
    for path in ARCHIVES:
        with open(path, "rb") as archive:
            more_modules, more_files = marshal.loads(archive.read())
        modules.update(more_modules)
        files.update(more_files)
    return modules, files


_modules, _files = _load()


def _compile() -> None:
    """Compiles the modules that came as sources."""
    import zlib

    for name, (is_package, path, packed) in list(_modules.items()):
        if packed is None:
            code = compile(zlib.decompress(_files[path]), path, "exec", dont_inherit=True)
            _modules[name] = (is_package, path, zlib.compress(marshal.dumps(code), 9))


def _first(name: str) -> None:
    """Imports a module of the archive before the importer for the others is there."""
    import zlib

    _, path, packed = _modules[name]
    module = type(sys)(name)
    module.__file__ = path
    sys.modules[name] = module
    exec(marshal.loads(zlib.decompress(packed)), module.__dict__)


_compile()
_first("_gym_archive")
sys.modules["_gym_archive"].install(_modules, _files)

from gym_host_sdk._component import entry  # noqa: E402

ResourcesServer = entry.load(PROJECT)

sys.modules["_gym_archive"].seal()
