"""A program that applies a change, or takes it back, and is killed at each point where it touches the disk.

`python killed_amending.py FOLDER keeps|undoes|rolls-back` prints at how many points, and what was not as it was then.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.memory.reviewing.proposal import Evidence, Proposal, proposal_id
from orchestrator.runs.amending import Edit, applied, apply, rollback
from orchestrator.workspace import Workspace

TOUCHES = ("os.rename", "os.remove", "os.chmod", "os.mkdir")
CHANGE = {"skill": "adder"}
NUMBER = proposal_id("skill:adder", "retire", CHANGE, "")
PROPOSAL = Proposal(NUMBER, "skill:adder", "retire", "", Evidence((), ""), "", CHANGE, "")


def edits(root: Path) -> list[Edit]:
    return [
        Edit(root / "new.md", None, b"\x00new\r\n", 0o644),
        Edit(root / "changed.md", b"old\xff", b"other", 0o640),
        Edit(root / "gone.md", b"gone", None, 0o600),
    ]


def state(root: Path) -> dict[str, Any]:
    names = ("new.md", "changed.md", "gone.md")
    return {
        name: [(root / name).read_bytes().hex(), (root / name).stat().st_mode & 0o777]
        for name in names
        if (root / name).exists()
    }


def killed_at(point: int) -> None:
    """Kill this process when it touches the disk for this time."""
    left = point

    def hear(event: str, args: tuple[Any, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        if event in TOUCHES or writes:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hear)


def act(what: str, workspace: Workspace) -> None:
    if what == "rolls-back":
        rollback(workspace, NUMBER)
    else:
        apply(workspace, PROPOSAL, edits(workspace.root), lambda: what == "undoes", datetime.now(UTC))


def is_killed(what: str, workspace: Workspace, point: int) -> bool:
    pid = os.fork()
    if pid == 0:
        killed_at(point)
        try:
            act(what, workspace)
        except BaseException as error:  # noqa: BLE001 - it is a process of its own, and must not go on as its parent
            sys.stderr.write(f"{error}\n")
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def main() -> None:
    root, what = Path(sys.argv[1]).resolve(), sys.argv[2]
    workspace = Workspace(root)
    for edit in edits(root):
        if edit.before is not None:
            edit.path.write_bytes(edit.before)
            edit.path.chmod(edit.mode or 0)
    before, odd, points, seen = state(root), [], 0, set()
    killed = True
    while killed:
        if what == "rolls-back":
            act("keeps", workspace)
        killed = is_killed(what, workspace, points)
        found = applied(workspace, NUMBER)
        seen.add(found.state if found else "none")
        if found is not None:
            rollback(workspace, NUMBER)
        if state(root) != before or applied(workspace, NUMBER) is not None:
            odd.append([points, state(root)])
        points += 1
    sys.stdout.write(json.dumps({"points": points - 1, "odd": odd, "seen": sorted(seen)}) + "\n")


if __name__ == "__main__":
    main()
