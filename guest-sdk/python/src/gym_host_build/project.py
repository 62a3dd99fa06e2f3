# SPDX-License-Identifier: Apache-2.0
"""What an environment's folder says of itself: `pyproject.toml`, or only `requirements.txt`."""

import fnmatch
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from . import BuildError
from .manifest import Manifest
from .requirements import normal

_SETTINGS = {"module", "without", "exclude", "find-links"}
_LEFT_OUT = {"__pycache__", ".git", ".venv", "venv", "node_modules", "target", "tests", "data", "configs", "wheels"}
#: Files of a project that its modules do not read.
_NO_PART = (
    ".*", "*.lock", "*.md", "*.partial*", "*.rst", "*.wasm", "LICENSE*", "Makefile", "pyproject.toml", "requirements*",
    "setup.cfg", "tox.ini",
)  # fmt: skip


@dataclass
class Project:
    """An environment's project."""

    folder: Path
    #: The environment's name: that of its folder.
    name: str
    #: The name that the project gives itself, for `importlib.metadata`.
    distribution: str
    version: str
    #: Name of the module with the `@resources_server`.
    module: str
    #: The folder that is the root of the environment's modules.
    sources: Path
    #: Requirements as they are written, without the SDK.
    requirements: list[str]
    #: Bounds for packages that others require.
    constraints: list[str] = field(default_factory=list)
    #: The SHA-256 that a package may have, by its name; empty when any will do.
    hashes: dict[str, set[str]] = field(default_factory=dict)
    #: Packages that are left out of the component although others require them.
    without: set[str] = field(default_factory=set)
    #: Patterns of files of packages that are left out.
    exclude: list[str] = field(default_factory=list)
    #: Folders with wheels, besides the index.
    find_links: list[Path] = field(default_factory=list)

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.folder / "requirements.lock"

    def modules(self) -> list[tuple[str, Path]]:
        """The environment's own files with their paths in the component, relative to the root of modules."""
        if self.sources == self.folder:
            files = [path for path in sorted(self.folder.iterdir()) if path.is_file() and _is_own(path.name)]
            for package in sorted(self.folder.iterdir()):
                if package.is_dir() and package.name not in _LEFT_OUT and any(package.glob("*.py")):
                    files += _files(package)
        else:
            files = _files(self.sources)
        return [(path.relative_to(self.sources).as_posix(), path) for path in files]


def _files(folder: Path) -> list[Path]:
    found = []
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and "__pycache__" not in parts and not any(part.endswith(".egg-info") for part in parts):
            found.append(path)
    return found


def _is_own(name: str) -> bool:
    """Whether a file beside the environment's module belongs into the component: modules, and what they may read."""
    if name.endswith(".py"):
        return not _is_test(name)
    return not any(fnmatch.fnmatch(name, pattern) for pattern in _NO_PART)


def _is_test(name: str) -> bool:
    return fnmatch.fnmatch(name, "test_*.py") or fnmatch.fnmatch(name, "*_test.py") or name in ("conftest.py", "setup.py")


def read(folder: Path, name: str) -> Project:
    """Reads the project of a folder. `name` is the environment's."""
    manifest = folder / "pyproject.toml"
    table: dict = {}
    if manifest.is_file():
        try:
            table = tomllib.loads(manifest.read_text(encoding="utf-8-sig"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BuildError(f"{manifest} is not valid TOML: {error}") from None
    reader = Manifest(manifest, table, folder)
    settings = reader.table("tool.gym-host")
    unknown = sorted(settings.keys() - _SETTINGS)
    if unknown:
        raise BuildError(
            f"{manifest}: `[tool.gym-host]` has no setting `{unknown[0]}`",
            f"the settings are {', '.join(f'`{known}`' for known in sorted(_SETTINGS))}",
        )
    reader.check_python()
    wanted = reader.requirements()
    sources = folder / "src" if (folder / "src").is_dir() else folder
    module = reader.text("tool.gym-host", "module") or _module(folder, sources, name)
    links = [folder / link for link in reader.texts("tool.gym-host", "find-links")]
    for link in links:
        if not link.is_dir():
            raise BuildError(f"{manifest}: the folder `{link}` of `find-links` does not exist")
    return Project(
        folder=folder,
        name=name,
        distribution=reader.text("project", "name") or name,
        version=reader.version(sources),
        module=module,
        sources=sources,
        requirements=[line for line in wanted.lines if not is_sdk(line)],
        constraints=wanted.constraints,
        hashes=wanted.hashes,
        without={normal(package) for package in reader.texts("tool.gym-host", "without")},
        exclude=reader.texts("tool.gym-host", "exclude"),
        find_links=links + wanted.find_links,
    )


def is_sdk(requirement: str) -> bool:
    """Whether a requirement is this SDK, which gym-host brings itself."""
    head = requirement.replace("[", " ").replace("=", " ").replace("@", " ").replace("<", " ").replace(">", " ")
    return normal((head.split() or [""])[0]) == "gym-host-sdk"


def _module(folder: Path, sources: Path, name: str) -> str:
    for module in ("app", name):
        if (sources / f"{module}.py").is_file() or (sources / module / "__init__.py").is_file():
            return module
    raise BuildError(
        f"the environment `{name}` has no module `app` or `{name}` in {sources}",
        "name the module with `module = \"…\"` under `[tool.gym-host]` in pyproject.toml",
    )
