"""What a journal says of a run, read without the product's own reader."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from crash.places import TURN

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def events(journal: Path) -> list[dict[str, Any]]:
    """The events whose lines are whole."""
    lines = journal.read_bytes().split(b"\n")[:-1]
    return [_filled(json.loads(line), journal.parent / "blobs") for line in lines]


def in_flight(record: Iterable[dict[str, Any]]) -> Counter[str]:
    """Requests that were sent, or about to be, and of whose replies nothing is known: what was asked, how often.

    Those of earlier lives are left out: whether they were made again since, their own requests say.
    """
    prompts: dict[str, str] = {}
    sent: dict[str, list[str]] = {}
    for event in record:
        match event["event"]:
            case "call_started" if event["kind"] == "llm":
                prompts[event["call"]] = str(event["arguments"]["prompt"])
            case "request":
                sent.setdefault(event["call"], []).append(prompts.get(event["call"], TURN))
            case "reply" | "call_finished":
                sent.pop(event["call"], None)
            case "resumed":
                sent.clear()
            case _:
                pass
    return Counter(prompt for requests in sent.values() for prompt in requests)


def problems(record: Iterable[dict[str, Any]]) -> list[str]:
    """What no journal may have: a gap, a number twice, or a call that ended and begins again."""
    found = []
    ended: set[str] = set()
    for number, event in enumerate(record):
        if event["seq"] != number:
            found.append(f"event {number} has the number {event['seq']}")
        if event["event"] == "call_finished" and not event.get("cut"):
            ended.add(event["call"])
        if event["event"] == "call_started" and event["call"] in ended:
            found.append(f"event {number}: call {event['call']} had ended, and begins again")
    return found


def diverged(record: Iterable[dict[str, Any]]) -> list[str]:
    """Where the run did something else than before; our cases never do."""
    return [
        f"event {event['seq']}, call {event['call']}: {event['message']}"
        for event in record
        if event["event"] == "diverged"
    ]


def _filled(event: dict[str, Any], blobs: Path) -> dict[str, Any]:
    return {name: _value(value, blobs) for name, value in event.items()}


def _value(value: Any, blobs: Path) -> Any:
    if isinstance(value, dict) and value.keys() == {"$blob", "n_bytes"}:
        return json.loads((blobs / value["$blob"]).read_bytes())
    return value
