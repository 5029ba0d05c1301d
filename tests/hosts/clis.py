"""The real CLIs: installed from npm at the versions whose contracts were recorded, and run against a scripted model.

A run happens in a network namespace that has the loopback alone, with an empty home, a made-up key and none of this process's
environment, so that nothing can leave and nothing real can be touched.
"""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import platformdirs
from filelock import FileLock

from holdfast.doctor import responses
from holdfast.doctor.script import agent, call, parallel, text

__all__ = ["CLIS", "Run", "Stage", "agent", "call", "parallel", "text"]

ENVIRONMENT = dict(os.environ)  # before a test's own home replaces it: npm's settings and cache are there
CACHE = Path(ENVIRONMENT.get("HOLDFAST_CLI_CACHE") or platformdirs.user_cache_dir("holdfast-clis", appauthor=False))
ROOT = Path(__file__).resolve().parent.parent.parent
INSIDE = Path(__file__).resolve().parent / "inside.py"
NAMESPACES = ("--net", "--pid", "--fork", "--kill-child", "--mount-proc")
SECONDS = 90  # a run takes one to four


def unshare():
    """The words that start a program in namespaces of its own; a normal user is root in them alone."""
    mapped = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return ["unshare", *mapped, *NAMESPACES]


def missing():
    """Why no CLI can be run here, or ""."""
    if not sys.platform.startswith("linux"):
        return "the CLIs are run in network namespaces, which only Linux has"
    for tool in ("npm", "node", "unshare"):
        if shutil.which(tool, path=ENVIRONMENT.get("PATH")) is None:
            return f"{tool} is not installed"
    tried = subprocess.run([*unshare(), "true"], capture_output=True, text=True, check=False)
    return f"namespaces are not allowed here: {tried.stderr.strip()}" if tried.returncode else ""


def npm_environment(home):
    """The user's npm, in another home: a package's install script may start the CLI, which makes folders there."""
    home.mkdir(parents=True)
    real = Path(ENVIRONMENT["HOME"])
    kept = {"npm_config_userconfig": str(real / ".npmrc"), "npm_config_cache": str(real / ".npm")}
    return {**kept, **ENVIRONMENT, "HOME": str(home)}


class Run(NamedTuple):
    """How one run of a CLI went; the fields are those of `inside.py`'s report."""

    code: int
    seconds: float
    stdout: str
    stderr: str
    left_behind: "list[str]"
    unroutable: int
    steps_left: int
    requests: "list[dict]"

    def turns(self, *sorts):
        """The bodies of the agent's own requests, or of those of the given sorts, in their order."""
        return [request["body"] for request in self.requests if request["sort"] in (sorts or ("main", "beyond"))]

    def heard(self, number):
        """Everything that the model was shown in its turn `number`, from 0, or from -1 backwards: one text."""
        body = self.turns()[number]
        return "\n".join(
            strings([body.get(key) for key in ("messages", "contents", "input", "system", "instructions")])
        )


