"""The loopback model of the benchmark of learning: a reader with limits, and a root that works well only now and then.

It answers from what it is sent and from nothing else. As a reader it notices the first `READ_CHARS` of a prompt, keeps
count of `COUNTS` items in one, and does not know that a thing matters which the task does not name. As a root it
writes cells that do the task, or hasty ones, as the kind of task and its luck in this round have it; luck is drawn from
the key, so that all sides of a comparison meet the same.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from dataclasses import dataclass, field

from cases import CASES, COMPLAINTS, Case
from model_server import Answer, Seen

READ_CHARS = 45_000
COUNTS = 40
OF_SECTION = "You have section"
OF_PART = "You have a part"
SHORTCUT = "skills.shortcut"
SHORTCUT_SHARE = 0.5
SIDE = "x-side"
"""The header that says for which side of a comparison a request is made."""

ADD_UP = "sum(int(re.search(r'worth (\\d+)', line)[1]) for line in {text}.splitlines() if f' {{{key}}} is worth ' in line)"
WHOLE = "\n".join(["import re", "text = next(iter(context.values()))"])
HASTY = "text = text[: len(text) // 2]"

ASKED = {
    "find": WHOLE + "\nkey = inputs['key']\nFINAL(" + ADD_UP.format(text="text", key="key") + ")",
    "total": WHOLE + "\nkey = inputs['key']\nFINAL(" + ADD_UP.format(text="text", key="key") + ")",
    "chain": WHOLE
    + "\nowner = re.search(inputs['key'] + r' belongs to (\\w+)', text)[1]\nFINAL("
    + ADD_UP.format(text="text", key="owner")
    + ")",
    "moods": WHOLE
    + "\nlines = [line for line in text.splitlines() if f\" {inputs['key']} \" in line and re.search('complain|refund', line)]"
    + "\nFINAL(sum(int(re.search(r'names (\\d+)', line)[1]) for line in lines))",
    "draft": WHOLE + "\nFINAL(int(re.search(inputs['key'] + r' is worth (\\d+)', text)[1]))",
}
"""Cells that do a task with code: well, but for `moods` and `draft`, where code alone can't."""

READS = """prompts = [f"{task}\\n\\nAnswer for this part alone, with the number and nothing else.\\n\\n# Part\\n{part}" for part in pieces(context, chunk_bytes)]
FINAL(sum(int(reply) for reply in llm_query_batched(prompts)))"""
RECURSES = """parts = pieces(context, chunk_bytes)
said = rlm_query_batched([f"{task}\\n\\n(You have a part of the material in `context`. Answer for this part alone.)" for part in parts], contexts=parts)
FINAL(sum(int(one) for one in said))"""
BELOW = (
    "import re\nkey = re.search(r'of all values of (\\w+)|value of (\\w+)', task)\nkey = key and (key[1] or key[2])\nFINAL(str("
    + ADD_UP.format(text="context", key="key")
    + "))"
)
"""What a recursive call does with its part."""

CASE_OF = {case.name: case for case in CASES}


@dataclass
class Spent:
    """Tokens of one side's root turns, and of all other requests."""

    root: int = 0
    rest: int = 0


@dataclass
class Scripted:
    """The model, and what it was asked. Its policy runs in the server's thread; read it when nothing is under way."""

    spent: defaultdict[str, Spent] = field(default_factory=lambda: defaultdict(Spent))

    def __call__(self, seen: Seen) -> Answer:
        """What it says, noted down for the side that asked."""
        text = "\n".join(said for role, said in seen.messages if role != "system")
        is_below = OF_SECTION in text or OF_PART in text
        said = _turn(seen, text, is_below=is_below) if seen.is_root else _read(seen)
        n_tokens = seen.n_prompt_bytes // 4 + len(said) // 4
        spent = self.spent[seen.headers.get(SIDE, "")]
        if seen.is_root and not is_below:
            spent.root += n_tokens
        else:
            spent.rest += n_tokens
        return Answer(said)


