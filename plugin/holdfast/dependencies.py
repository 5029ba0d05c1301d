"""Brings in site-packages where a hook needs them: hooks start with `-I -S`, without.

Costs 27 ms, so only on cold paths.
"""

import sys

remedy = "run install.py again"  # where a library is missing
_done = False


def enable() -> None:
    """Make pydantic, pyyaml, filelock and tenacity importable, if they are installed for this interpreter."""
    global _done  # noqa: PLW0603
    if not _done and sys.flags.no_site:
        import site

        site.main()
    _done = True
