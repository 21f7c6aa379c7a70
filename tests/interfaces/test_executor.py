"""`--executor ray` where the package is missing, and what `doctor` says of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WITHOUT = "import runpy, sys; sys.modules['ray'] = None; sys.argv[0] = 'orchestrate'; runpy.run_module('orchestrator', run_name='__main__')"


def test_without_the_package_a_run_says_which_extra_to_install(
    workspace: Path, clean_env: dict[str, str]
) -> None:
    (workspace / "w.md").write_text("# W\n```repl\nFINAL(1)\n```\n")
    argv = [sys.executable, "-c", WITHOUT, "run", "w.md", "--executor", "ray"]
    done = subprocess.run(argv, cwd=workspace, env=clean_env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (69, "")
    assert "error: `--executor ray` needs a package that is not installed" in done.stderr
    assert "hint: install it with: python -m pip install 'skill-orchestrator[ray]'" in done.stderr


def test_settings_name_the_executor_and_a_word_goes_first(workspace: Path, clean_env: dict[str, str]) -> None:
    (workspace / "w.md").write_text("# W\n```repl\nFINAL(1)\n```\n")
    (workspace / "orchestrate.toml").write_text('[executor]\nkind = "ray"\naddress = "10.0.0.1:6379"\n')
    codes = []
    for words in ((), ("--executor", "local")):
        argv = [sys.executable, "-c", WITHOUT, "run", "w.md", *words]
        codes.append(
            subprocess.run(argv, cwd=workspace, env=clean_env, capture_output=True, check=False).returncode
        )
    assert codes == [69, 0]


def test_doctor_says_whether_runs_could_be_spread(
    orchestrate: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    (line,) = [line for line in orchestrate("doctor").stdout.splitlines() if "executor ray" in line]
    assert line.startswith("none" if find_spec("ray") is None else "ok")


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
def test_doctor_greets_the_cluster_that_the_settings_name(
    orchestrate: Callable[..., subprocess.CompletedProcess[str]], workspace: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    settings = f'[executor]\nkind = "ray"\naddress = "{address}"\n'
    (workspace / "orchestrate.toml").write_text(settings)
    done = orchestrate("doctor")
    (line,) = [line for line in done.stdout.splitlines() if "executor ray" in line]
    assert line.startswith("fail")
    assert line.endswith(f"no Ray cluster answers at `{address}`: [Errno 111] Connection refused")
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("word", "said", "hint"),
    [
        ("", "no executor named ``", "the executors are: local, ray, ray:HOST:PORT"),
        ("RAY", "no executor named `RAY`", "did you mean `ray`?"),
        ("ray:foo", "`ray:foo` has no port", "say `ray:HOST:PORT`"),
        ("ray:10.0.0.5:99999", "`ray:10.0.0.5:99999` has no port", "say `ray:HOST:PORT`"),
        ("ray:10.0.0.5 :6379", "`ray:10.0.0.5 :6379` has no port", "say `ray:HOST:PORT`"),
        ("ray:http://10.0.0.5:6379", "`ray:http://10.0.0.5:6379` has no port", "say `ray:HOST:PORT`"),
    ],
)
def test_an_executor_that_can_be_none_is_bad_usage(
    orchestrate: Callable[..., subprocess.CompletedProcess[str]],
    workspace: Path,
    word: str,
    said: str,
    hint: str,
) -> None:
    (workspace / "w.md").write_text("# W\n```repl\nFINAL(1)\n```\n")
    done = orchestrate("w.md", "--executor", word)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: {said}\nhint: {hint}" in done.stderr


def test_an_address_alone_is_no_executor(
    orchestrate: Callable[..., subprocess.CompletedProcess[str]], workspace: Path
) -> None:
    (workspace / "w.md").write_text("# W\n```repl\nFINAL(1)\n```\n")
    (workspace / "orchestrate.toml").write_text('[executor]\naddress = "10.0.0.1:6379"\n')
    done = orchestrate("w.md")
    assert (done.returncode, done.stdout) == (2, "")
    assert "`address` and no `kind`" in done.stderr


@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_an_address_where_no_ray_head_answers_is_said_at_once(
    workspace: Path, clean_env: dict[str, str], answer: bytes | None
) -> None:
    (workspace / "w.md").write_text("# W\n```repl\nFINAL(1)\n```\n")
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        if answer is None:
            server.close()
        else:
            threading.Thread(target=_answer, args=(server, answer), daemon=True).start()
        argv = [sys.executable, "-m", "orchestrator", "run", "w.md", "--executor", f"ray:{address}"]
        began = time.monotonic()
        done = subprocess.run(
            argv, cwd=workspace, env=clean_env, capture_output=True, text=True, check=False, timeout=60
        )
    why = "[Errno 111] Connection refused" if answer is None else "what answers there is no Ray head"
    lines = [line for line in done.stderr.splitlines() if not line.startswith("waiting for the nodes")]
    assert (done.returncode, done.stdout) == (69, "")
    assert lines == [
        f"error: no Ray cluster answers at `{address}`: {why}",
        "hint: `ray start --head` prints the address of a cluster; its port has to be open to this machine",
    ]
    assert time.monotonic() - began < 30  # Ray itself takes minutes


def _answer(server: socket.socket, answer: bytes) -> None:
    sock, _ = server.accept()
    with sock:
        sock.recv(1000)
        sock.sendall(answer)
