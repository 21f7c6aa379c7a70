"""What it takes to go on with a run: how it began, what it waits for, and whether these answers may be given to it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.environments.session import MARK
from orchestrator.errors import Denied, UsageError
from orchestrator.runs.desk import Need, need_id
from orchestrator.runs.hiding import Hiding
from orchestrator.runs.journal import FILE_NAME, is_alive, read_journal
from orchestrator.runs.processes import ancestors, this_process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from orchestrator.documents.types import Workflow

TOLD = frozenset({"run_started", "resumed", "suspended", "run_finished"})

TO_GO_ON = (
    "source", "path", "version", "inputs", "models", "strategy", "environment", "budget", "skills", "accepts_prices",
)  # fmt: skip
"""What has to be on record of how a run began."""


@dataclass(slots=True)
class Record:
    """The outline of a run's record. `needs` are all that it ever asked for, by their ids."""

    run: str
    header: dict[str, Any] = field(default_factory=dict)
    needs: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    asker: Any = None

    @property
    def open(self) -> list[dict[str, Any]]:
        """The needs that nobody has answered."""
        return [need for number, need in self.needs.items() if number not in self.answers]

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs that were given, at its beginning or since."""
        later = {
            need["name"]: self.answers[number] for number, need in self.needs.items()
            if need["kind"] == "input" and number in self.answers
        }  # fmt: skip
        return {**self.header["inputs"], **later}


def read_record(folder: Path, secrets: Iterable[str] = ()) -> Record:
    """The outline of the run in a folder. Raises UsageError for a journal that can't be gone on with.

    `secrets` are variables whose values are hidden in it, beside those whose names say so.
    """
    hiding = Hiding(folder.name, os.environ, secrets)
    path = folder / FILE_NAME
    record = Record(folder.name)
    for event in read_journal(path, strict=True, only=TOLD):
        fields = hiding.restored(event.fields)
        match event.event:
            case "run_started":
                record.header = fields
            case "resumed":
                record.answers.update(fields.get("answers") or {})
            case "suspended":
                record.needs |= {need["id"]: need for need in fields["needs"]}
                record.asker = fields.get("asker")
            case _:
                pass
    if not all(name in record.header for name in TO_GO_ON):
        raise UsageError(
            f"{path} does not say how the run began",
            hint="it was cut off too early to go on; run the workflow anew",
        )
    if is_alive(folder):
        raise UsageError(
            f"run `{record.run}` is going on in another process",
            hint=f"`orchestrate status {record.run}` shows it, `orchestrate stop {record.run}` ends it",
        )
    return record


def checked_answers(
    record: Record,
    answers: Mapping[str, Any],
    approve: Iterable[str],
    deny: Iterable[str],
    *,
    by_asker: bool = False,
) -> dict[str, Any]:
    """The answers, each to a need that is open and of its form.

    Raises UsageError naming what is open, and Denied for an approval by the run itself or by the process that asked,
    unless the workspace lets these (`by_asker`).
    """
    given = {**answers}
    for number, agreed in [*((one, True) for one in approve), *((one, False) for one in deny)]:
        _check_approval(record, number)
        if given.get(number, agreed) is not agreed:
            raise UsageError(f"`{number}` is both approved and denied", hint="give one of the two")
        given[number] = agreed
    for number in [number for number in given if number in record.answers]:
        if given.pop(number) != record.answers[number]:
            raise UsageError(f"`{number}` was answered already, and otherwise", hint=_listed(record))
    for number, answer in given.items():
        problem = _problem(record.needs.get(number), answer)
        if problem:
            raise UsageError(f"the answer to `{number}`: {problem}", hint=_listed(record))
    if any(record.needs[number]["kind"] == "approval" and answer for number, answer in given.items()):
        _check_approver(record, by_asker=by_asker)
    return given


def missing_needs(run: str, workflow: Workflow, missing: Iterable[str]) -> list[dict[str, Any]]:
    """The needs of inputs that somebody still has to give."""
    needs = []
    properties = workflow.inputs.get("properties", {})
    for name in missing:
        schema = properties.get(name, {})
        schema = schema if isinstance(schema, dict) else {}
        said = f": {schema['description']}" if schema.get("description") else ""
        fields = {"name": name, "schema": schema}
        need = Need(need_id(run, name, "input"), "input", "0", f"Which `{name}`?{said}", fields)
        needs.append(need.shown())
    return needs


def _check_approval(record: Record, number: str) -> None:
    need = record.needs.get(number)
    if need is None or need["kind"] != "approval":
        what = "asks for no approval" if need else "is no need of this run"
        raise UsageError(f"`{number}` {what}", hint=_listed(record))


def _problem(need: Mapping[str, Any] | None, answer: Any) -> str:
    """Why this is no answer to a need; nothing where it is one."""
    if need is None:
        return "the run asks nothing by this id"
    match need["kind"]:
        case "approval" if not isinstance(answer, bool):
            return "an approval is true or false"
        case "model" if not isinstance(answer, str):
            return f"a model's reply is a text, not {type(answer).__name__}"
        case "in_doubt" if answer != "retry" and not (isinstance(answer, dict) and answer.keys() == {"done"}):
            return 'it is "retry", or {"done": the value that it gave}'
        case _:
            return ""


def _listed(record: Record) -> str:
    needs = [f"{need['id']} ({need['kind']}: {need['prompt']:.60})" for need in record.open]
    return (
        f"open: {'; '.join(needs)}" if needs else "nothing is open; `orchestrate resume RUN` goes on with it"
    )


def _check_approver(record: Record, *, by_asker: bool) -> None:
    """Raise Denied where a run approves for itself."""
    if by_asker:
        return
    hint = (
        f"a person types it in a terminal of their own: orchestrate resume {record.run} --approve ID; "
        "or allow it with `by_asker = true` under [approvals] in orchestrate.toml"
    )
    if record.asker == this_process():
        raise Denied("the process that asked for an approval can't give it", hint=hint)
    if within_a_run():
        raise Denied("an approval can't be given from within a run", hint=hint)


def within_a_run() -> bool:
    """Whether this process was started by a run: by a skill, a check, a command that is its model."""
    return bool(os.environ.get(MARK)) or any(_runs_something(one["pid"]) for one in ancestors()[1:])


def _runs_something(pid: Any) -> bool:
    """Whether a process has the journal of a run open."""
    try:
        return any(
            entry.readlink().parts[-4:-2] == ("memory", "runs") and entry.readlink().name == FILE_NAME
            for entry in Path(f"/proc/{pid}/fd").iterdir()
        )
    except OSError:
        return False
