# SPDX-License-Identifier: Apache-2.0
"""Files in memory, in place of a file system: `open`, `os` and `pathlib` as far as programs commonly use them."""

import builtins
import errno
import io
import os
import stat

_files = {}
#: Programs expect a folder for what is temporary.
_FOLDERS = ("/", "/tmp")
_folders = set(_FOLDERS)
_real_open = builtins.open
_real_stat = os.stat


def install(files):
    """Begin with these files, pairs of path and bytes."""
    _files.clear()
    _folders.clear()
    _folders.update(_FOLDERS)
    for path, content in files:
        path = _full(path)
        _files[path] = bytes(content)
        _add_folders(os.path.dirname(path))
    builtins.open = io.open = open_file
    os.stat = os.lstat = _stat
    os.listdir, os.scandir = _listdir, _scandir
    os.remove = os.unlink = _remove
    os.mkdir, os.makedirs, os.rmdir = _mkdir, _makedirs, _rmdir
    os.rename = os.replace = _rename
    os.getcwd = lambda: "/"
    os.path.exists = os.path.lexists = _exists
    os.path.isfile = lambda path: _full(path) in _files
    os.path.isdir = lambda path: _full(path) in _folders
    os.path.getsize = lambda path: _stat(path).st_size


def open_file(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    """`open`, for files in memory and for descriptors."""
    if isinstance(file, int) or opener is not None:
        return _real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    path, kinds = _full(file), set(mode)
    if path == "/dev/stdin":
        return _real_open(0, mode, buffering, encoding, errors, newline, False)
    if len(kinds) != len(mode) or kinds - set("rwxab+t") or len(kinds & set("rwxa")) != 1 or {"b", "t"} <= kinds:
        raise ValueError(f"invalid mode: {mode!r}")
    if path in _folders:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
    if "r" in kinds and path not in _files:
        raise _missing(file)
    if "x" in kinds and path in _files:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
    if "r" not in kinds and os.path.dirname(path) not in _folders:
        raise _missing(file)
    raw = _MemoryFile(path, kinds)
    raw.name, raw.mode = file, mode
    if "b" in kinds:
        return raw
    text = io.TextIOWrapper(raw, encoding=encoding or "utf-8", errors=errors, newline=newline)
    text.mode = mode
    return text


class _MemoryFile(io.BytesIO):
    def __init__(self, path, kinds):
        keeps = "w" not in kinds
        super().__init__(_files.get(path, b"") if keeps else b"")
        self._path, self._appends = path, "a" in kinds
        self._reads, self._writes = bool(kinds & set("r+")), bool(kinds & set("wxa+"))
        if self._appends:
            self.seek(0, io.SEEK_END)
        if self._writes:
            _files[path] = self.getvalue()

    def readable(self):
        return self._reads

    def writable(self):
        return self._writes

    def read(self, *arguments):
        return self._checked(self._reads, "not readable", super().read, arguments)

    def write(self, data):
        if self._appends and not self.closed:
            self.seek(0, io.SEEK_END)
        return self._checked(self._writes, "not writable", super().write, (data,))

    def _checked(self, allowed, problem, call, arguments):
        if not allowed:
            raise io.UnsupportedOperation(problem)
        return call(*arguments)

    def flush(self):
        super().flush()
        if self._writes and self._path in _files:
            _files[self._path] = self.getvalue()

    def close(self):
        if not self.closed:
            self.flush()
        super().close()


def _full(path):
    path = os.fspath(path)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    return os.path.normpath(os.path.join("/", path)).replace("//", "/")


def _missing(path):
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))


def _add_folders(folder):
    while folder not in _folders:
        _folders.add(folder)
        folder = os.path.dirname(folder)


def _stat(path, *, dir_fd=None, follow_symlinks=True):
    if isinstance(path, int):
        return _real_stat(path)
    full = _full(path)
    if full in _folders:
        return os.stat_result((stat.S_IFDIR | 0o755, 0, 0, 1, 0, 0, 0, 0, 0, 0))
    if full in _files:
        return os.stat_result((stat.S_IFREG | 0o644, 0, 0, 1, 0, 0, len(_files[full]), 0, 0, 0))
    raise _missing(path)


def _exists(path):
    if isinstance(path, int):
        return True
    full = _full(path)
    return full in _files or full in _folders


def _listdir(path="."):
    folder = _full(path)
    if folder not in _folders:
        raise _missing(path) if folder not in _files else NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    return sorted(os.path.basename(name) for name in [*_files, *_folders.difference(_FOLDERS)] if os.path.dirname(name) == folder)


class _Entry:
    def __init__(self, folder, name):
        self.name, self.path = name, os.path.join(folder, name)

    def __fspath__(self):
        return self.path

    def is_dir(self, *, follow_symlinks=True):
        return _full(self.path) in _folders

    def is_file(self, *, follow_symlinks=True):
        return _full(self.path) in _files

    def is_symlink(self):
        return False

    def stat(self, *, follow_symlinks=True):
        return _stat(self.path)


class _scandir:
    def __init__(self, path="."):
        self._entries = iter([_Entry(os.fspath(path), name) for name in _listdir(path)])

    def __iter__(self):
        return self._entries

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._entries = iter(())


def _remove(path, *, dir_fd=None):
    if _files.pop(_full(path), None) is None:
        raise _missing(path)


def _mkdir(path, mode=0o777, *, dir_fd=None):
    folder = _full(path)
    if _exists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    if os.path.dirname(folder) not in _folders:
        raise _missing(path)
    _folders.add(folder)


def _makedirs(name, mode=0o777, exist_ok=False):
    folder = _full(name)
    if folder in _files or folder in _folders and not exist_ok:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
    _add_folders(folder)


def _rmdir(path, *, dir_fd=None):
    folder = _full(path)
    if folder not in _folders:
        raise _missing(path)
    if folder == "/" or _listdir(path):
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), path)
    _folders.discard(folder)


def _rename(source, target, *, src_dir_fd=None, dst_dir_fd=None):
    content = _files.pop(_full(source), None)
    if content is None:
        raise _missing(source)
    _files[_full(target)] = content
