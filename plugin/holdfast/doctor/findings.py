"""What the doctor says: one line a finding, with its remedy."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from holdfast.events import clean

if TYPE_CHECKING:
    from collections.abc import Iterable

OK, NOTE, PROBLEM = "ok", "note", "problem"
LONGEST = 600  # characters of a finding: commands of others stand in it


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        host: whose, or None for the project's own state.
        check: what was looked at: program, version, registration, stale, paths, foreign, twice, off, trust, dry-run,
            live; of the state: folder, workflow, index, state, spool, lock, degraded, mode, environment.
        level: `ok`, `note` for what may stay as it is, `problem`.
        finding: in one line.
        remedy: what to do about it, or "".
    """

    host: str | None
    check: str
    level: str
    finding: str
    remedy: str = ""

    def line(self, project: str, home: str) -> str:
        """The finding as people read it: paths are shown from the project's folder, or from the home."""
        said = f"{self.level:8} {self.host or 'project':8} {clean(self.finding, LONGEST)}"
        whole = f"{said}: {clean(self.remedy, LONGEST)}" if self.remedy else said
        return whole.replace(project + os.sep, "").replace(home + os.sep, f"~{os.sep}")

    def to_dict(self) -> dict[str, str | None]:
        """The finding with its stable keys."""
        return asdict(self)


def well(findings: Iterable[Finding]) -> bool:
    """Whether nothing among the findings is a problem."""
    return all(found.level != PROBLEM for found in findings)


def counted(hooks: int) -> str:
    """So many hooks are, or one is."""
    return "1 hook is" if hooks == 1 else f"{hooks} hooks are"
