"""The hosts' own programs and the MCP inspector, from the npm registry, kept in a cache outside of this checkout.

The versions are fixed, so that what passes today passes tomorrow, and what is in the cache needs no network. No script
of these packages is run while they are installed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CLAUDE_CODE = "@anthropic-ai/claude-code@2.1.332"
OPENCLAW = "openclaw@2026.9.6"
INSPECTOR = "@modelcontextprotocol/inspector@2.12.0"
MACHINE = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
NODE = f"node-{sys.platform}-{MACHINE}@26.12.1"
"""What OpenClaw and the inspector run in: they want a newer Node.js than most machines have."""

QUIETLY = ("--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error")
REACH_S = 30
INSTALL_S = 600


class OutOfReach(Exception):
    """A package is neither in the cache nor to be had; the text says why."""


def package(spec: str) -> Path:
    """The folder of an npm package, fetched when the cache has not got it. Raises OutOfReach."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise OutOfReach("there is no `npm` or no `node` on this machine")
    name = spec.rpartition("@")[0]
    home = _cache() / spec.replace("/", "+")
    if not home.exists():
        _install(spec, home)
    return home / "node_modules" / name


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "orchestrate-hosts"


def _install(spec: str, home: Path) -> None:
    """Install beside `home`, then move: what a killed installation leaves is never taken for a whole one."""
    _npm("view", spec, "version", timeout_s=REACH_S)
    home.parent.mkdir(parents=True, exist_ok=True)
    part = tempfile.mkdtemp(prefix="part-", dir=home.parent)
    try:
        _npm("install", "--prefix", part, *QUIETLY, spec, timeout_s=INSTALL_S)
        Path(part).rename(home)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _npm(*words: str, timeout_s: float) -> None:
    try:
        done = subprocess.run(["npm", *words], capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise OutOfReach(f"`npm {words[0]}` got no answer in {timeout_s:.0f} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("npm error")] or ["no reason"]
        raise OutOfReach(f"`npm {words[0]}` failed: {said[0].removeprefix('npm error ')}")
