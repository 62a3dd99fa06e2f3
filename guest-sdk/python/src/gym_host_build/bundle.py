# SPDX-License-Identifier: Apache-2.0
"""The archives that a component is made from. An archive is the marshalled pair (modules, files): modules by name, with
whether they are packages, their path and their packed code (None: to be compiled from the source); files by path, packed.
"""

import marshal
import re
import zlib
from pathlib import Path

from .project import Project

Modules = dict[str, tuple[bool, str, bytes | None]]
Files = dict[str, bytes]

_ROOT = "/0/"


def sources(files: dict[str, bytes]) -> tuple[Modules, Files]:
    """Modules and files of a tree of sources, by paths relative to the root of modules."""
    modules: Modules = {}
    packed: Files = {}
    for path, content in sorted(files.items()):
        packed[_ROOT + path] = zlib.compress(content, 9)
        name = module_name(path)
        if name is not None:
            modules[name] = (path.endswith("/__init__.py"), _ROOT + path, None)
    return modules, packed


def module_name(path: str) -> str | None:
    """The module that a file is; None if it is none."""
    if not path.endswith(".py"):
        return None
    parts = path.removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts) if parts and not any("." in part for part in parts) else None


def write(path: Path, modules: Modules, files: Files) -> None:
    """Writes an archive."""
    path.write_bytes(marshal.dumps((modules, files)))


def own_files(project: Project, sdk: Path) -> dict[str, bytes]:
    """The files of the SDK and of the environment itself."""
    files = {}
    for path in sorted((sdk / "gym_host_sdk").rglob("*.py")):
        files[path.relative_to(sdk).as_posix()] = path.read_bytes()
    # The importer must be there before the package that it comes from.
    files["_gym_archive.py"] = files.pop("gym_host_sdk/_component/archive.py")
    del files["gym_host_sdk/_component/boot.py"]
    for path, source in project.modules():
        files[path] = source.read_bytes()
    return files


def metadata(project: Project, sdk_version: str) -> dict[str, bytes]:
    """What `importlib.metadata` says of the environment and the SDK."""
    files = {}
    for name, version in ((project.distribution, project.version), ("gym-host-sdk", sdk_version)):
        folder = f"{re.sub(r'[-_.]+', '_', name)}-{version}.dist-info"
        files[f"{folder}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    return files
