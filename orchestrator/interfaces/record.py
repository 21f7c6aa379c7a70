"""`orchestrate record`: one use of a skill by the host, read from a hook's event on stdin, for the usage record.

The events are Claude Code's (hooks reference, "Hook input"): `PostToolUse` and `PostToolUseFailure` of its `Skill` tool
tell how the agent's own use ended; `UserPromptExpansion` tells that a person typed `/skill`, before it has done anything,
so its outcome stays unknown. Of an event only the skill's name, the time it took, which event it was, and digests of its ids
are kept; by these `orchestrate import` knows a use that was recorded already.
Where skills are offered to the host (see `offering`), the skill that it then used makes a lesson, and its record says
whether it was among those (`suggested` in its situation).

A host waits for its hooks, so this command imports little and never fails: whatever is wrong with an event or a workspace
is one line on stderr and exit code 0.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError, UsageError
from orchestrator.interfaces.terminal import one_line, say
from orchestrator.memory.hosts import place, situation, skill_name
from orchestrator.memory.usage import UsageStore
from orchestrator.workspace import Workspace, nearest_workspace, workspace_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

OUTCOMES = {"PostToolUse": "ok", "PostToolUseFailure": "error"}
TYPED = "UserPromptExpansion"


def run(args: argparse.Namespace) -> int:
    """Record the event on stdin; the value is the exit code, always 0."""
    try:
        _record(sys.stdin.buffer.read(), args.workspace)
    except (OrchestratorError, OSError) as error:
        say(f"nothing recorded: {one_line(str(error), 400)}")
    return 0


def _record(data: bytes, asked: str | None) -> None:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError("stdin is no hook event: no JSON") from None
    fields = _fields(event)
    workspace = workspace_of(asked) if asked is not None else _workspace(event)
    if workspace is None:
        return
    session = event.get("session_id")
    if not isinstance(session, str) or not (workspace.cache / "asked.json").exists():
        UsageStore(workspace).record(**fields)  # where skills are not offered, nothing was kept
        return
    UsageStore(workspace).record(**_with_offer(fields, workspace, session))
    _learn(fields, workspace, session)


def _with_offer(fields: dict[str, Any], workspace: Workspace, session: str) -> dict[str, Any]:
    """What is recorded, and whether `orchestrate suggest --hook` had offered the skill that the model chose."""
    from orchestrator.memory.asked import last_offered

    offered = last_offered(workspace, session)
    if offered is None or fields["situation"]["used_by"] != "model":
        return fields
    suggested = fields["skill"].rpartition(":")[2] in offered
    return {**fields, "situation": {**fields["situation"], "suggested": suggested}}


def _learn(fields: Mapping[str, Any], workspace: Workspace, session: str) -> None:
    """Make a lesson of the skill and of what was asked for."""
    if fields.get("outcome") != "ok":
        return
    from orchestrator.memory.asked import last_asked
    from orchestrator.memory.taught import learn

    if (found := last_asked(workspace, session)) is not None:
        learn(workspace, found, fields["skill"], success=True)


def _fields(event: Any) -> dict[str, Any]:
    """What is recorded of the event. Raises UsageError where it is not about a skill."""
    if not isinstance(event, dict) or not isinstance(event.get("hook_event_name"), str):
        raise UsageError("stdin is no hook event: no `hook_event_name`")
    name = event["hook_event_name"]
    is_command = event.get("expansion_type") == "slash_command" and event.get("command_source") != "builtin"
    if name == TYPED and is_command:
        return {
            "skill": _skill(event, "command_name"),
            "situation": situation("person"),
            **place(event.get("session_id"), event.get("prompt_id")),
        }
    if name in OUTCOMES and event.get("tool_name") == "Skill":
        given = event.get("tool_input")
        return {
            "skill": _skill(given if isinstance(given, dict) else {}, "skill"),
            "outcome": OUTCOMES[name],
            "error_kind": "interrupted" if event.get("is_interrupt") is True else None,
            "duration_s": _seconds(event.get("duration_ms")),
            "situation": situation("model"),
            **place(event.get("session_id"), event.get("tool_use_id")),
        }
    raise UsageError("the event is not about the use of a skill")


def _skill(holder: Mapping[str, Any], key: str) -> str:
    name = skill_name(holder.get(key))
    if name is None:
        raise UsageError(f"the event's `{key}` is no name of a skill")
    return name


def _seconds(value: Any) -> float | None:
    return value / 1000 if type(value) in (int, float) and 0 <= value < 2**53 else None


def _workspace(event: Mapping[str, Any]) -> Workspace | None:
    """The workspace that the agent works in; None where it works in a folder that is in none: that is left as it is."""
    cwd = event.get("cwd")
    if not isinstance(cwd, str) or not Path(cwd).is_absolute():
        raise UsageError("the event's `cwd` is no folder")
    return nearest_workspace(Path(cwd))
