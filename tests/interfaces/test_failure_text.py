"""What is said of errors that nobody expected."""

from __future__ import annotations

import errno

import pytest

from orchestrator.interfaces.failure import report_lost_answer, report_os_error

SAID = [
    (OSError(errno.ENOSPC, "No space left on device"), "error: the system refused: No space left on device"),
    (
        OSError(errno.EIO, "Input/output error", "a\x1b"),
        "error: the system refused `a\\x1b`: Input/output error",
    ),
    (
        OSError(errno.EIO, "Input/output error", b"a\xff"),
        "error: the system refused `a\\udcff`: Input/output error",
    ),
    (OSError(errno.EBADF, "Bad file descriptor", 7), "error: the system refused `7`: Bad file descriptor"),
    (OSError("cannot do this"), "error: the system refused: cannot do this"),
    (TimeoutError(), "error: the system refused: TimeoutError"),
]


@pytest.mark.parametrize(("error", "said"), SAID, ids=lambda part: repr(part)[:40])
def test_what_the_system_refused_is_told_with_what_is_known(
    error: OSError, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_os_error(error) == 2
    assert capsys.readouterr().err.splitlines()[0] == said


def test_lost_answer_is_told_with_what_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_lost_answer(OSError()) == 1
    assert (
        capsys.readouterr().err.splitlines()[0] == "error: the answer could not be written to stdout: OSError"
    )
