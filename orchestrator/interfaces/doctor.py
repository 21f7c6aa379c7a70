"""`orchestrate doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from orchestrator import __version__
from orchestrator.app import DEFAULT_ENVIRONMENT, ENVIRONMENTS, environment_factory, open_catalog
from orchestrator.backends import Backends, check_key
from orchestrator.environments.cluster_ray import EXTRA, why_not_there
from orchestrator.environments.confined import probe
from orchestrator.environments.default import STRONGER
from orchestrator.environments.trial import tried
from orchestrator.errors import DocumentError, OrchestratorError
from orchestrator.interfaces.terminal import as_json, clean, plural, show
from orchestrator.memory.mounts import ONE_OWNER, locks_at
from orchestrator.workspace import existing_workspace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from orchestrator.workspace import Workspace

State = Literal["ok", "warn", "fail", "none"]

PROGRAMS = (
    ("git", "skills that read a history need it"),
    ("bash", "skills with shell scripts need it"),
    ("node", "skills with JavaScript need it"),
)


SYSTEMS = {"confined": "linux", "bubblewrap": "linux", "seatbelt": "darwin"}
"""Environments of one system, which are not looked for on others."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `fail` means that runs do not work, `none` that it is not here and need not be."""

    state: State
    what: str
    message: str
    hint: str = ""


