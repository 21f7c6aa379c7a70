"""`orchestrate suggest --hook`: offers skills to a host's agent for the prompt that its user has just sent.

The event on stdin is Claude Code's `UserPromptSubmit` (hooks reference, "Hook input"); what is printed goes into the
agent's context. Nothing is printed where no skill fits, and whatever is wrong is one line on stderr and exit code 0: a
prompt must never be lost for a suggestion. hooks/hooks.json starts this only where ORCHESTRATE_SUGGEST is 1.

What may be kept of the prompt (`taught.gist`) waits in the workspace's cache for the skill that the agent will use:
`orchestrate record` makes a lesson of the two.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError, UsageError
from orchestrator.interfaces.terminal import one_line, say, show
from orchestrator.memory.asked import keep_asked
from orchestrator.memory.matching.stored import index_on_disk
from orchestrator.memory.suggestions import callable_ones, experience_of, ranked
from orchestrator.workspace import Workspace, bundled, nearest_workspace, workspace_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.documents.types import Skill
    from orchestrator.memory.suggestions import Suggestion

SEEN_BY_HOST = {"claude": "", "home-claude": "", "bundled": "skill-orchestrator:"}
"""Skills by where they were found that the host lists itself, and what it puts before their names."""

MAX_CHARS = 200
HEAD = "Skills that may fit this request, by their descriptions and by how they did before; use one only where it does fit:"


def offer(asked: str | None, *, k: int) -> int:
    """Print what fits the event's prompt; the value is the exit code, always 0."""
    try:
        _offer(sys.stdin.buffer.read(), asked, k)
    except (OrchestratorError, OSError) as error:
        say(f"nothing suggested: {one_line(str(error), 400)}")
    return 0


def _offer(data: bytes, asked: str | None, k: int) -> None:
    event = _event(data)
    prompt = event["prompt"]
    place = workspace_of(asked) if asked is not None else nearest_workspace(Path(event["cwd"]))
    if place is None or prompt.lstrip().startswith("/"):  # no workspace of ours, or the person chose already
        return
    skills = _skills(place)
    found = ranked(prompt, skills, index_on_disk(place, skills), experience_of(place), k=max(k, 1))
    if isinstance(event.get("session_id"), str):
        keep_asked(place, event["session_id"], prompt, [one.name for one in found])
    if found:
        by_name = {skill.name: skill for skill in skills}
        lines = [HEAD, *(_line(one, by_name[one.name]) for one in found)]
        told = {"hookEventName": "UserPromptSubmit", "additionalContext": "\n".join(lines)}
        show(json.dumps({"hookSpecificOutput": told}))


def _event(data: bytes) -> dict[str, Any]:
    """The event, with a prompt and an absolute `cwd`. Raises UsageError for anything else."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError("stdin is no hook event: no JSON") from None
    if not isinstance(event, dict) or event.get("hook_event_name") != "UserPromptSubmit":
        raise UsageError("stdin is no `UserPromptSubmit` event")
    if not isinstance(event.get("prompt"), str):
        raise UsageError("the event has no `prompt`")
    if not isinstance(event.get("cwd"), str) or not Path(event["cwd"]).is_absolute():
        raise UsageError("the event's `cwd` is no folder")
    return event


def _skills(place: Workspace) -> Sequence[Skill]:
    from orchestrator.catalog.discover import discover  # a prompt in no workspace needs none

    return callable_ones(discover(place, home=Path.home(), bundled=bundled() / "skills").skills)


def _line(one: Suggestion, skill: Skill) -> str:
    record = f" [{one.calls - one.failed} of {one.calls} calls went well]" if one.calls else ""
    about = f"{one_line(one.description, MAX_CHARS)}{record}"
    if skill.source in SEEN_BY_HOST:
        return f"- {SEEN_BY_HOST[skill.source]}{one_line(one.name, 100)}: {about}"
    return f"- {one_line(one.name, 100)} (read {one_line(str(skill.folder), 300)}/SKILL.md): {about}"
