"""What a native package registers with its host, made from the manifests by which install.py registers the same hooks.

`python tests/packaging.py` writes the files of the packages anew; `tests/native_test.py` says when that is due.
"""

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = {
    "claude": "plugin/hooks/claude.json",
    "codex": "plugin/hooks/codex.json",
    "copilot": "plugin/hooks/copilot.json",
    "gemini": "hooks/hooks.json",
}
ROOTS = {
    "claude": "${CLAUDE_PLUGIN_ROOT}",
    "codex": "$CLAUDE_PLUGIN_ROOT",  # from the environment: what Codex itself puts in might hold a quote
    "copilot": "${COPILOT_HOOK_DIR}/..",
    "gemini": "${extensionPath}/plugin",
}
COMMANDS = ("command", "commandWindows", "bash", "powershell")


def manifest(host):
    """What install.py registers with a host: {event: handler}. Copilot has the events of Claude Code."""
    path = ROOT / "manifests" / host / "hooks.json"
    if host == "copilot" and not path.exists():
        path = ROOT / "manifests" / "claude" / "hooks.json"
    groups = json.loads(path.read_text(encoding="utf-8"))["hooks"]
    return {
        event: (entries[0]["hooks"][0] if "hooks" in entries[0] else entries[0]) for event, entries in groups.items()
    }


def handler(host, given):
    """The same handler as the package has it."""
    starts = "/session_resume.py" in next(given[key] for key in COMMANDS if key in given)
    line = f'root="{ROOTS[host]}" host={host} start={"--start" if starts else ""}; command . "$root/hooks/run.sh"'
    words = f"sh -c '{line}' 2>/dev/null || exit 0" if host == "codex" else f"{line} 2>/dev/null || exit 0"
    kept = {key: value for key, value in given.items() if key not in COMMANDS}
    if host == "copilot":
        return {"type": "command", "bash": words, "timeoutSec": given.get("timeoutSec") or given["timeout"]}
    return {"type": "command", **{key: kept[key] for key in ("name",) if key in kept}, "command": words, **kept}


def hooks(host):
    """The content of a package's file of hooks."""
    made = {event: [{"hooks": [handler(host, given)]}] for event, given in manifest(host).items()}
    return {"version": 1, "hooks": made} if host == "copilot" else {"hooks": made}


def dependencies():
    """What pyproject.toml says that holdfast needs."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.findall(r'"(.+)"', re.search(r"^dependencies = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1])


if __name__ == "__main__":
    for host, name in FILES.items():
        (ROOT / name).write_text(json.dumps(hooks(host), indent=2) + "\n", encoding="utf-8")
