"""The system calls of the code under test, seen on their way to the kernel, so that they can be recorded or fail."""

import contextlib
import errno
import functools
import io
import os

import pytest

try:
    import posix
except ImportError:  # Windows
    posix = None

ALTERING = ("open", "write", "fsync", "ftruncate", "truncate", "link", "symlink", "rename", "replace", "unlink")
ALTERING += ("mkdir", "rmdir")
SAME = {"remove": "unlink", "fdatasync": "fsync"}
UNSEEN = ("sendfile", "copy_file_range", "pwrite", "writev")


class _Raw(io.FileIO):
    """A file of Python's own that writes by `os.write`, where it is seen."""

    def write(self, data):
        return os.write(self.fileno(), data)


@contextlib.contextmanager
def led_through(around):
    """Lead each call that alters a file system through `around(name, real, *arguments)`, which does or fails it.

    What Python's own files write comes by `os.open` and `os.write` then; calls that could not be followed are refused.
    """

    def refuse(*_arguments, **_options):
        raise OSError(errno.ENOTSUP, "not followed by the test")

    with pytest.MonkeyPatch.context() as patch:

        def put(name, call):
            for module in (os, posix):
                if module is not None and hasattr(module, name):
                    patch.setattr(module, name, call)

        for name in (*ALTERING, *SAME, "close"):
            put(name, functools.partial(around, SAME.get(name, name), getattr(os, name, None)))
        for name in UNSEEN:
            put(name, refuse)
        patch.setattr(io, "open", _open(io.open))
        patch.setattr("builtins.open", io.open)
        yield


def _open(real):
    def opened(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        if not set(mode) & set("wax+"):
            return real(file, mode, buffering, encoding, errors, newline, closefd, opener)
        if not isinstance(file, int):
            flags = {"w": os.O_CREAT | os.O_TRUNC, "a": os.O_CREAT | os.O_APPEND, "x": os.O_CREAT | os.O_EXCL}
            access = os.O_RDWR if "+" in mode else os.O_WRONLY
            kind = next(letter for letter in mode if letter in "wxar")
            file = (opener or os.open)(os.fspath(file), flags.get(kind, 0) | access | getattr(os, "O_CLOEXEC", 0))
            closefd = True
        raw = _Raw(file, mode.replace("b", "").replace("t", "").replace("x", "w"), closefd)
        if buffering == 0:
            return raw
        stream = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return stream if "b" in mode else io.TextIOWrapper(stream, encoding, errors, newline)

    return opened
