"""What an agent that is the model of a run has to move: bytes of its commands, beside those of the messages."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from report import report, users_environment

N_TURNS = 10
TASK = "---\nname: w\n---\n# Read\nRead `context` a part at a time and say what it holds.\n"
TURN = """I look at part {n} before I go on, and keep what I find in `found`.

```repl
found = globals().get("found", [])
part = context["text"][{n} * 400:({n} + 1) * 400]
found.append(len(part.split()))
print(part)
```
"""
LAST = "I have seen enough.\n\n```repl\nFINAL(found)\n```\n"


def main() -> None:
    """Be the model of one run by the command line alone; print one table."""
    with tempfile.TemporaryDirectory() as folder:
        turns = moved(Path(folder))
    messages, replies = sum(turn[0] for turn in turns), sum(turn[1] for turn in turns)
    printed, given = sum(turn[2] for turn in turns), sum(turn[3] for turn in turns)
    ratio = (printed + given) / (messages + replies)
    report(
        "The host is the model",
        ["what", "bytes"],
        [
            ["messages that the model was shown, all turns", f"{messages:,}"],
            ["its replies", f"{replies:,}"],
            ["printed by the commands, and files of messages read", f"{printed:,}"],
            ["answers given to them", f"{given:,}"],
            ["moved, for each byte of messages and replies (aim 1.5)", f"{ratio:.2f}"],
            ["moved a turn, first to last", ", ".join(f"{turn[2] + turn[3]:,}" for turn in turns)],
        ],
        f"One run of {N_TURNS} turns; every turn shows all messages so far, as any model request does. Exact: it has no noise.",
    )


def moved(folder: Path) -> list[tuple[int, int, int, int]]:
    """For each turn: bytes of messages, of the reply, printed by commands, given to them."""
    (folder / "memory").mkdir()
    (folder / "w.md").write_text(TASK)
    text = " ".join(f"word{number % 97}" for number in range(1000))
    (folder / "in.json").write_text(json.dumps({"text": text}))
    printed = run(folder, 3, "w.md", "--model", "host", "--input-json", "in.json", "--json")
    turns = []
    for number in range(N_TURNS):
        envelope = json.loads(printed)
        (need,) = envelope["needs"]
        n_printed = len(printed)
        if "messages_path" in need:
            data = Path(need["messages_path"]).read_bytes()
            n_printed += len(data)
            need["messages"] = json.loads(data)
        reply = LAST if number == N_TURNS - 1 else TURN.format(n=number)
        answers = json.dumps({need["id"]: reply}).encode()
        n_messages = sum(len(one["content"].encode()) for one in need["messages"])
        turns.append((n_messages, len(reply.encode()), n_printed, len(answers)))
        code = 0 if number == N_TURNS - 1 else 3
        printed = run(folder, code, "resume", envelope["run"], "--answers", "-", "--json", given=answers)
    messages, replies, shown, given = turns[-1]
    return [*turns[:-1], (messages, replies, shown + len(printed), given)]  # the answer is printed too


def run(folder: Path, code: int, *words: str, given: bytes = b"") -> bytes:
    """What one command prints."""
    argv = [sys.executable, "-m", "orchestrator", *words]
    done = subprocess.run(argv, cwd=folder, env=users_environment(), input=given, capture_output=True)
    assert done.returncode == code, done.stderr.decode()
    return done.stdout


if __name__ == "__main__":
    main()
