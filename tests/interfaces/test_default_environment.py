"""Which environment a run takes where none is named, and what it says of it."""

import subprocess
import sys
import textwrap

import pytest

from orchestrator.environments.default import Chosen, choose

WITHOUT_LANDLOCK = """
    import ctypes, os, struct, sys
    from orchestrator.environments import confine
    program = confine._Program()
    program.add(confine._LOAD, confine._NUMBER)
    program.add(confine._EQUAL, confine._CREATE_RULESET, 0, 1)
    program.add(confine._RETURN, confine._ENOSYS)
    program.add(confine._RETURN, confine._ALLOW)
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
    confine._seccomp(b"".join(program))
    os.execv(sys.executable, [sys.executable, "-m", "orchestrator", *sys.argv[1:]])
"""
"""Runs the command line under a kernel that says that it has no Landlock."""


def test_usual_one_is_taken_without_trying_others():
    def tried(name):
        raise AssertionError(name)

    assert choose("confined", "", ["bubblewrap"], tried) == Chosen("confined")


def test_next_stronger_that_works_is_taken_and_said():
    reasons = {"bubblewrap": "no namespaces", "docker": "", "podman": ""}
    said = "`confined` does not work here (no Landlock), so `docker` is used in its place"
    assert choose("confined", "no Landlock", list(reasons), reasons.__getitem__) == Chosen("docker", said)


def test_nothing_weaker_is_taken_where_none_works():
    assert choose("confined", "no Landlock", ["bubblewrap"], lambda name: "no") == Chosen("confined")


@pytest.mark.skipif(sys.platform != "linux", reason="Landlock is Linux's")
@pytest.mark.parametrize("has_bubblewrap", [True, False])
def test_run_on_a_kernel_without_landlock(
    clean_env, workspace, workflow, environments_here, has_bubblewrap, tmp_path
):
    if has_bubblewrap:
        environments_here("bubblewrap")
    path = workflow("FINAL(6 * 7)")
    env = clean_env if has_bubblewrap else {**clean_env, "PATH": str(tmp_path)}
    argv = [sys.executable, "-c", textwrap.dedent(WITHOUT_LANDLOCK), str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60)
    if has_bubblewrap:
        assert (done.stdout, done.returncode) == ("42\n", 0), done.stderr
        assert "so `bubblewrap` is used in its place" in done.stderr
    else:
        assert (done.stdout, done.returncode) == ("", 69)
        assert "no Landlock" in done.stderr
        assert "`--environment process` runs without confinement" in done.stderr