def _turn(seen: Seen, text: str, *, is_below: bool) -> str:
    """A turn of a root: the first one looks, the second one answers."""
    case, key = _task(text)
    if is_below:
        return _cell(BELOW)
    if case.root == "talks":
        return "I would have to think about this for longer."
    n_before = sum(role == "assistant" for role, _ in seen.messages)
    if n_before == 0:
        return _cell("print(type(context), len(context), next(iter(context.values()))[:300])")
    if SHORTCUT in text and random.Random(f"shortcut {key}").random() < SHORTCUT_SHARE:
        return _cell('FINAL(skills.shortcut(key=inputs["key"])["answer"])')
    if n_before == 1 and case.root == "peeks":
        return _cell("text = next(iter(context.values()))\nprint(text.count(inputs['key']))\n1 / 0")
    return _cell(_works(case, is_good=random.Random(f"luck {key}").random() < case.share))


def _works(case: Case, *, is_good: bool) -> str:
    """The cell that is to answer."""
    code = ASKED[case.ask]
    if case.root == "recurses":
        return RECURSES if is_good else READS
    if case.root == "asks":
        return READS if is_good else code.replace(WHOLE, f"{WHOLE}\n{HASTY}")
    return code if is_good or case.ask in ("moods", "draft") else code.replace(WHOLE, f"{WHOLE}\n{HASTY}")


def _read(seen: Seen) -> str:
    """A reply to a plain question."""
    shown = seen.last[:READ_CHARS]
    case, key = _task(shown)
    wanted = "".join(text for role, text in seen.messages if role == "system") + json.dumps(seen.schema)
    if "regular expressions" in shown:
        return json.dumps({"patterns": ["complain", "refund"] if case.ask == "moods" else [rf"\b{key}\b"]})
    if '"mistakes"' in wanted:
        return json.dumps({"mistakes": _mistakes(case, key, shown)})
    found = _found(case, key, shown)
    if "write NOTHING" in shown or "Condense these notes" in shown:
        return "NOTHING" if found is None else f"note: {key} comes to {found}"
    if '"found"' in wanted:
        return json.dumps({"found": found is not None, "answer": found or 0})
    return str(found or 0)


def _task(text: str) -> tuple[Case, str]:
    """Which task a text is about, and its key."""
    name = re.search(r"TASK ([\w-]+)\.", text)
    key = re.search(r"(?:value of|values of|owner of|about shop) (k\d+)", text)
    if name is None or key is None:
        raise ValueError(f"a prompt without a task: {text[:200]!r}")
    return CASE_OF[name[1]], key[1]


def _found(case: Case, key: str, shown: str) -> int | None:
    """What a reader makes of what it notices; None where it finds nothing."""
    noted = [int(one) for one in re.findall(rf"{key} comes to (\d+)", shown)]
    noted += [int(one) for one in re.findall(r"^\[section \d+\]\n(\d+)$", shown, re.MULTILINE)]
    if noted:
        return sum(noted)
    lines = dict(re.findall(r"^(\d{5}) (.*)$", shown, re.MULTILINE))  # a line that is shown twice is one
    values = [int(one) for line in lines.values() if (one := _value(case, key, line, shown)) is not None]
    if case.ask in ("find", "draft", "chain"):
        corrected = re.search(r"These mistakes were found.*?should be (\d+)", shown, re.DOTALL)
        return int(corrected[1]) if corrected else next(iter(values), None)
    return sum(values[:COUNTS]) if values else None


def _value(case: Case, key: str, line: str, shown: str) -> str | None:
    """The value on a line that counts for the task."""
    if case.ask == "moods":
        found = re.search(rf"customer of {key} (.*) and names (\d+)", line)
        return found[2] if found and found[1] in COMPLAINTS else None
    if case.ask == "chain":
        owner = re.search(rf"{key} belongs to (\w+)", shown)
        if owner is None:
            return None
        key = owner[1]
    worth = re.search(rf"ledger: {key} is worth (\d+)", line)
    return worth[1] if worth else None


def _mistakes(case: Case, key: str, shown: str) -> list[str]:
    """What somebody finds who looks for mistakes: a correction that the answer does not heed."""
    corrected = re.search(rf"correction: {key} is worth (\d+)", shown)
    answer = re.search(r"and answered:\n(\d+)", shown)
    if case.ask != "draft" or corrected is None or answer is None or corrected[1] == answer[1]:
        return []
    return [f"a correction was overlooked; it should be {corrected[1]}"]


def _cell(source: str) -> str:
    return f"I go on.\n```repl\n{source}\n```"