def strings(value):
    """Every string in a JSON value, in its order."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [one for item in inner for one in strings(item)]


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

    def argv(self, prompt, session, more, *, fork):
        """The words after the program. session: the one to go on with, or to fork, or ""."""
        raise NotImplementedError

    def env(self):
        """What its environment must have; `{url}` stands for the model server."""
        raise NotImplementedError

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


class Claude(Cli):
    name, package, version = "claude", "@anthropic-ai/claude-code", "2.1.328"
    tools = ("Bash", "Write", "Edit")
    subagent = ("Agent", {"subagent_type": "general-purpose", "run_in_background": False})

    def finish(self, folder, env):
        subprocess.run(["node", "install.cjs"], cwd=folder / "node_modules" / self.package, env=env, check=True)

    def argv(self, prompt, session, more, *, fork):
        allowed = "Bash Write Edit Read Agent TaskCreate TaskUpdate TodoWrite"
        resumed = ["--resume", session, *(["--fork-session"] if fork else [])] if session else []
        options = ["--output-format", "stream-json", "--verbose", "--permission-mode", "acceptEdits"]
        return ["-p", prompt, *resumed, *options, "--allowedTools", allowed, *more]

    def env(self):
        off = "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC DISABLE_TELEMETRY DISABLE_AUTOUPDATER DISABLE_ERROR_REPORTING"
        base = {"ANTHROPIC_BASE_URL": "{url}", "ANTHROPIC_API_KEY": "fake", "IS_SANDBOX": "1"}
        return base | dict.fromkeys(off.split(), "1")

    def plan(self, *titles):
        return parallel(*[call("TaskCreate", {"subject": title, "description": title}) for title in titles])


class Codex(Cli):
    name, package, version = "codex", "@openai/codex", "0.169.0"

    def prepare(self, home, project):
        (home / ".codex").mkdir()
        # gpt-5.5: apply_patch is offered to models that its own catalogue knows. Without `plugins = false` it asks
        # api.github.com for its marketplace; update_plan is offered only where it is asked for.
        (home / ".codex" / "config.toml").write_text(
            f"""