def run(args: argparse.Namespace) -> int:
    """Print a line for each thing looked at; the value is 1 when one of them fails."""
    workspace = existing_workspace(args.workspace)
    findings = [
        _python(), *_environments(workspace, args.environment), _executor(workspace), _workspace(workspace), *_locks(workspace), _catalog(workspace), *_models(workspace), *_programs()
    ]  # fmt: skip
    if args.json:
        show(as_json([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            show(f"{finding.state:4}  {finding.what}: {clean(finding.message)}")
            if finding.hint:
                show(f"      hint: {clean(finding.hint)}")
    return 1 if any(finding.state == "fail" for finding in findings) else 0


def _python() -> Finding:
    message = f"orchestrate {__version__} on {platform.python_implementation()} {platform.python_version()}, {sys.platform}"
    return Finding("ok", "python", f"{message}, {sys.executable}")


def _environments(workspace: Workspace, wanted: str | None) -> Iterator[Finding]:
    """Each environment, tried by a worker of it; or only the one that is wanted, which has to work."""
    try:
        settings = Backends(workspace).environments
    except DocumentError:  # told under `models`
        settings = {}
    if wanted is not None:
        found_one = _environment(wanted, settings)
        yield found_one if found_one.state == "ok" else replace(found_one, state="fail")
        return
    names = [name for name in ENVIRONMENTS if SYSTEMS.get(name, sys.platform) == sys.platform]
    found = {name: _environment(name, settings) for name in names}
    usual = found[DEFAULT_ENVIRONMENT]
    if usual.state != "ok":  # a run looks for a stronger one
        has_other = any(found[name].state == "ok" for name in STRONGER)
        hint = f"without it a run takes the first of {', '.join(STRONGER)} that works here, and else does not start"
        found[DEFAULT_ENVIRONMENT] = replace(usual, state="warn" if has_other else "fail", hint=hint)
    yield from found.values()


def _environment(name: str, settings: Mapping[str, Mapping[str, Any]]) -> Finding:
    what = f"environment {name}" + (" (default)" if name == DEFAULT_ENVIRONMENT else "")
    if name == "confined":
        details = probe()
        said = f"keeps workers from: {'; '.join(details.covers)}. Not from: {'; '.join(details.misses)}"
        return Finding("ok", what, said) if details.works else Finding("none", what, details.reason)
    environment = environment_factory(name, settings)()
    reason, _, hint = tried(environment).partition("\nhint: ")
    return (
        Finding("none", what, " ".join(reason.split()), hint)
        if reason
        else Finding("ok", what, environment.covers)
    )


def _executor(workspace: Workspace) -> Finding:
    """Whether runs could be spread over a Ray cluster. Nothing is started; one that the settings name is greeted."""
    what = "executor ray"
    try:
        settings = Backends(workspace).executor
    except DocumentError:  # told under `models`
        settings = {}
    try:
        version = importlib.metadata.version("ray")
    except importlib.metadata.PackageNotFoundError:
        return Finding("none", what, "the package `ray` is not installed", EXTRA)
    where = "the cluster of this machine, else one that is started for the run"
    if address := os.environ.get("RAY_ADDRESS"):
        where = f"`{address}` (RAY_ADDRESS)"
    if settings.get("kind") == "ray" and (address := settings.get("address")):
        if why := why_not_there(address):
            hint = "look at `address` of [executor] in orchestrate.toml, and whether `ray start --head` ran there"
            return Finding("fail", what, f"ray {version}; no Ray cluster answers at `{address}`: {why}", hint)
        where = f"the cluster at `{address}`, which answers"
    if os.environ.get("RAY_AUTH_MODE") == "disabled":
        hint = "whoever reaches a cluster without tokens runs programs on it; unset RAY_AUTH_MODE"
        return Finding(
            "warn",
            what,
            f"ray {version}, without tokens (RAY_AUTH_MODE); `--executor ray` means {where}",
            hint,
        )
    return Finding("ok", what, f"ray {version}; `--executor ray` means {where}")


def _workspace(workspace: Workspace) -> Finding:
    where = _existing(workspace.memory)
    if not os.access(where, os.W_OK | os.X_OK):
        return Finding(
            "fail", "workspace", f"`{where}` can't be written", "choose another with --workspace DIR"
        )
    try:
        with tempfile.TemporaryFile(dir=where) as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        hint = "free some space, or choose another with --workspace DIR"
        return Finding("fail", "workspace", f"`{where}` takes no file: {error.strerror}", hint)
    free_bytes = shutil.disk_usage(where).free
    if free_bytes < 1 << 30:
        return Finding(
            "warn",
            "workspace",
            f"`{workspace.root}`: {free_bytes >> 20} MiB free",
            "runs keep records; free some space",
        )
    return Finding("ok", "workspace", f"`{workspace.root}`, writable")


def _locks(workspace: Workspace) -> Iterator[Finding]:
    """What the workspace's locks are worth between machines, where others may have its file system too."""
    if locks := locks_at(workspace.root):
        hint = "" if locks.state == "bind" else ONE_OWNER
        yield Finding("warn" if hint else "ok", "locks of the workspace", str(locks), hint)


def _catalog(workspace: Workspace) -> Finding:
    catalog = open_catalog(workspace)
    odd = [skill for skill in catalog.skills if any(one.severity == "error" for one in skill.diagnostics)]
    message = f"{plural(len(catalog.skills), 'skill')} found"
    if odd:
        folders = shlex.join(str(skill.folder) for skill in odd)
        return Finding(
            "warn",
            "skills",
            f"{message}, {len(odd)} with errors",
            f"`orchestrate check {folders}` says what is wrong",
        )
    return Finding("ok", "skills", message)


def _models(workspace: Workspace) -> Iterator[Finding]:
    """Each alias of the settings: what it stands for, and whether its key is there. Nothing is asked."""
    try:
        backends = Backends(workspace)
    except DocumentError as error:
        yield Finding("fail", "models", str(error))
        return
    if not backends.aliases:
        yield Finding("ok", "models", "no aliases in orchestrate.toml; name one with --model")
    for name in sorted(backends.aliases):
        try:
            target = backends.resolve(name)
            check_key(target, os.environ)
        except (OrchestratorError, OSError) as error:
            hint = error.hint if isinstance(error, OrchestratorError) else ""
            yield Finding("warn", f"model {name}", str(error), hint)
            continue
        where = f" at {target.api_base}" if target.api_base else ""
        price = (
            "price unknown"
            if target.usd_in is None and target.backend in ("chat", "litellm")
            else "price known"
        )
        yield Finding(
            "ok", f"model {name}", f"{target.model}{where}, reads {target.window_tokens:,} tokens, {price}"
        )


def _programs() -> Iterator[Finding]:
    for name, need in PROGRAMS:
        found = shutil.which(name)
        yield (
            Finding("ok", name, found)
            if found
            else Finding("warn", name, "not on PATH", f"{need}; the rest works without")
        )


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that is there already."""
    return path if path.is_dir() else _existing(path.parent)
