"""A copy of what of a home and a project says how hooks run: every path under one temporary folder.

`/home/you/app` is `STAGE/home/you/app` there, so that what names a folder (trust, a project in the home, a repository
around it) names its copy by the same rule. Nothing is copied but what the hosts' modules ask for, and the workflow.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from typing import TYPE_CHECKING, Any

from holdfast import lean
from holdfast.doctor import isolation, profiles
from holdfast.errors import HoldfastError
from holdfast.hook import FOLDER
from holdfast.install import targets
from holdfast.workflow import index, loader
from holdfast.workflow.index import SOURCE

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

# Version managers start programs by files in the home.
MANAGERS = {
    "VOLTA_HOME": ".volta",
    "ASDF_DATA_DIR": ".asdf",
    "MISE_DATA_DIR": ".local/share/mise",
    "NVM_DIR": ".nvm",
    "PYENV_ROOT": ".pyenv",
}
KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "SHELL", "USER", "LOGNAME", "TZ", "SYSTEMROOT")
# What a shell reads before it runs a command: a line that one of these prints comes before what the hook says.
PROFILES = (".zshenv", ".config/fish/config.fish")
PROFILE_VARIABLES = ("BASH_ENV", "ENV")
FOLDER_VARIABLES = ("OPENCODE_CONFIG_DIR",)  # further ones that name a folder of a host's settings
HEAD = "ref: refs/heads/main\n"

PROBE = "holdfast-doctor"
PROBE_FILE = "holdfast-doctor.md"
PROBE_SIGNAL = "HOLDFAST_DOCTOR"


class Stage:
    """A temporary copy; a context manager that deletes it.

    Args:
        project: the real project's folder.

    Attributes:
        root: the folder of all.
        real: the real project's folder, links resolved.
        project: its copy.
        home: the home's copy.
        scratch: a folder for what is no copy.
        left_out: shells' profiles that are not copied, for a secret in them cannot be taken out.

    Raises:
        HoldfastError: there is no such thing on Windows, where a path cannot stand below another.
    """

    def __init__(self, project: str) -> None:
        if os.name != "posix":
            raise HoldfastError("a copy of the home cannot be made on Windows")
        self.given, self.real = os.path.abspath(project), os.path.realpath(project)
        self.root = os.path.realpath(tempfile.mkdtemp(prefix="holdfast-doctor-"))
        self.project = self.place(project)
        self.home = self.place(targets.home())
        self.scratch = os.path.join(self.root, "holdfast-doctor")
        self.left_out: list[str] = []

    def __enter__(self) -> Self:
        for folder in (self.project, self.home, self.scratch):
            os.makedirs(folder, exist_ok=True)
        self._mark_repository()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def place(self, path: str) -> str:
        """Where the copy of a path is. Links within home and project are not followed: hosts look at their names."""
        path = os.path.abspath(path)
        for base in (self.given, targets.home()):
            if path == base or path.startswith(base + os.sep):
                return self.moved(os.path.realpath(base) + path[len(base) :])
        return self.moved(os.path.realpath(path))

    def moved(self, name: str) -> str:
        """A name that begins with an absolute path, as it is in the stage."""
        return self.root + name if name.startswith("/") else name

    def write(self, path: str, content: str) -> None:
        """Write the copy of a file."""
        made = self.place(path)
        os.makedirs(os.path.dirname(made), exist_ok=True)
        with open(made, "w", encoding="utf-8") as file:
            file.write(content)

    def env(self) -> dict[str, str]:
        """The environment of who runs in the stage: the user's, but for all that may be secret or lead out of it."""
        env = {name: os.environ[name] for name in KEPT if name in os.environ}
        env |= {"HOME": self.home, "TMPDIR": self.scratch}
        for name, folder in MANAGERS.items():
            path = os.environ.get(name) or os.path.join(targets.home(), folder)
            if os.path.isdir(path):
                env[name] = path
        for host in targets.HOSTS.values():
            if os.environ.get(host.home_variable):
                env[host.home_variable] = self.place(os.environ[host.home_variable])
        named = (*PROFILE_VARIABLES, *FOLDER_VARIABLES)
        return env | {name: self.place(os.environ[name]) for name in named if os.environ.get(name)}

    def _mark_repository(self) -> None:
        """Make it look like a repository where the real project lies in one: hosts ask for the repository's folder."""
        folder = self.real
        while not os.path.exists(os.path.join(folder, ".git")):
            if os.path.dirname(folder) == folder:
                return
            folder = os.path.dirname(folder)
        for name in ("objects", "refs"):
            os.makedirs(os.path.join(self.moved(folder), ".git", name), exist_ok=True)
        self.write(os.path.join(folder, ".git", "HEAD"), HEAD)

    def furnish(self) -> None:
        """Bring the workflow, with what makes each moment say something, and the shells' profiles."""
        folder = os.path.join(self.real, FOLDER)
        try:
            text = lean.read(os.path.join(folder, SOURCE)).decode()
            loader.load(text, SOURCE)
        except (OSError, ValueError, HoldfastError):  # what is wrong with it is told by other means
            text = ""
        self.write(os.path.join(folder, SOURCE), probed(text))
        os.chmod(self.place(folder), 0o700)
        index.refresh(self.place(folder))  # else the first hook would
        named = [os.environ[name] for name in PROFILE_VARIABLES if os.environ.get(name)]
        for path in [*named, *(os.path.join(targets.home(), *name.split("/")) for name in PROFILES)]:
            try:
                made = profiles.harmless(lean.read(path).decode())
            except (OSError, ValueError):
                continue
            if made is None:
                self.left_out.append(path)
            else:
                self.write(path, made)


def probed(text: str) -> str:
    """A workflow with a phase, a signal and a skill more, so that every hook that may say something has to.

    Args:
        text: a valid workflow in YAML, or "".
    """
    import yaml

    flow: dict[str, Any] = (yaml.safe_load(text) if text else None) or {"version": 1, "name": PROBE}
    title = "Say what the doctor waits for"
    flow["phases"] = [{"id": PROBE, "title": title, "next": PROBE_SIGNAL}, *(flow.get("phases") or [])]
    if len(flow["phases"]) == 1:
        flow["phases"].append({"id": f"{PROBE}-end", "title": "All was said"})
    flow["signals"] = {PROBE_SIGNAL: {"tool": "edit", "path": PROBE_FILE}, **(flow.get("signals") or {})}
    flow["skills"] = {PROBE: {"priority": "critical", "keywords": [PROBE]}, **(flow.get("skills") or {})}
    return yaml.safe_dump(flow, sort_keys=False, allow_unicode=True)


def version_of(program: str, stage: Stage) -> str:
    """What a program says to `--version`, in a stage, or ""."""
    words, env = isolation.apart()
    try:
        with subprocess.Popen(  # noqa: S603  the user's own CLI
            [*words, program, "--version"],
            env={**env, **stage.env()},
            cwd=stage.scratch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                said = process.communicate(timeout=30)[0].decode("utf-8", "replace")
            finally:
                isolation.end_group(process.pid)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"(?<!\d)\d{1,9}(\.\d{1,9}){2}(?!\d)[!-~]*", said, re.ASCII)
    return found[0].rstrip(".") if found and not process.returncode else ""  # Copilot CLI says it in a sentence
