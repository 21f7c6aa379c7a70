"""The `seatbelt` environment: each worker under a profile of macOS's sandbox, put on by `sandbox-exec`.

Written by what is published of the profile language, and not run on a Mac by us: the text of the profile is tested,
and that it is refused elsewhere. On a Mac a worker tries what must fail before it says that it is ready, and a
profile that does not hold is an error, not a weaker worker.

Covered: reading or writing what was not granted, so far as the profile holds; the network unless granted; other
processes, their variables, and signals to them; limits of open files and of written bytes; no variables of ours.
Not covered: names and sizes of files; memory, which macOS does not limit by process; which host, once a network is
granted; programs that leave their process group, until the machine is told to end them; holes in the system.

A profile is in the language of TinyScheme. The last rule that fits counts; paths have to be resolved (`/tmp` is
`/private/tmp`). Sources: sandbox-exec(1); Apple's own profiles in /System/Library/Sandbox/Profiles; the profiles of
Chromium (sandbox/policy/mac/common.sb) and of agents that use the same means.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.environments.command import ISOLATED, STARTER, Wrapped, spawn
from orchestrator.environments.granted import make_missing_files, shown
from orchestrator.environments.session import Session, open_session
from orchestrator.errors import EnvironmentUnavailable

if TYPE_CHECKING:
    from orchestrator.values import WorkerSpec

HERE = Path(__file__).parent
HINT = "`--environment docker` works on a Mac too; `orchestrate doctor` tries what is there"

SOFTWARE = (
    "/System", "/usr", "/bin", "/sbin", "/opt/homebrew", "/opt/local", "/Library/Frameworks", "/Library/Developer",
    "/Library/Apple/System", "/private/var/db/dyld", "/private/var/db/timezone", "/private/etc/ssl",
)  # fmt: skip
"""Software, which interpreters and their libraries are part of, and what the loader and clocks read."""

FILES = (
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/private/etc/localtime",
    "/private/etc/passwd",
)
NAMES = ("/private/etc/hosts", "/private/etc/resolv.conf", "/private/var/run/mDNSResponder")


class Seatbelt:
    """Workers under a profile of the macOS sandbox."""

    name = "seatbelt"
    covers = (
        "workers reach only granted files, the network and programs only where granted; memory is not limited"
    )

    async def start(self, spec: WorkerSpec) -> Session:
        """A new worker. Raises EnvironmentUnavailable where there is no `sandbox-exec`, or it does not hold."""
        program = shutil.which("sandbox-exec")
        if sys.platform != "darwin" or program is None:
            raise EnvironmentUnavailable("`seatbelt` needs macOS and its `sandbox-exec`", hint=HINT)
        made = make_missing_files(spec)
        python = [sys.executable, *ISOLATED, "-c", STARTER, str(HERE / "inside.py"), "try"]
        ours, child = spawn([program, "-p", profile(spec), *python], spec, cwd=spec.scratch)
        try:
            return await open_session(ours, Wrapped(child, made), spec)
        except EnvironmentUnavailable as error:
            raise EnvironmentUnavailable(str(error), hint=HINT) from error

    async def close(self) -> None:
        """Nothing is held."""


def profile(spec: WorkerSpec) -> str:
    """The profile of a worker: everything is denied, and then what it needs and was granted is allowed."""
    grants = spec.grants
    software = [*SOFTWARE, sys.prefix, sys.base_prefix, str(HERE), *_import_roots()]
    readable = [str(path) for path, _ in shown(spec)]
    writable = [str(path) for path, writes in shown(spec) if writes]
    lines = [
        "(version 1)",
        "(deny default)",
        "(allow sysctl-read)",
        '(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo"))',
        "(allow file-read-metadata)",
        "(allow signal (target self))",
        "(allow process-info* (target self))",
        f"(allow file-read* {_below(software)} {_exactly(FILES)} {_below(readable)})",
        f"(allow file-map-executable {_below(software)})",
        f'(allow file-write* {_below(writable)} (literal "/dev/null"))',
        # The interpreter itself is started after the profile is put on.
        f"(allow process-exec {_exactly({sys.executable, os.path.realpath(sys.executable)})})",
    ]
    if grants.processes:
        lines += [
            "(allow process-fork)",
            f"(allow process-exec {_below([*software, *readable])})",
            "(allow signal (target same-sandbox))",
        ]
    if grants.network:
        lines += ["(allow network*)", "(allow system-socket)", f"(allow file-read* {_exactly(NAMES)})"]
        lines += ['(allow mach-lookup (global-name "com.apple.SystemConfiguration.configd"))']
        lines += [
            "(deny network* (remote unix-socket))",
            '(allow network* (literal "/private/var/run/mDNSResponder"))',
        ]
    return "\n".join(lines) + "\n"


def _import_roots() -> list[str]:
    return [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]


def _below(paths: list[str]) -> str:
    return " ".join(f"(subpath {_quoted(path)})" for path in paths)


def _exactly(paths: tuple[str, ...] | set[str]) -> str:
    return " ".join(f"(literal {_quoted(path)})" for path in sorted(paths))


def _quoted(path: str) -> str:
    """A path as a string of the language, resolved, since rules are compared with that."""
    resolved = os.path.realpath(path)
    return '"' + resolved.replace("\\", "\\\\").replace('"', '\\"') + '"'
