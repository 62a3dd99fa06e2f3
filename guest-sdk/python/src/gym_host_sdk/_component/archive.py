# SPDX-License-Identifier: Apache-2.0
"""Modules and files from memory: an importer, and the read-only part of a file system. In a component it is the module
`_gym_archive`, and uses built-in modules only until the importer is there."""

import marshal
import sys
import zlib
from _frozen_importlib import ModuleSpec

#: Paths below these are ours.
ROOTS = ("/0", "/python")

_modules: dict = {}
_files: dict = {}
_folders: dict = {}


class Importer:
    """Finds the modules of the archive: a finder and a loader in one."""

    def find_spec(self, name, path=None, target=None):
        found = _modules.get(name)
        if found is None:
            return None
        is_package, file, _ = found
        spec = ModuleSpec(name, self, origin=file, is_package=is_package)
        if is_package:
            spec.submodule_search_locations = [file.rpartition("/")[0]]
        spec.has_location = True
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__spec__.name), module.__dict__)

    def _found(self, name):
        found = _modules.get(name)
        if found is None:
            raise ImportError(f"there is no module `{name}`", name=name)
        return found

    def get_code(self, name):
        return marshal.loads(zlib.decompress(self._found(name)[2]))

    def is_package(self, name):
        return self._found(name)[0]

    def get_filename(self, name):
        return self._found(name)[1]

    def get_source(self, name):
        source = _files.get(self._found(name)[1])
        return None if source is None else zlib.decompress(source).decode("utf-8")

    def get_data(self, path):
        return content(path)

    def get_resource_reader(self, name):
        return _resources(self.get_filename(name).rpartition("/")[0])

    def find_distributions(self, context=None):
        from importlib.metadata import MetadataPathFinder

        return MetadataPathFinder.find_distributions(*([] if context is None else [context]))

    def invalidate_caches(self):
        from importlib.metadata import MetadataPathFinder

        MetadataPathFinder.invalidate_caches()


class NamespaceImporter:
    """Finds folders without an `__init__`, which are packages too: the last finder, and the loader."""

    def find_spec(self, name, path=None, target=None):
        below = name.replace(".", "/")
        folders = [folder for root in ROOTS if (folder := f"{root}/{below}") in _folders]
        if not folders:
            return None
        spec = ModuleSpec(name, self, is_package=True)
        spec.submodule_search_locations = folders
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        """There is no code."""

    def is_package(self, name):
        return True

    def get_code(self, name):
        return compile("", "<namespace>", "exec", dont_inherit=True)

    def get_source(self, name):
        return ""

    def get_resource_reader(self, name):
        return _resources(sys.modules[name].__path__[0])


class Folder:
    """What `pkgutil` asks for the modules of a folder."""

    def __init__(self, path):
        self._path = _normal(path)
        if self._path not in _folders:
            raise ImportError(f"there is no folder `{path}`", path=path)

    def iter_modules(self, prefix=""):
        for name in sorted(_folders[self._path]):
            stem, dot, ending = name.partition(".")
            if dot and ending == "py" and stem != "__init__":
                yield prefix + stem, False
            elif not dot and "__init__.py" in _folders.get(f"{self._path}/{name}", ()):
                yield prefix + name, True


def _resources(folder):
    import pathlib

    from importlib.resources import abc, readers

    class Reader(readers.FileReader):
        def __init__(self, path):
            self.path = path

    assert issubclass(Reader, abc.TraversableResources)
    return Reader(pathlib.Path(folder))


def install(modules: dict, files: dict) -> None:
    """Makes modules and files importable and readable."""
    _modules.update(modules)
    _files.update(files)
    _folders.update({root: set() for root in ROOTS})
    for path in [*_files, *(file for _, file, _ in _modules.values())]:
        while path not in ROOTS:
            folder, _, name = path.rpartition("/")
            if not folder or name in _folders.setdefault(folder, set()):
                break
            _folders[folder].add(name)
            path = folder
    # Before anything is imported that keeps `open` under a name of its own.
    _replace_file_functions()
    sys.meta_path.insert(0, Importer())
    sys.meta_path.append(NamespaceImporter())


