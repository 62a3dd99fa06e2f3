# SPDX-License-Identifier: Apache-2.0
"""Wheels: downloaded once, checked against the lock, unpacked in memory."""

import fnmatch
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from pip._vendor.packaging.utils import InvalidWheelFilename, parse_wheel_filename
from pip._vendor.packaging.version import InvalidVersion, Version

from . import BuildError
from .project import Project
from .requirements import normal
from .resolve import Pinned, pip_environment, target_options

_NATIVE = (".so", ".pyd", ".dylib", ".dll", ".a", ".o")


def fetch(project: Project, pins: list[Pinned], store: Path) -> list[Path]:
    """The wheels of these packages, from the store or by pip."""
    store.mkdir(parents=True, exist_ok=True)
    missing = [pin for pin in pins if _stored(store, pin) is None]
    if missing:
        with tempfile.TemporaryDirectory(dir=store) as folder:
            lock = Path(folder, "requirements.txt")
            lock.write_text("".join(pin.line() + "\n" for pin in missing))
            command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--require-hashes"]
            command += [f"--dest={folder}", f"--requirement={lock}", *target_options()]
            command += [f"--find-links={link}" for link in project.find_links]
            done = subprocess.run(command, capture_output=True, text=True, env=pip_environment())
            if done.returncode != 0:
                lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
                reason = " ".join(line.removeprefix("ERROR: ") for line in lines) or done.stderr.strip()
                raise BuildError(
                    f"failed to download what {project.lock} names: {reason}", "delete the lock file to make it anew"
                )
            for wheel in Path(folder).glob("*.whl"):
                digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
                home = store / digest
                home.mkdir(exist_ok=True)
                wheel.rename(home / wheel.name)
    wheels = []
    for pin in pins:
        wheel = _stored(store, pin)
        if wheel is None:
            raise BuildError(f"`{pin.name}` {pin.version} was downloaded, but not as the wheel of the lock")
        wheels.append(wheel)
    return wheels


def _stored(store: Path, pin: Pinned) -> Path | None:
    """The wheel of a pin: of this package and version, whatever else has its digest in a lock that was edited."""
    wheel = next((path for path in sorted((store / pin.sha256).glob("*.whl")) if _is_of(path.name, pin)), None)
    if wheel is None or hashlib.sha256(wheel.read_bytes()).hexdigest() != pin.sha256:
        return None
    return wheel


def _is_of(name: str, pin: Pinned) -> bool:
    try:
        found, version, _, _ = parse_wheel_filename(name)
        return normal(found) == pin.name and version == Version(pin.version)
    except (InvalidWheelFilename, InvalidVersion):
        return False


def unpack(project: Project, wheels: list[Path]) -> dict[str, bytes]:
    """The files of wheels by their paths in the component, relative to the root of modules."""
    files: dict[str, bytes] = {}
    owners: dict[str, str] = {}
    for wheel in wheels:
        package = "-".join(wheel.name.split("-")[:2])
        with zipfile.ZipFile(wheel) as archive:
            for entry in sorted(archive.namelist()):
                path = _place(entry)
                if path is None or _is_left_out(project, path):
                    continue
                if path.endswith(_NATIVE) or ".so." in path:
                    raise BuildError(
                        f"the package `{package}` has native code (`{entry}`), which does not run in a component"
                    )
                content = archive.read(entry)
                if path in files and files[path] != content:
                    raise BuildError(f"both `{owners[path]}` and `{package}` bring the file `{path}`")
                files[path], owners[path] = content, package
    return files


def _place(entry: str) -> str | None:
    """Where an entry of a wheel belongs; None if it is no part of a component."""
    parts = PurePosixPath(entry).parts
    if not parts or entry.endswith("/") or ".." in parts or entry.startswith("/"):
        return None
    if parts[0].endswith(".data"):
        return "/".join(parts[2:]) if len(parts) > 2 and parts[1] in ("purelib", "platlib") else None
    return "/".join(parts)


def _is_left_out(project: Project, path: str) -> bool:
    parts = path.split("/")
    # Packages' own tests are large, and nothing imports them.
    if "tests" in parts[1:-1] or "__pycache__" in parts or path.endswith((".pyc", ".pyi")):
        return True
    return any(fnmatch.fnmatch(path, pattern) for pattern in project.exclude)
