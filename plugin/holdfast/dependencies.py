"""Brings in site-packages where a hook needs them: hooks start with `-I -S`, without.

Costs 27 ms, so only on cold paths.
"""

import sys

data = ""  # the folder of a native package's data, where the command runs from one
_done = False


def enable() -> None:
    """Make pydantic, pyyaml, filelock and tenacity importable, if they are installed for this interpreter."""
    global _done  # noqa: PLW0603
    if not _done and sys.flags.no_site:
        import site

        site.main()
    _done = True


def remedy() -> str:
    """What helps where a library is missing; the environment of a native package is made again."""
    folder = data or (sys.argv[sys.argv.index("--data") + 1] if "--data" in sys.argv[:-1] else "")
    if not folder:
        return "run install.py again"
    from holdfast import native

    if not native.inside(folder):
        return "the private environment is not ready"
    native.distrust(folder)
    return "the private environment is not whole, and the next start of a session makes it again"