def seal() -> None:
    """The last step of building: from here on there is nothing but the archive."""
    import gc
    import linecache

    # These look into folders that will not be there.
    sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "PathFinder"]
    sys.path_hooks[:] = [Folder]
    sys.path_importer_cache.clear()
    sys.path[:] = list(reversed(ROOTS))
    linecache.clearcache()
    gc.collect()
    # What is there now stays; the collector need not look at it, and so does not write to its pages.
    gc.freeze()


def _normal(path):
    """The path of ours that is meant, or None."""
    import os
    import posixpath

    if isinstance(path, int):
        return None
    path = os.fspath(path)
    if isinstance(path, bytes):
        path = path.decode("utf-8", "surrogateescape")
    path = posixpath.normpath(posixpath.join("/", path))
    is_ours = any(path == root or path.startswith(root + "/") for root in ROOTS)
    return path if is_ours or path == "/" else None


def content(path) -> bytes:
    """What a file holds."""
    import errno
    import os

    ours = _normal(path)
    if ours in _files:
        return zlib.decompress(_files[ours])
    number = errno.EISDIR if ours in _folders else errno.ENOENT
    raise OSError(number, os.strerror(number), str(path))


def _replace_file_functions() -> None:
    import builtins
    import errno
    import io
    import os
    import posix

    real_open, real_stat, real_list, real_access = io.open, posix.stat, posix.listdir, posix.access

    class File(io.BytesIO):
        def __init__(self, path, data):
            super().__init__(data)
            self.name = path
            self.mode = "rb"

    def open(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        if isinstance(file, int) or _normal(file) is None:
            return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if set(mode) & set("wax+"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(file))
        data = File(os.fspath(file), content(file))
        if "b" in mode:
            return data
        if encoding is None or encoding == "locale":
            encoding = "utf-8"
        text = io.TextIOWrapper(data, encoding, errors, newline)
        text.mode = mode
        return text

    def missing(path):
        return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def status(path):
        ours = _normal(path)
        if ours in _folders or ours == "/":
            return os.stat_result((0o040555, 1, 1, 1, 0, 0, 0, 0, 0, 0))
        if ours in _files:
            return os.stat_result((0o100444, 1, 1, 1, 0, 0, len(content(ours)), 0, 0, 0))
        raise missing(path)

    def stat(path, *, dir_fd=None, follow_symlinks=True):
        if _normal(path) is None:
            return real_stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        return status(path)

    def listdir(path="."):
        ours = _normal(path)
        if ours is None:
            return real_list(path)
        if ours == "/":
            return sorted(root[1:] for root in ROOTS)
        if ours not in _folders:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) if ours in _files else missing(path)
        return sorted(name for name in _folders[ours] if f"{ours}/{name}" in _files or f"{ours}/{name}" in _folders)

    class Entry(os.PathLike):
        def __init__(self, folder, name):
            self.name, self.path = name, os.path.join(folder, name)

        def __fspath__(self):
            return self.path

        def is_dir(self, *, follow_symlinks=True):
            return _normal(self.path) in _folders

        def is_file(self, *, follow_symlinks=True):
            return not self.is_dir()

        def is_symlink(self):
            return False

        def is_junction(self):
            return False

        def stat(self, *, follow_symlinks=True):
            return status(self.path)

        def inode(self):
            return 1

    class Entries:
        def __init__(self, path):
            self._entries = iter([Entry(os.fspath(path), name) for name in listdir(path)])

        def __iter__(self):
            return self

        def __next__(self):
            return next(self._entries)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.close()

        def close(self):
            self._entries = iter(())

    def scandir(path="."):
        return Entries("." if path is None else path)

    def access(path, mode, **options):
        if _normal(path) is None:
            return real_access(path, mode, **options)
        return _normal(path) in (_files.keys() | _folders.keys()) and not mode & os.W_OK

    builtins.open = io.open = open
    io.open_code = lambda path: open(path, "rb")
    for module in (os, posix):
        module.stat = module.lstat = stat
        module.listdir, module.scandir, module.access = listdir, scandir, access
