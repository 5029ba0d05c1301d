"""The real CLIs: installed from npm at the versions whose contracts were recorded, and run against a scripted model.

A run happens in a network namespace that has the loopback alone, with an empty home, a made-up key and none of this process's
environment, so that nothing can leave and nothing real can be touched.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
from filelock import FileLock

from holdfast.doctor import isolation, responses
from holdfast.doctor.hosts import claude, codex, copilot, gemini, opencode
from holdfast.doctor.isolation import Report as Run
from holdfast.doctor.script import agent, call, parallel, text

__all__ = ["CLIS", "Run", "Stage", "agent", "call", "parallel", "text"]

ENVIRONMENT = dict(os.environ)  # before a test's own home replaces it: npm's settings and cache are there
CACHE = Path(ENVIRONMENT.get("HOLDFAST_CLI_CACHE") or platformdirs.user_cache_dir("holdfast-clis", appauthor=False))
ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 90  # a run takes one to four


def missing():
    """Why no CLI can be run here, or ""."""
    if not sys.platform.startswith("linux"):
        return "the CLIs are run in network namespaces, which only Linux has"
    for tool in ("npm", "node"):
        if shutil.which(tool, path=ENVIRONMENT.get("PATH")) is None:
            return f"{tool} is not installed"
    return isolation.namespaces()[1]


def npm_environment(home):
    """The user's npm, in another home: a package's install script may start the CLI, which makes folders there."""
    home.mkdir(parents=True)
    real = Path(ENVIRONMENT["HOME"])
    kept = {"npm_config_userconfig": str(real / ".npmrc"), "npm_config_cache": str(real / ".npm")}
    return {**kept, **ENVIRONMENT, "HOME": str(home)}


class Cli:
    """One CLI: how it is installed and started headless, and how its model asks for the common tools.

    tools: its names of those that run a command, write a file and edit one. keys: what the last two call a file, its
    content, what is replaced and by what. subagent: the tool that starts one, and what it is given beside the task.
    """

    name = package = version = ""
    tools = ("", "", "")
    keys = ("file_path", "content", "old_string", "new_string")
    subagent = ("", {})

    def installed(self):
        """The program; npm installs it where it is missing."""
        folder = CACHE / f"{self.name}-{self.version}"
        program = folder / "node_modules" / ".bin" / self.name
        CACHE.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not program.exists():
                made = folder.with_suffix(".new")
                shutil.rmtree(made, ignore_errors=True)
                wanted = f"{self.package}@{self.version}"
                words = ["npm", "install", "--prefix", str(made), "--no-audit", "--no-fund", "--no-save", wanted]
                env = npm_environment(made / "home")
                done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=600, check=False)
                if done.returncode:
                    raise RuntimeError(f"npm could not install {wanted}: {done.stderr[-2000:]}")
                self.finish(made, env)
                made.rename(folder)
        return str(program)

    def finish(self, folder, env):
        """What npm leaves to do where install scripts are not allowed."""

    def prepare(self, home, project):
        """Put into an empty home what a user's first start would have put there."""

    def shell(self, command):
        return call(self.tools[0], {"command": command, "description": "x"})

    def write(self, project, path, content):
        file, whole, *_ = self.keys
        return call(self.tools[1], {file: str(project / path), whole: content})

    def edit(self, project, path, old, new):
        file, _, before, after = self.keys
        return call(self.tools[2], {file: str(project / path), before: old, after: new})

    def agents(self, prompt, *inner):
        tool, more = self.subagent
        return [agent(tool, {"description": "look", "prompt": prompt, **more}, *inner, text("I have looked."))]


class Claude(claude.Claude, Cli):
    tools = ("Bash", "Write", "Edit")
    subagent = ("Agent", {"subagent_type": "general-purpose", "run_in_background": False})

    def finish(self, folder, env):
        subprocess.run(["node", "install.cjs"], cwd=folder / "node_modules" / self.package, env=env, check=True)

    def plan(self, *titles):
        return parallel(*[call("TaskCreate", {"subject": title, "description": title}) for title in titles])


class Codex(codex.Codex, Cli):
    def prepare(self, home, project):
        (home / ".codex").mkdir()
        config = {**codex.OFFLINE, "projects": {str(project): {"trust_level": "trusted"}}}
        (home / ".codex" / "config.toml").write_text(codex.toml(config), encoding="utf-8")

    def argv(self, prompt, session, more, *, fork):
        return super().argv(prompt, session, ["--dangerously-bypass-hook-trust", *more], fork=fork)

    def edit(self, project, path, old, new):
        del project
        return call("apply_patch", f"*** Begin Patch\n*** Update File: {path}\n@@\n-{old}\n+{new}\n*** End Patch\n")

    def plan(self, *titles):
        return call("update_plan", {"plan": [{"step": title, "status": "pending"} for title in titles]})

    def agents(self, prompt, *inner):
        begun = agent("multi_agent_v1.spawn_agent", {"message": prompt}, *inner, text("I have looked."))
        return [begun, call("multi_agent_v1.wait_agent", responses.started_agents)]


