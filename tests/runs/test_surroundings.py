from __future__ import annotations

import json

import pytest

from orchestrator.memory.record import evidence, parsed
from orchestrator.runs.surroundings import of_exception, of_exit


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("ConnectionRefusedError", "[Errno 111] Connection refused", "network"),
        ("URLError", "<urlopen error [Errno -3] Temporary failure in name resolution>", "network"),
        ("RuntimeError", "curl: (6) Could not resolve host: example.org", "network"),
        ("ModuleNotFoundError", "No module named 'pypdf'", "missing_package"),
        ("OSError", "[Errno 28] No space left on device: 'out/a'", "disk_full"),
        ("CalledProcessError", "sh: 1: pandoc: not found", "missing_binary"),
        ("ValueError", "the table has no column `price`", ""),
        ("FileNotFoundError", "[Errno 2] No such file or directory: 'notes.md'", ""),
        ("AssertionError", "expected `Connection refused`", ""),
    ],
)
def test_a_failure_of_the_surroundings_is_told_from_the_codes_own(name, message, kind):
    assert of_exception(name, message) == kind


def test_exit_codes_of_a_shell_say_that_a_program_is_missing():
    assert of_exit(127, "") == "missing_binary"
    assert of_exit(1, "fatal: Could not resolve host: github.com") == "network"
    assert of_exit(1, "2 tests failed") == ""


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"outcome": "ok"}, (True, 1.0)),
        ({"outcome": "unverified"}, (True, 0.2)),
        ({"outcome": "error", "error_kind": "checks"}, (False, 1.0)),
        ({"outcome": "budget", "error_kind": "tokens"}, (False, 1.0)),
        ({"outcome": "error", "error_kind": "network"}, None),
        ({"outcome": "error", "error_kind": "quota"}, None),
        ({"outcome": None, "error_kind": "cancelled"}, None),
        ({"outcome": "denied", "error_kind": "approval"}, None),
    ],
)
def test_what_a_record_proves(fields, expected):
    record = parsed(json.dumps({"at": "2026-01-01T00:00:00Z", **fields}).encode())
    assert record is not None
    assert evidence(record) == expected


def test_a_skill_that_fails_by_its_surroundings_says_so(place):
    code = place.root / "skills/maths/maths.py"
    code.write_text(
        code.read_text().replace('    return {"n": 2 * n}', "    raise ConnectionRefusedError(111)")
    )
    place.run("FINAL(skills.maths.double(n=1))", head="skills: [maths]")
    lines = (place.root / "memory/usage.jsonl").read_text().splitlines()
    (skill,) = [one for one in map(json.loads, lines) if one["skill"]]
    assert (skill["outcome"], skill["error_kind"]) == ("error", "network")