model = "gpt-5.5"
model_provider = "fake"
[model_providers.fake]
name = "fake"
base_url = "http://127.0.0.1:9/v1"
wire_api = "responses"
env_key = "FAKE_API_KEY"
request_max_retries = 0
stream_max_retries = 0
[features]
plugins = false
[tools.update_plan]
enabled = true
[analytics]
enabled = false
[projects.{json.dumps(str(project))}]
trust_level = "trusted"
""",
            encoding="utf-8",
        )

    def argv(self, prompt, session, more, *, fork):
        options = ["--json", "--skip-git-repo-check", "--dangerously-bypass-hook-trust"]
        options += [
            "--dangerously-bypass-approvals-and-sandbox",
            "-c",
            'model_providers.fake.base_url="{url}/v1"',
            *more,
        ]
        return ["exec", *(["fork" if fork else "resume", *options, session] if session else options), prompt]

    def env(self):
        return {"FAKE_API_KEY": "fake"}

    def shell(self, command):
        return call("exec_command", {"cmd": command})

    def write(self, project, path, content):
        del project
        added = "".join(f"+{line}\n" for line in content.splitlines())
        return call("apply_patch", f"*** Begin Patch\n*** Add File: {path}\n{added}*** End Patch\n")

    def edit(self, project, path, old, new):
        del project
        return call("apply_patch", f"*** Begin Patch\n*** Update File: {path}\n@@\n-{old}\n+{new}\n*** End Patch\n")

    def plan(self, *titles):
        return call("update_plan", {"plan": [{"step": title, "status": "pending"} for title in titles]})

    def agents(self, prompt, *inner):
        begun = agent("multi_agent_v1.spawn_agent", {"message": prompt}, *inner, text("I have looked."))
        return [begun, call("multi_agent_v1.wait_agent", responses.started_agents)]


class Gemini(Cli):
    name, package, version = "gemini", "@google/gemini-cli", "0.61.0"
    tools = ("run_shell_command", "write_file", "replace")

    def prepare(self, home, project):
        del project
        (home / ".gemini").mkdir()
        settings = {
            "security": {"auth": {"selectedType": "gemini-api-key"}},
            "privacy": {"usageStatisticsEnabled": False},
            "general": {"enableAutoUpdate": False},
        }
        (home / ".gemini" / "settings.json").write_text(json.dumps(settings), encoding="utf-8")

    def argv(self, prompt, session, more, *, fork):
        assert not fork, "it has no such thing"
        return ["-p", prompt, *(["--resume", session] if session else []), "--yolo", "-m", "gemini-2.5-flash", *more]

    def env(self):
        trusted = {"GEMINI_CLI_TRUST_WORKSPACE": "true", "GEMINI_TELEMETRY_ENABLED": "false"}
        return {"GEMINI_API_KEY": "fake", "GOOGLE_GEMINI_BASE_URL": "{url}", **trusted}

    def edit(self, project, path, old, new):
        given = {"file_path": str(project / path), "instruction": "edit", "old_string": old, "new_string": new}
        return call("replace", given)

    def plan(self, *titles):
        return call("write_todos", {"todos": [{"description": title, "status": "pending"} for title in titles]})

    def agents(self, prompt, *inner):
        ending = call("complete_task", {"result": {"response": "I have looked."}})
        return [agent("invoke_agent", {"agent_name": "generalist", "prompt": prompt}, *inner, ending)]


class OpenCode(Cli):
    name, package, version = "opencode", "opencode-ai", "1.18.33"
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
        model = {"limit": {"context": context, "output": 8_000}}
        options = {"baseURL": "{env:FAKE_URL}", "apiKey": "fake"}
        fake = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {"fake-model": model}}
        settings = {"$schema": "https://opencode.ai/config.json", "provider": {"fake": fake}}
        (home / ".config" / "opencode" / "opencode.json").write_text(json.dumps(settings), encoding="utf-8")

    def argv(self, prompt, session, more, *, fork):
        resumed = ["--session", session, *(["--fork"] if fork else [])] if session else []
        return ["run", prompt, *resumed, "--model", "fake/fake-model", *more]

    def env(self):
        return {"FAKE_URL": "{url}/v1", "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"}

    def plan(self, *titles):
        todos = [{"content": title, "status": "pending", "priority": "medium"} for title in titles]
        return call("todowrite", {"todos": todos})


class Copilot(Cli):
    name, package, version = "copilot", "@github/copilot", "1.0.102"
    tools = ("bash", "create", "edit")
    keys = ("path", "file_text", "old_str", "new_str")
    subagent = ("task", {"agent_type": "task", "name": "look", "mode": "sync"})

    def prepare(self, home, project):
        (home / ".copilot").mkdir()
        trusted = {"trusted_folders": [str(project)]}  # else it runs only the hooks in the home
        (home / ".copilot" / "config.json").write_text(json.dumps(trusted), encoding="utf-8")

    def argv(self, prompt, session, more, *, fork):
        assert not fork, "it has no such thing"
        return ["-p", prompt, *([f"--resume={session}"] if session else []), "--allow-all-tools", *more]

    def env(self):
        provider = {"BASE_URL": "{url}/v1", "API_KEY": "fake"}
        model = {f"COPILOT_PROVIDER_{name}": value for name, value in provider.items()}
        # its program unpacks 235 MB of itself into the cache: once, not into every home
        kept = {"XDG_CACHE_HOME": str(CACHE / f"{self.name}-{self.version}" / "unpacked")}
        off = {"COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"}
        return {**off, "COPILOT_MODEL": "fake-model", **model, **kept}

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
        """Run a CLI once; what it does is in `steps`, and its report stays beside the project.

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
        number = len(list(self.folder.glob("report-*.json")))
        job, report = self.folder / "job", self.folder / f"report-{number}.json"
        variables = {"PATH": ENVIRONMENT["PATH"], "HOME": str(self.home), "LC_ALL": "C.UTF-8", **cli.env(), **env}
        asked = {"host": host, "steps": steps, "argv": [cli.installed(), *argv], "env": variables}
        limits = {"timeout": SECONDS, "patience": patience}
        job.write_bytes(pickle.dumps({**asked, **limits, "cwd": str(self.project)}))
        words = [*unshare(), sys.executable, str(INSIDE), str(job), str(report)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS + patience + 30, check=False)
        assert done.returncode == 0, done.stderr
        run = Run(**json.loads(report.read_text(encoding="utf-8")))
        assert run.left_behind == []
        assert asks_its_maker or run.unroutable == 0, "something tried to leave the loopback"
        return run