class Gemini(gemini.Gemini, Cli):
    def prepare(self, home, project):
        del project
        (home / ".gemini").mkdir()
        settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, **gemini.HEADLESS}
        (home / ".gemini" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")

    def env(self):
        return {**super().env(), "GEMINI_CLI_TRUST_WORKSPACE": "true"}

    def edit(self, project, path, old, new):
        given = {"file_path": str(project / path), "instruction": "edit", "old_string": old, "new_string": new}
        return call("replace", given)

    def plan(self, *titles):
        return call("write_todos", {"todos": [{"description": title, "status": "pending"} for title in titles]})

    def agents(self, prompt, *inner):
        ending = call("complete_task", {"result": {"response": "I have looked."}})
        return [agent("invoke_agent", {"agent_name": "generalist", "prompt": prompt}, *inner, ending)]


class OpenCode(opencode.OpenCode, Cli):
    tools = ("bash", "write", "edit")
    keys = ("filePath", "content", "oldString", "newString")
    subagent = ("task", {"subagent_type": "general"})

    def prepare(self, home, project):
        # What its first start leaves behind where there is a network: without it, it tries to reach npm at each start.
        for folder in (home / ".config" / "opencode", project / ".opencode"):
            (folder / "node_modules").mkdir(parents=True)
            lock = {"packages": {"": {"dependencies": {"@opencode-ai/plugin": self.version}}}}
            (folder / "package-lock.json").write_text(json.dumps(lock), encoding="utf-8")
        self.configure(home)

    def configure(self, home, context=200_000):
        """Write its settings; `context` is how many tokens the model takes before it is compacted."""
        settings = json.dumps(opencode.offline(context))
        (home / ".config" / "opencode" / "opencode.json").write_text(settings, encoding="utf-8")

    def plan(self, *titles):
        todos = [{"content": title, "status": "pending", "priority": "medium"} for title in titles]
        return call("todowrite", {"todos": todos})


class Copilot(copilot.Copilot, Cli):
    tools = ("bash", "create", "edit")
    keys = ("path", "file_text", "old_str", "new_str")
    subagent = ("task", {"agent_type": "task", "name": "look", "mode": "sync"})

    def prepare(self, home, project):
        (home / ".copilot").mkdir()
        trusted = {"trusted_folders": [str(project)]}  # else it runs only the hooks in the home
        (home / ".copilot" / "config.json").write_text(json.dumps(trusted), encoding="utf-8")

    def env(self):
        # its program unpacks 235 MB of itself into the cache: once, not into every home
        return {**super().env(), "XDG_CACHE_HOME": str(CACHE / f"{self.name}-{self.version}" / "unpacked")}

    def write(self, project, path, content):
        (project / path).parent.mkdir(parents=True, exist_ok=True)  # it makes none
        return super().write(project, path, content)

    def plan(self, *titles):
        rows = ", ".join(f"('{title.lower().replace(' ', '-')}', '{title}', 'pending')" for title in titles)
        query = f"INSERT INTO todos (id, title, status) VALUES {rows}"
        return call("sql", {"description": "plan", "query": query})


CLIS = {cli.name: cli for cli in (Claude(), Codex(), Gemini(), OpenCode(), Copilot())}


class Stage:
    """One project and one empty home, in which CLIs run with holdfast installed.

    Args:
        folder: where both are made.
        prefix: holdfast's private environment.
        workflow: the project's.
    """

    def __init__(self, folder, prefix, workflow):
        self.folder, self.prefix = Path(folder), Path(prefix)
        self.home, self.project = self.folder / "home", self.folder / "shop"
        self.home.mkdir(parents=True)
        (self.project / ".holdfast").mkdir(parents=True)
        (self.project / ".holdfast").chmod(0o700)
        self.workflow.write_text(workflow, encoding="utf-8")
        for cli in CLIS.values():
            cli.prepare(self.home, self.project)

    @property
    def workflow(self):
        return self.project / ".holdfast" / "workflow.yaml"

    def holdfast(self, *words):
        """Run the installed command in the project; what it printed."""
        env = {"HOME": str(self.home), "PATH": ENVIRONMENT["PATH"], "LC_ALL": "C.UTF-8"}
        words = [str(self.prefix / "bin" / "holdfast"), *words]
        return subprocess.run(words, cwd=self.project, env=env, capture_output=True, text=True, check=True).stdout

    def install(self, *hosts, scope="project"):
        """Register the hooks, as the user would."""
        self.holdfast("install", "--scope", scope, *[word for host in hosts for word in ("--host", host)])
        return self

    def state(self):
        """What `holdfast state read` prints."""
        return json.loads(self.holdfast("state", "read"))

    def trail(self):
        """The audit trail's lines."""
        path = self.project / ".holdfast" / "audit.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    def run(self, host, prompt, *steps, resume=False, fork=False, more=(), **env):
        """Run a CLI once; what it does is in `steps`.

        Args:
            host: its name.
            prompt: what the user says.
            steps: what the model answers.
            resume: go on with the project's current session.
            fork: begin a new session with its history.
            more: further options of the CLI.
            env: further variables.
        """
        session = self.state()["current_session"]["id"] if resume or fork else ""
        return self.start(host, CLIS[host].argv(prompt, session, more, fork=fork), *steps, **env)

    def start(self, host, argv, *steps, patience=1, asks_its_maker=False, **env):
        """Start a CLI with any words, offline.

        Args:
            host: its name.
            argv: the words after the program.
            steps: what the model answers.
            patience: seconds that what it started may go on after its end.
            asks_its_maker: whether it is known to try the network by itself, in vain.
            env: further variables.
        """
        cli = CLIS[host]
        variables = {"PATH": ENVIRONMENT["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8", **cli.env(), **env}
        run = isolation.run(
            host,
            [cli.installed(), *argv],
            steps,
            env=variables,
            cwd=str(self.project),
            scratch=str(self.folder),
            timeout=SECONDS,
            patience=patience,
        )
        assert run.left_behind == []
        assert asks_its_maker or run.unroutable == 0, "something tried to leave the loopback"
        return run
