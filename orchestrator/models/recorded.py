"""A model that answers from a file: a script of replies, or the journal of an earlier run.

A script is YAML or JSON: `replies:`, a list of entries. The first one that fits a request and is not used up answers it.

    role: root | sub       whose requests it is for; any where it is not written
    match: REGEX           searched in the last message; fits everything where it is not written
    reply: TEXT            what is answered; or `json: VALUE`, written as JSON; or `error: {fault: ..., message: ...}`
    times: 1               how many requests it answers; 0 = any number
    tokens_in, tokens_out  figures; else a token for four bytes
    finish: stop           or length, filtered

In a journal, a request is answered with what was answered to the same last message, in order among equal ones.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from orchestrator.errors import ModelFailed, ModelFault, ModelUnavailable, UsageError
from orchestrator.models.model import Finish, Reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from orchestrator.models.model import Prompt
    from orchestrator.models.names import Target

KEYS = frozenset(
    {"role", "match", "reply", "json", "error", "times", "tokens_in", "tokens_out", "finish", "retry_after_s"}
)
JOURNAL = "journal.jsonl"
_LEFT = re.compile(r"Left: [^\n]*")

_FIGURES = ("times", "tokens_in", "tokens_out")


class Recorded:
    """Replies from a file, read when the first one is wanted. Belongs to one run: what was answered is used up."""

    def __init__(self, target: Target, environ: Mapping[str, str]) -> None:  # noqa: ARG002  (as all backends are made)
        self._path = Path(target.model)
        self._replies: Replies | None = None

    async def complete(self, prompt: Prompt) -> Reply:
        """The reply that was recorded for this."""
        if self._replies is None:
            self._replies = read_replies(self._path)
        role, last = "root" if prompt.for_root else "sub", prompt.messages[-1].content
        return self._replies.take(role, last, _n_bytes(*(one.content for one in prompt.messages)))

    async def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class Entry:
    """One reply of a script."""

    role: str | None
    match: re.Pattern[str] | None
    text: str
    n_left: int | None  # None = any number
    error: dict[str, Any] | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish: Finish = "stop"

    def fits(self, role: str, last: str) -> bool:
        """Whether it answers this request."""
        if self.n_left == 0 or self.role not in (None, role):
            return False
        return self.match is None or self.match.search(last) is not None


class Replies:
    """The replies of a file, used up one by one."""

    def __init__(
        self, path: Path, script: list[Entry], recorded: Mapping[tuple[str, str], deque[Reply]]
    ) -> None:
        self._path = path
        self._script = script
        self._recorded = recorded

    def take(self, role: str, last: str, n_bytes: int) -> Reply:
        """The reply to a request. Raises ModelFailed where there is none."""
        if self._recorded.get((role, _kept(last))):
            return self._recorded[role, _kept(last)].popleft()
        entry = next((one for one in self._script if one.fits(role, last)), None)
        if entry is None:
            n_left = sum(one.n_left != 0 for one in self._script) + sum(map(len, self._recorded.values()))
            raise ModelFailed(
                f"`{self._path}` has no reply left for a {role} request that ends with: {last[-200:]!r} "
                f"({n_left} for other requests)",
                "rejected",
                hint="a script answers in order, or what its `match` fits",
            )
        if entry.n_left is not None:
            entry.n_left -= 1
        if entry.error is not None:
            raise ModelFailed(
                str(entry.error.get("message", "recorded failure")), entry.error.get("fault", "server"),
                retryable=bool(entry.error.get("retryable")), retry_after_s=entry.error.get("retry_after_s"),
            )  # fmt: skip
        tokens_in = n_bytes // 4 if entry.tokens_in is None else entry.tokens_in
        tokens_out = _n_bytes(entry.text) // 4 if entry.tokens_out is None else entry.tokens_out
        return Reply(entry.text, tokens_in, tokens_out, finish=entry.finish)


def read_replies(path: Path) -> Replies:
    """The replies of a file. Raises ModelUnavailable where it is not there, UsageError for what is no recording."""
    journal = path / JOURNAL if path.is_dir() else path
    try:
        if journal.name == JOURNAL or journal.suffix == ".jsonl":
            return Replies(path, [], _of_journal(journal))
        return Replies(path, list(_of_script(path)), {})
    except OSError as error:
        raise ModelUnavailable(
            f"can't read the recording `{path}`: {error.strerror}", hint="write it as recorded:FILE"
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is no recording: {error}") from None


def _of_script(path: Path) -> Iterator[Entry]:
    text = path.read_text("utf-8")
    if path.suffix == ".json":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"`{path}` is no JSON: {error}") from None
    else:
        from orchestrator.documents import yaml_values  # here: a journal needs none of it

        located = yaml_values.read(text, 1)
        if located.flaws:
            raise UsageError("\n".join(f"{path}:{one.line}: {one.message}" for one in located.flaws))
        value = located.value
    replies = value.get("replies") if isinstance(value, dict) else None
    if not isinstance(replies, list):
        raise UsageError(
            f"`{path}` has no list `replies`",
            hint="each entry has `reply:`, and perhaps `match:` and `role:`",
        )
    for number, fields in enumerate(replies, 1):
        yield _entry(path, number, fields)


def _entry(path: Path, number: int, fields: Any) -> Entry:
    def refusal(why: str) -> UsageError:
        return UsageError(f"`{path}`: reply {number} {why}")

    if not isinstance(fields, dict) or not fields.keys() <= KEYS:
        raise refusal(f"has to be an object of {', '.join(sorted(KEYS))}")
    if sum(key in fields for key in ("reply", "json", "error")) != 1:
        raise refusal("has to have one of `reply`, `json`, `error`")
    if fields.get("role") not in (None, "root", "sub"):
        raise refusal("has a `role` that is neither root nor sub")
    try:
        match = re.compile(fields["match"]) if "match" in fields else None
    except (re.error, TypeError) as error:
        raise refusal(f"has a `match` that is no regular expression: {error}") from None
    for key in _FIGURES:
        if not _is_count(value := fields.get(key, 0)):
            raise refusal(f"has a `{key}` that is no whole number from 0: `{value!r}`")
    if fields.get("finish", "stop") not in get_args(Finish):
        raise refusal(f"has a `finish` that is none of {', '.join(get_args(Finish))}")
    if "error" in fields and not _is_error(fields["error"]):
        raise refusal(f"has an `error` that is no object with a `fault` of {', '.join(get_args(ModelFault))}")
    text = fields.get("reply", "")
    return Entry(
        role=fields.get("role"),
        match=match,
        text=json.dumps(fields["json"], ensure_ascii=False) if "json" in fields else str(text),
        n_left=fields.get("times", 1) or None,
        error=fields.get("error"),
        tokens_in=fields.get("tokens_in"),
        tokens_out=fields.get("tokens_out"),
        finish=fields.get("finish", "stop"),
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_error(value: Any) -> bool:
    if not isinstance(value, dict) or value.get("fault", "server") not in get_args(ModelFault):
        return False
    after = value.get("retry_after_s", 0)
    return isinstance(after, int | float) and 0 <= after < float("inf")


def _n_bytes(*texts: str) -> int:
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def _of_journal(path: Path) -> dict[tuple[str, str], deque[Reply]]:
    """What was answered, by role and last message."""
    found: dict[tuple[str, str], deque[Reply]] = defaultdict(deque)
    prompts: dict[str, str] = {}  # of open llm calls, and of the turns of each call
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:  # a line that a killed writer left torn
                continue
            if not isinstance(event, dict):
                continue
            call = str(event.get("call", ""))
            match event.get("event"):
                case "call_started" if event.get("kind") == "llm":
                    prompts[call] = _last(_whole(event.get("arguments"), path).get("prompt"))
                case "call_finished" if call in prompts and event.get("outcome") == "ok":
                    value = _value(event.get("value"), path)
                    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                    found["sub", _kept(prompts.pop(call))].append(
                        Reply(text, event.get("tokens_in"), event.get("tokens_out"))
                    )
                case "iteration" if event.get("messages"):
                    prompts[call] = _last(_value(event["messages"], path))
                case "reply":
                    text = str(_value(event.get("text"), path))
                    found["root", _kept(prompts.pop(call, ""))].append(
                        Reply(text, event.get("tokens_in"), event.get("tokens_out"))
                    )
                case _:
                    pass
    return found


def _kept(text: str) -> str:
    """A message without what is left of the budget, which is never the same twice."""
    return _LEFT.sub("", text)


def _last(prompt: Any) -> str:
    if isinstance(prompt, list) and prompt and isinstance(prompt[-1], dict):
        return str(prompt[-1].get("content", ""))
    return prompt if isinstance(prompt, str) else ""


def _whole(value: Any, path: Path) -> dict[str, Any]:
    filled = _value(value, path)
    return filled if isinstance(filled, dict) else {}


def _value(value: Any, path: Path) -> Any:
    """A value of an event; one that is kept in a blob is read from there."""
    if isinstance(value, dict) and value.keys() == {"$blob", "n_bytes"}:
        return json.loads((path.parent / "blobs" / Path(str(value["$blob"])).name).read_bytes())
    return value
