"""A proposal of a review: what might be changed, what speaks for it, and what would show it wrong. Data, no deed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard, get_args

Action = Literal["deny", "retire", "prefer", "drop", "budget", "split", "describe", "promote"]

MAX_RUNS = 20
"""Runs that one piece of evidence names."""

_SUBJECT = re.compile(r"(?:skill|workflow):.+|strategy:.*/.+", re.DOTALL)
_ID = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a proposal: run ids, newest first, at most `MAX_RUNS`; and one sentence with the numbers."""

    runs: tuple[str, ...]
    says: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """One change that a review would make.

    `subject` is `skill:NAME`, `strategy:WORKFLOW/NAME` or `workflow:NAME`. `hash` is the SHA-256, in hex, of what the
    proposal was made against: a skill's files as `catalog.trust` hashes them, or the bytes of a workflow's file; empty
    where neither is to be found. `change` is what would be done, by the keys that `proposing` lists for each action;
    `refuted_by` what would show it wrong. `id` is what `proposal_id` makes: the same proposal has the same id.
    """

    id: str
    subject: str
    action: Action
    hash: str
    evidence: Evidence
    why: str
    change: Mapping[str, Any]
    refuted_by: str


def proposal_id(subject: str, action: Action, change: Mapping[str, Any], digest: str) -> str:
    """Eight hex digits of the SHA-256 over what makes a proposal the same one, whenever it is made."""
    whole = json.dumps([subject, action, change, digest], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(whole.encode()).hexdigest()[:8]


def to_object(proposal: Proposal) -> dict[str, Any]:
    """The proposal as JSON has it."""
    return {
        "id": proposal.id,
        "subject": proposal.subject,
        "action": proposal.action,
        "hash": proposal.hash,
        "evidence": {"runs": list(proposal.evidence.runs), "says": proposal.evidence.says},
        "why": proposal.why,
        "change": dict(proposal.change),
        "refuted_by": proposal.refuted_by,
    }


def from_object(value: Any) -> Proposal:
    """The proposal of its JSON. Raises ValueError, naming the key, where the shape or the id is wrong."""
    whole = _mapping(value, "the proposal")
    evidence = _mapping(whole.get("evidence"), "`evidence`")
    runs = evidence.get("runs")
    if not isinstance(runs, list) or len(runs) > MAX_RUNS or not all(isinstance(run, str) for run in runs):
        raise ValueError(f"`evidence.runs` of a proposal takes at most {MAX_RUNS} texts")
    change = _mapping(whole.get("change"), "`change`")
    action = whole.get("action")
    if not _is_action(action):
        raise ValueError(f"`action` of a proposal takes one of {', '.join(get_args(Action))}")
    subject, digest = _text(whole, "subject", _SUBJECT), _text(whole, "hash")
    found = _text(whole, "id", _ID)
    if found != proposal_id(subject, action, change, digest):
        raise ValueError(f"`id` of a proposal: `{found}` is not that of what it proposes")
    return Proposal(
        id=found,
        subject=subject,
        action=action,
        hash=digest,
        evidence=Evidence(tuple(runs), _text(evidence, "says")),
        why=_text(whole, "why"),
        change=dict(change),
        refuted_by=_text(whole, "refuted_by"),
    )


def _is_action(value: Any) -> TypeGuard[Action]:
    return isinstance(value, str) and value in get_args(Action)


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what} of a review takes a JSON object")  # noqa: TRY004  # of a file, not of a caller
    return value


def _text(whole: Mapping[str, Any], key: str, form: re.Pattern[str] | None = None) -> str:
    value = whole.get(key)
    if not isinstance(value, str) or (form is not None and not form.fullmatch(value)):
        raise ValueError(f"`{key}` of a proposal takes a text" + (f" like `{form.pattern}`" if form else ""))
    return value
