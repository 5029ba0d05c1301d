"""Paths that reach the project through a symbolic link, as `/tmp` does on macOS.

Cold: few tools are given such paths.
"""

import os


def inside(path: str, root: str) -> str:
    """`path` relative to `root` if both are the same place once links are resolved; else as it is."""
    if not os.path.isabs(path):
        return path
    real, base = os.path.realpath(path), os.path.realpath(root)
    return os.path.relpath(real, base).replace(os.sep, "/") if real.startswith(base + os.sep) else path
