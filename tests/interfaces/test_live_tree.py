"""The command on a real (pseudo) terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_a_terminal(
    words: list[str], env: dict[str, str], *steps: tuple[bytes, bytes | Path]
) -> tuple[str, int]:
    """What a terminal of 80 columns gets to see, and the exit code.

    A step is what to wait for, beyond what the step before it saw, and what to type then, or the file to make.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", *words],
        env=env,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
    )
    os.close(theirs)
    seen, n_done, waiting = b"", 0, list(steps)
    while select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed: Linux says EIO
            break
        if not part:
            break
        seen += part
        while waiting and (found := seen.find(waiting[0][0], n_done)) >= 0:
            awaited, act = waiting.pop(0)
            n_done = found + len(awaited)
            act.touch() if isinstance(act, Path) else os.write(ours, act)
    os.close(ours)
    return seen.decode("utf-8", "replace").replace("\r\n", "\n"), process.wait(timeout=60)


def test_terminal_sees_a_tree_and_then_the_answer(clean_env: dict[str, str], workflow: Write) -> None:
    path = workflow("FINAL(skills.adder(1, 2))", checks=[{"name": "is three", "expr": "answer == 3"}])
    seen, code = on_a_terminal([str(path)], clean_env)
    assert code == 0
    assert "\x1b[32m" in seen
    plain = ESCAPES.sub("", seen)
    assert "✓ job  written" in plain
    assert "├─ ✓ adder.add: 1 ok" in plain
    assert "├─ ✓ check: is three" in plain
    assert "\n3\n" in plain
    assert "answered by `written`" in plain
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h"), "the cursor is shown again"


def test_no_color_is_honoured(clean_env: dict[str, str], workflow: Write) -> None:
    seen, code = on_a_terminal([str(workflow("FINAL('x')"))], {**clean_env, "NO_COLOR": "1"})
    assert code == 0
    assert re.findall(r"\x1b\[[0-9;]*3[0-9]m", seen) == []
    shown, _ = on_a_terminal(["show", "--workspace", str(Path.cwd())], {**clean_env, "NO_COLOR": "1"})
    assert "\x1b[3" not in shown


def test_dumb_terminal_gets_plain_lines(clean_env: dict[str, str], workflow: Write) -> None:
    seen, code = on_a_terminal([str(workflow("FINAL('x')"))], {**clean_env, "TERM": "dumb"})
    assert code == 0
    assert "\x1b" not in seen
    assert "  ✓ cell 1" in seen


def test_answers_and_errors_of_skills_cannot_steer_the_terminal(
    clean_env: dict[str, str], workflow: Write
) -> None:
    evil = "\\x1b]0;owned\\x07\\x1b[2J"
    path = workflow(f"log('{evil}')\nprint('{evil}')\nskills.adder.fail()", f"FINAL('{evil}')")
    seen, _ = on_a_terminal([str(path)], clean_env)
    assert "\x1b]0;" not in seen
    assert "\x1b[2J" not in seen
    assert "\x07" not in seen
    assert "\\x1b]0;owned\\x07" in seen


def test_person_is_asked_for_an_approval(clean_env: dict[str, str], workflow: Write) -> None:
    path = workflow("FINAL(skills.adder(1, 2))", approvals=["skill:adder"])
    seen, code = on_a_terminal([str(path)], clean_env, (b"[y/N]", b"y\n"))
    assert code == 0
    assert "\n3\n" in ESCAPES.sub("", seen)
    seen, code = on_a_terminal([str(path)], clean_env, (b"[y/N]", b"n\n"))
    assert code == 1


@pytest.mark.parametrize("early", [b"y\n", b"y"], ids=["line", "half a line"])
def test_what_was_typed_before_the_question_is_no_answer(
    early: bytes, clean_env: dict[str, str], workflow: Write, workspace: Path
) -> None:
    go = workspace / "go"
    wait = f"from pathlib import Path\nimport time\nlog('started')\nwhile not Path({str(go)!r}).exists(): time.sleep(0.01)"
    path = workflow(
        wait, "FINAL(skills.adder(1, 2))", approvals=["skill:adder"], permissions={"read": ["go"]}
    )
    # The terminal's echo says that the keys have arrived.
    steps = (b"started", early), (early.strip(), go), (b"[y/N]", b"\n")
    seen, code = on_a_terminal([str(path)], clean_env, *steps)
    assert code == 1, seen
    assert "`adder.add` was not approved" in ESCAPES.sub("", seen)


def test_end_of_input_at_a_question_leaves_it_open_and_an_unknown_word_is_asked_about_again(
    clean_env: dict[str, str], workflow: Write
) -> None:
    path = workflow("FINAL(approve('Send it?'))")
    question = b"allow it? [y/N] "
    seen, code = on_a_terminal([str(path)], clean_env, (question, b"foo\n"), (question, b"\x04"))
    assert "type y to allow it" in seen
    assert code == 3
    assert "--approve ID" in seen
    assert on_a_terminal([str(path)], clean_env, (question, b"y\n"))[1] == 0


def test_person_is_asked_whether_a_new_skill_is_trusted(
    clean_env: dict[str, str], workflow: Write, workspace: Path
) -> None:
    path = workflow("FINAL(skills.adder(1, 2))", skills=["adder"])
    (workspace / "skills.lock").unlink()
    seen, code = on_a_terminal([str(path)], clean_env, (b"[y/N]", b"n\n"))
    assert code == 5
    assert "functions: add (no effects), fail (no effects)" in ESCAPES.sub("", seen)
    assert not (workspace / "skills.lock").exists()
    seen, code = on_a_terminal([str(path)], clean_env, (b"[y/N]", b"y\n"))
    assert (code, "\n3\n" in ESCAPES.sub("", seen)) == (0, True)
    seen, code = on_a_terminal([str(path)], clean_env)
    assert (code, "[y/N]" in seen) == (0, False)


def test_person_is_shown_what_has_changed_in_a_skill(
    clean_env: dict[str, str], workflow: Write, workspace: Path
) -> None:
    path = workflow("FINAL(skills.adder(1, 2))")
    (workspace / "skills.lock").unlink()
    assert on_a_terminal([str(path)], clean_env, (b"[y/N]", b"y\n"))[1] == 0
    with (workspace / "skills/adder/code.py").open("a") as file:
        file.write("EVIL = 1\n")
    seen, code = on_a_terminal([str(path)], clean_env, (b"[y/N]", b"\n"))
    assert code == 5
    assert "+EVIL = 1" in ESCAPES.sub("", seen)
    seen, code = on_a_terminal([str(path), "--frozen"], clean_env)
    assert (code, "[y/N]" in seen) == (5, False)
