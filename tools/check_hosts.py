"""Checks this repository with the real hosts, Claude Code and OpenClaw, and with the MCP inspector: a line for each check.

    python tools/check_hosts.py [claude-code] [openclaw] [mcp-inspector]

Each host works on a copy of the tracked files under a path with spaces, in a home of its own, without keys; its model is
a loopback server. Where a host is neither in the cache nor to be had from the npm registry, its checks are skipped, which
is said and is no failure. The exit code is 1 when a check failed.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from host_packages import CLAUDE_CODE, INSPECTOR, NODE, OPENCLAW, OutOfReach, package
from skill_using_model import SECRET, skill_using_model

ROOT = Path(__file__).parents[1]
PLUGIN = json.loads((ROOT / "plugin.json").read_text("utf-8"))
SKILLS = sorted(path.parent.name for path in (ROOT / "skills").glob("*/SKILL.md"))
COMMAND_S = 120

Check = tuple[str, str]
"""What was looked at, and what was wrong with it; empty where nothing was."""


def main() -> int:
    """Check the hosts that are named, or all; the value is the exit code."""
    named = sys.argv[1:] or list(HOSTS)
    if unknown := [name for name in named if name not in HOSTS]:
        print(f"no host `{unknown[0]}`; there are: {', '.join(HOSTS)}", file=sys.stderr)
        return 2
    n_failed = 0
    for name in named:
        with tempfile.TemporaryDirectory(prefix="hosts ") as work:
            try:
                for what, problem in HOSTS[name](Path(work)):
                    print(
                        f"{name}: {'FAILED' if problem else 'ok'}  {what}{problem and f': {problem}'}",
                        flush=True,
                    )
                    n_failed += bool(problem)
            except OutOfReach as why:
                print(f"{name}: skipped, its program could not be had: {why}", flush=True)
    return min(n_failed, 1)


def claude_code(work: Path) -> Iterator[Check]:
    """Validate the manifests, install the plugin from its own marketplace, and have skills used and recorded."""
    home = package(CLAUDE_CODE)
    plugin = copied(work / "plugin")
    claude = Host(work, ["node", str(home / "cli-wrapper.cjs")])
    for manifest in (".claude-plugin/plugin.json", ".claude-plugin/marketplace.json"):
        yield (
            f"plugin validate --strict {manifest}",
            claude.problem("plugin", "validate", "--strict", plugin / manifest),
        )
    yield "plugin marketplace add", claude.problem("plugin", "marketplace", "add", plugin)
    yield "plugin install", claude.problem("plugin", "install", f"{PLUGIN['name']}@orchestrate")
    listed = claude.run("plugin", "details", PLUGIN["name"]).stdout
    yield "every bundled skill is listed", missing(SKILLS, listed)
    yield "skills that it uses are recorded", recorded_use(claude, work)
    yield "mcp add, and it connects", connected(claude, work)
    yield "plugin uninstall", claude.problem("plugin", "uninstall", PLUGIN["name"])


def recorded_use(claude: Host, work: Path) -> str:
    """What is wrong with the record after a model used a skill and a broken one, and a person typed one."""
    workspace = work / "work space"
    broken = workspace / ".claude" / "skills" / "broken" / "SKILL.md"
    broken.parent.mkdir(parents=True)
    broken.write_text("---\nname: broken\ndescription: Fails.\n---\n!`exit 3`\n")
    (workspace / "skills").mkdir()
    name = f"{PLUGIN['name']}:summarize"
    asking = ("--allowedTools", "Skill", "Bash", "--model", "claude-opus-4-8", "-p")
    for prompt, skills in (("Go.", (name, "broken")), (f"/{name} {SECRET}", ())):
        with skill_using_model(*skills) as address:
            problem = claude.problem(
                *asking, prompt, cwd=workspace, ANTHROPIC_BASE_URL=address, ANTHROPIC_API_KEY="none"
            )
        if problem:
            return problem
    log = workspace / "memory" / "usage.jsonl"
    text = log.read_text("utf-8") if log.exists() else ""
    kept = [(line["skill"], line["outcome"]) for line in map(json.loads, text.splitlines())]
    wanted = [(name, "ok"), ("broken", "error"), (name, None)]
    if kept != wanted:
        return f"{kept} instead of {wanted}"
    return "a text is in it" if SECRET in text else imported_again(claude, workspace)


def imported_again(claude: Host, workspace: Path) -> str:
    """What is wrong when the transcripts of sessions are imported whose uses the hooks have recorded."""
    transcripts = sorted((claude.home / ".claude" / "projects").glob("*/*.jsonl"))
    words = ("import", *map(str, transcripts), "--workspace", str(workspace), "--json")
    done = subprocess.run(
        ["orchestrate", *words], env=claude.env, capture_output=True, text=True, timeout=COMMAND_S
    )
    files = json.loads(done.stdout)["files"] if done.returncode == 0 else []
    counted = [sum(one[key] for one in files) for key in ("new", "known")]
    return "" if counted == [0, 3] else f"{done.stdout}{done.stderr}"


def connected(claude: Host, work: Path) -> str:
    """What is wrong after the server was added."""
    server = ("orchestrate", "mcp", "--workspace", work)
    if problem := claude.problem("mcp", "add", "orchestrate", "--", *server):
        return problem
    told = claude.run("mcp", "get", "orchestrate").stdout
    return "" if "Connected" in told else told


def openclaw(work: Path) -> Iterator[Check]:
    """Install the plugin as a Claude bundle, then as an Agent Plugins bundle; its skills have to be listed."""
    home = package(OPENCLAW)
    node = package(NODE) / "bin"
    for kind, left_out in (("claude", ()), ("agent", (".claude-plugin", "hooks"))):
        plugin = copied(work / f"{kind} plugin", *left_out)
        host = Host(work / kind, [str(node / "node"), str(home / "openclaw.mjs")], node)
        installed = host.problem("plugins", "install", "--force", "--accept-capabilities", plugin)
        yield f"plugins install, as a bundle of the form `{kind}`", installed
        found = host.json("plugins", "inspect", PLUGIN["name"], "--json").get("plugin", {})
        told = {key: found.get(key) for key in ("status", "version", "bundleFormat")}
        wanted = {"status": "loaded", "version": PLUGIN["version"], "bundleFormat": kind}
        yield "plugins inspect", "" if told == wanted else f"{told} instead of {wanted}"
        skills = host.json("skills", "list", "--json").get("skills", [])
        # Where OpenClaw has a skill of the same name, its own wins.
        ready = [skill["name"] for skill in skills if skill["eligible"] or skill.get("bundled")]
        yield "skills list", missing(SKILLS, ready)
    printed = subprocess.run(
        ["orchestrate", "schedule", "print", "--for", "openclaw", "--workspace", str(work)],
        env={**host.env}, capture_output=True, text=True, timeout=COMMAND_S,
    )  # fmt: skip
    options = [word for word in shlex.split(printed.stdout) if word.startswith("--")]
    yield (
        "cron add has the options that `schedule print` prints",
        missing(options, host.run("cron", "add", "--help").stdout) if options else printed.stderr,
    )


def mcp_inspector(work: Path) -> Iterator[Check]:
    """List the tools of the server, and call one that runs a workflow and one that fails."""
    home = package(INSPECTOR)
    node = package(NODE) / "bin"
    inspector = Host(work, [str(node / "node"), str(home / "clients/launcher/build/index.js"), "--cli"], node)
    (work / "one.md").write_text(
        "---\nname: one\ninputs: {n: integer}\n---\n# One\n\n```repl\nFINAL(inputs['n'])\n```\n"
    )
    server = ("orchestrate", "mcp", "--workspace", str(work))
    tools = inspector.json(*server, "--method", "tools/list", "--strict").get("tools", [])
    wanted = ["run_workflow", "resume_run", "run_status", "suggest_skills"]
    yield "tools/list --strict", missing(wanted, [tool["name"] for tool in tools])
    call = (*server, "--method", "tools/call", "--tool-name")
    one = inspector.json(
        *call, "run_workflow", "--tool-arg", "workflow=one.md", "--tool-arg", 'inputs={"n": 7}'
    )
    told = one.get("structuredContent", {})
    yield "tools/call run_workflow", "" if told.get("answer") == 7 else f"{one}"
    gone = inspector.json(*call, "run_status", "--tool-arg", "run=gone")
    yield "tools/call run_status of no run is an error", "" if gone.get("isError") is True else f"{gone}"


class Host:
    """A host's program, run with a home of its own in `work`, no keys, and this environment's `orchestrate` on PATH."""

    def __init__(self, work: Path, argv: list[str], *path: Path) -> None:
        self.argv = argv
        home = work / "home"
        home.mkdir(parents=True)
        node = shutil.which("node")
        folders = [
            Path(sys.executable).parent,
            *path,
            *([Path(node).parent] if node else []),
            "/usr/bin",
            "/bin",
        ]
        self.env = {
            "HOME": str(home),
            "PATH": os.pathsep.join(map(str, folders)),
            "DISABLE_AUTOUPDATER": "1",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        }
        self.home = home

    def run(
        self, *words: str | Path, cwd: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*self.argv, *map(str, words)],
            cwd=cwd or self.home,
            env={**self.env, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
        )

    def problem(self, *words: str | Path, cwd: Path | None = None, **variables: str) -> str:
        """What it says when it fails, else nothing."""
        done = self.run(*words, cwd=cwd, **variables)
        return f"exit code {done.returncode}\n{done.stdout}{done.stderr}" if done.returncode else ""

    def json(self, *words: str) -> dict[str, Any]:
        """The object that it prints; empty where it prints none."""
        try:
            found = json.loads(self.run(*words).stdout)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def copied(to: Path, *left_out: str) -> Path:
    """A copy of the tracked files, as a host would fetch them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.split("\0"):
        if name and name.partition("/")[0] not in left_out and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


def missing(names: list[str], among: str | list[str]) -> str:
    """Which of the names are not there."""
    gone = [name for name in names if name not in among]
    return f"not there: {', '.join(gone)}" if gone else ""


HOSTS: dict[str, Callable[[Path], Iterator[Check]]] = {
    "claude-code": claude_code,
    "openclaw": openclaw,
    "mcp-inspector": mcp_inspector,
}

if __name__ == "__main__":
    sys.exit(main())
