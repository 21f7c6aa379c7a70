"""The profile of the macOS sandbox, as text; and that what does not hold is an error. No Mac was at hand to run it."""

import sys
from pathlib import Path

import pytest

from orchestrator.environments import inside
from orchestrator.environments.seatbelt import Seatbelt, profile
from orchestrator.environments.trial import tried
from orchestrator.values import Grants, WorkerSpec


def rules(text):
    """The top-level rules of a profile; raises when brackets or quotes do not match."""
    found, depth, start, quoted, escaped = [], 0, 0, False, False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = char == "\\", char != '"'
        elif char == '"':
            quoted = True
        elif char == "(":
            start, depth = (at if not depth else start), depth + 1
        elif char == ")":
            depth -= 1
            if not depth:
                found.append(text[start : at + 1])
    assert (depth, quoted) == (0, False)
    return found


@pytest.fixture
def spec(tmp_path):
    for name in ("scratch", "read", "write", 'odd "one"'):
        (tmp_path / name).mkdir()

    def made(**grants):
        return WorkerSpec(scratch=tmp_path / "scratch", cwd=tmp_path, grants=Grants(**grants))

    return made


def test_everything_is_denied_before_anything_is_allowed(spec):
    found = rules(profile(spec()))
    assert found[:2] == ["(version 1)", "(deny default)"]
    assert all(rule.startswith("(allow ") for rule in found[2:])


def test_only_granted_folders_are_named_and_only_some_for_writing(spec, tmp_path):
    text = profile(spec(read=(tmp_path / "read",), write=(tmp_path / "write",)))
    (reads,) = [rule for rule in rules(text) if rule.startswith("(allow file-read* ")]
    (writes,) = [rule for rule in rules(text) if rule.startswith("(allow file-write* ")]
    assert all(f'(subpath "{tmp_path}/{name}")' in reads for name in ("scratch", "read", "write"))
    assert (
        writes
        == f'(allow file-write* (subpath "{tmp_path}/write") (subpath "{tmp_path}/scratch") (literal "/dev/null"))'
    )
    assert f'"{tmp_path}"' not in text
    assert f'"{Path.home()}"' not in text


def test_paths_are_resolved_and_quoted(spec, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / 'odd "one"')
    text = profile(spec(read=(tmp_path / "link",)))
    assert f'(subpath "{tmp_path}/odd \\"one\\"")' in text
    assert "link" not in text
    rules(text)


def test_network_and_programs_are_allowed_only_when_granted(spec):
    bare, network, programs = profile(spec()), profile(spec(hosts=("*",))), profile(spec(processes=True))
    assert ["(allow network*)" in text for text in (bare, network, programs)] == [False, True, False]
    assert ["process-fork" in text for text in (bare, network, programs)] == [False, False, True]
    assert "same-sandbox" in programs
    assert "(deny network* (remote unix-socket))" in network


@pytest.mark.skipif(sys.platform == "darwin", reason="it is refused elsewhere")
def test_it_is_refused_on_other_systems_with_what_to_do():
    assert tried(Seatbelt()) == (
        "`seatbelt` needs macOS and its `sandbox-exec`\n"
        "hint: `--environment docker` works on a Mac too; `orchestrate doctor` tries what is there"
    )


def test_a_profile_that_does_not_hold_is_an_error_and_no_weaker_worker():
    """This process has none, so the first thing that is tried works."""
    start = {"grants": {"read": [], "write": [], "network": False, "processes": True}}
    with pytest.raises(OSError, match="`/` can still be listed"):
        inside.try_what_must_fail(start)
    everything = {"read": ["/", str(Path.home())], "write": [], "network": False, "processes": True}
    with pytest.raises(OSError, match="the network can still be reached"):
        inside.try_what_must_fail({"grants": everything})
    inside.try_what_must_fail({"grants": {**everything, "network": True}})


@pytest.mark.skipif(sys.platform != "darwin", reason="it is macOS's")
def test_it_works_on_a_mac():
    assert tried(Seatbelt()) == ""
