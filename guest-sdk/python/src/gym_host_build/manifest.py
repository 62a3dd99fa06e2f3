# SPDX-License-Identifier: Apache-2.0
"""Reading pyproject.toml: what kind each setting has is checked, and what says something else than it seems is an error."""

import ast
import re
from pathlib import Path
from typing import Any

from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet

from . import PYTHON, BuildError, requirements


class Manifest:
    """A pyproject.toml. Without one, `table` is empty."""

    def __init__(self, path: Path, table: dict[str, Any], folder: Path) -> None:
        self._path = path
        self._root = table
        self._folder = folder

    def table(self, name: str) -> dict[str, Any]:
        """A table by its dotted name; empty when there is none."""
        value: Any = self._root
        for part in name.split("."):
            value = value.get(part, {})
            if not isinstance(value, dict):
                raise BuildError(f"{self._path}: `{name}` should be a table")
        return value

    def text(self, table: str, name: str) -> str | None:
        """A setting that is a text."""
        value = self.table(table).get(name)
        if value is not None and not isinstance(value, str):
            raise BuildError(f"{self._path}: `{name}` of `[{table}]` should be a text")
        return value

    def texts(self, table: str, name: str) -> list[str]:
        """A setting that is a list of texts."""
        value = self.table(table).get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise BuildError(f"{self._path}: `{name}` of `[{table}]` should be a list of texts")
        return list(value)

    def check_python(self) -> None:
        """Refuses a project that is for other versions of Python than the component's."""
        wanted = self.text("project", "requires-python")
        if wanted is None:
            return
        dotted = ".".join(map(str, PYTHON))
        try:
            fits = SpecifierSet(wanted).contains(f"{dotted}.0")
        except InvalidSpecifier:
            raise BuildError(f"{self._path}: `requires-python` is `{wanted}`, which is no bound of versions") from None
        if not fits:
            raise BuildError(
                f"{self._path}: `requires-python` is `{wanted}`, and Python in a component is {dotted}",
                "change the bound if the environment's code runs there",
            )

    def requirements(self) -> requirements.Requirements:
        """What the project requires: `dependencies`, or requirements.txt when they are not said here."""
        project = self.table("project")
        if "dependencies" in project:
            return requirements.Requirements(lines=self.texts("project", "dependencies"))
        others = self.table("tool.poetry.dependencies").keys() - {"python"}
        if others and not project:
            raise BuildError(
                f"{self._path}: the dependencies in `[tool.poetry.dependencies]` are not read",
                "write them as `dependencies` under `[project]`, which Poetry 2 reads as well",
            )
        files = [self._folder / "requirements.txt"]
        if "dependencies" in self.texts("project", "dynamic"):
            told = self.table("tool.setuptools.dynamic.dependencies").get("file", [])
            files = [self._folder / name for name in ([told] if isinstance(told, str) else told)] or files
            missing = [file for file in files if not file.is_file()]
            if missing:
                raise BuildError(
                    f"{self._path}: `dependencies` are dynamic, and there is no {missing[0].name} that says them",
                    "write them as `dependencies` under `[project]`",
                )
        found = requirements.Requirements()
        for file in files:
            if file.is_file():
                more = requirements.read(file)
                found.lines += more.lines
                found.constraints += more.constraints
                found.find_links += more.find_links
                for name, hashes in more.hashes.items():
                    found.hashes.setdefault(name, set()).update(hashes)
        return found

    def version(self, sources: Path) -> str:
        """The project's version. A dynamic one is read where the settings of setuptools and hatch say."""
        stated = self.text("project", "version") or self.text("tool.poetry", "version")
        if stated is not None or "version" not in self.texts("project", "dynamic"):
            return stated or "0.1.0"
        said = self.table("tool.setuptools.dynamic").get("version", {})
        said = said if isinstance(said, dict) else {}
        found = None
        if isinstance(said.get("attr"), str):
            module, _, name = said["attr"].rpartition(".")
            path = sources / module.replace(".", "/")
            found = _assigned([path.with_suffix(".py"), path / "__init__.py"], {name})
        elif said.get("file"):
            file = said["file"] if isinstance(said["file"], str) else said["file"][0]
            found = _content(self._folder / file)
        elif self.text("tool.hatch.version", "path"):
            found = _assigned([self._folder / self.table("tool.hatch.version")["path"]], {"__version__", "VERSION"})
        if not found:
            raise BuildError(
                f"{self._path}: `version` is dynamic, and where it comes from is not known here",
                "write `version` under `[project]`",
            )
        return found


def _content(path: Path) -> str | None:
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def _assigned(paths: list[Path], names: set[str]) -> str | None:
    """The text that a module assigns to one of these names. The module is not run."""
    for path in paths:
        if not path.is_file():
            continue
        try:
            body = ast.parse(path.read_text(encoding="utf-8")).body
        except SyntaxError:
            continue
        for statement in body:
            targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
            value = getattr(statement, "value", None)
            is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
            if is_text and any(isinstance(target, ast.Name) and target.id in names for target in targets):
                return re.sub(r"\s", "", value.value)
    return None
