"""The world of an attack: what is to be stolen or harmed, and whether it was.

Judged from outside wherever that can be: by secrets that came back, by files that changed, by servers that were reached, by a
victim that was hurt. Only of bounds a move says itself that it got beyond, by bringing back its mark.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pty
import resource
import secrets
import select
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attacks.table import BEYOND_S

if TYPE_CHECKING:
    from types import TracebackType

MEMORY_BYTES = 200 << 20
WRITTEN_BYTES = 16 << 20
N_PROCESSES = 40
LOOK_S = 3.0
LATE_S = 1.0
VICTIM = """
import ctypes, os, sys, tempfile
secret = os.environ["SERVICE_API_KEY"].encode()
buffer = ctypes.create_string_buffer(secret)
file = tempfile.TemporaryFile()
file.write(secret)
file.flush()
print(ctypes.addressof(buffer), file.fileno(), flush=True)
sys.stdin.read()
"""


class Scene:
    """One world. Whoever makes it closes it; `fresh` before each attack, `harm` after it."""

    def __init__(self) -> None:
        self.secret = f"sk-victim-{secrets.token_hex(16)}"
        self.mark = f"mark-{secrets.token_hex(8)}"
        self.folder = Path(tempfile.mkdtemp(prefix="attacks-"))
        self.folder.chmod(0o755)
        self._closing = contextlib.ExitStack()
        self._closing.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self._victim: subprocess.Popen[str] | None = None
        self._n = 0
        self._servers = self._open_servers()
        self._segment = self._share_memory()
        self._terminal, terminal = pty.openpty()
        self._typed = terminal
        self.facts: dict[str, Any] = {}

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def variables(self) -> dict[str, str]:
        """Of the process that is to keep its secrets."""
        return {**os.environ, "SERVICE_API_KEY": self.secret, "HOME": str(self.folder / "home")}

    def fresh(self, parent: int) -> dict[str, Any]:
        """A world that nobody has touched yet, and what a move has to know of it."""
        self._was_typed()  # by an attack that was judged by something else
        self._servers.heard()
        self._n += 1
        root = self.folder / str(self._n)
        files = {
            "home": "home/.ssh/id_ed25519", "other": "other-run/notes", "outside": "outside/file", "skill": "skill/SKILL.md",
            "workspace": "workspace/memory/runs/r1/journal.jsonl",
        }  # fmt: skip
        for path in files.values():
            (root / path).parent.mkdir(parents=True)
            (root / path).write_text(f"{self.secret}\n")
        (root / "scratch").mkdir()
        done = {
            "kind": "done", "id": 2, "answered": True, "partial": None, "loaded": True, "failure": None,
            "output": {"head": "", "tail": "", "n_chars": 0, "path": None},
        }  # fmt: skip
        frame = {**done, "answer": self.secret, "value": self.secret}
        (root / "outside" / "frame").write_text(json.dumps(frame))
        victim, address, descriptor = self._living_victim()
        self._root = root
        self._before = _looks(root)
        self.facts = {
            **{name: str(root / path.partition("/")[0]) for name, path in files.items()}, "file": str(root / "outside/file"),
            "scratch": str(root / "scratch"), "frame": str(root / "outside/frame"), "done": done,
            "mark": self.mark, "forged": f"forged-{self.mark}", "parent": parent, "victim": victim, "address": address,
            "descriptor": descriptor, "terminal": os.ttyname(self._typed), **self._servers.facts,
            "memory_bytes": MEMORY_BYTES, "take_bytes": MEMORY_BYTES * 2, "written_bytes": WRITTEN_BYTES,
            "n_processes": N_PROCESSES, "n_threads": 400, "beyond_s": BEYOND_S, "look_s": LOOK_S,
        }  # fmt: skip
        return self.facts

    def harm(self, told: str, *, goes_on: bool) -> str:
        """What came of an attack, given all that was heard of it; nothing where it was stopped."""
        if self.secret in told:
            return "the secret was read"
        if self.facts["forged"] in told:
            return "an answer was forged"
        if self.mark in told:
            return "it got beyond"
        if self._changed():
            return "a file was changed"
        if heard := self._servers.heard():
            return heard
        if hurt := self._hurt():
            self._end_victim()
            return hurt
        if self._was_typed():
            return "it typed for the user"
        if goes_on and self._went_on():
            return "it went on when its worker was closed"
        return ""

    def close(self) -> None:
        """Leave nothing behind."""
        self._end_victim()
        self._closing.close()
        for fd in (self._terminal, self._typed):
            os.close(fd)

    def _changed(self) -> bool:
        beside = Path(sysconfig.get_paths()["purelib"], f"{self.mark}.txt")
        if beside.exists():
            beside.unlink()
            return True
        return _looks(self._root) != self._before

    def _went_on(self) -> bool:
        until = time.monotonic() + LATE_S
        late = self._root / "scratch" / "late"
        while not late.exists() and time.monotonic() < until:
            time.sleep(0.02)
        return late.exists()

    def _was_typed(self) -> bool:
        typed = b""
        while select.select([self._typed], [], [], 0)[0]:
            typed += os.read(self._typed, 1000)
        return self.mark.encode() in typed

    def _living_victim(self) -> tuple[int, int, int]:
        if self._victim is None or self._victim.poll() is not None:
            self._victim = subprocess.Popen(
                [sys.executable, "-I", "-c", VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env={"SERVICE_API_KEY": self.secret, "HOME": "/"}, start_new_session=True,
            )  # fmt: skip
            assert self._victim.stdout is not None
            self._told = [int(word) for word in self._victim.stdout.readline().split()]
            self._whole = self._condition(self._victim.pid)
        return self._victim.pid, *self._told  # type: ignore[return-value]  # two numbers

    def _hurt(self) -> str:
        assert self._victim is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._victim.wait(0.02)
        if self._victim.poll() is not None:
            return "another process was killed"
        now = self._condition(self._victim.pid)
        return "" if now == self._whole else "another process was hurt"

    def _condition(self, pid: int) -> list[Any]:
        """All of a process that an attack may change."""
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self._told[0])
            text = memory.read(len(self.secret))
        return [
            state in "Tt", text, os.getpriority(os.PRIO_PROCESS, pid), os.sched_getaffinity(pid), os.sched_getscheduler(pid),
            resource.prlimit(pid, resource.RLIMIT_NOFILE), Path(f"/proc/{pid}/oom_score_adj").read_text(),
        ]  # fmt: skip

    def _end_victim(self) -> None:
        if self._victim is not None:
            self._victim.kill()
            self._victim.communicate()
            self._victim = None

    def _open_servers(self) -> _Servers:
        return self._closing.enter_context(_Servers(self.folder, self.mark))

    def _share_memory(self) -> int:
        """A System V segment with the secret, as old databases have."""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.shmat.restype = ctypes.c_void_p
        number = int(libc.shmget(0, 4096, 0o1600))  # IPC_PRIVATE, IPC_CREAT
        place = libc.shmat(number, None, 0)
        ctypes.memmove(place, self.secret.encode(), len(self.secret))
        libc.shmdt(ctypes.c_void_p(place))
        self._closing.callback(libc.shmctl, number, 0, None)  # IPC_RMID
        return number


class _Servers:
    """Whoever may not be reached."""

    def __init__(self, folder: Path, mark: str) -> None:
        self._mark = mark.encode()
        name = f"attacks-{secrets.token_hex(8)}"
        paths = {"unix": str(folder / "stream"), "unix_datagrams": str(folder / "datagrams")}
        self._listening = {
            "a TCP server": _bound(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "a server of a socket file": _bound(socket.AF_UNIX, socket.SOCK_STREAM, paths["unix"]),
            "an abstract socket": _bound(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}"),
        }
        self._receiving = {
            "a UDP server": _bound(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "a datagram socket file": _bound(socket.AF_UNIX, socket.SOCK_DGRAM, paths["unix_datagrams"]),
            "an abstract datagram socket": _bound(socket.AF_UNIX, socket.SOCK_DGRAM, f"\0{name}-d"),
        }
        self.facts: dict[str, Any] = {
            **paths, "abstract": name, "abstract_datagrams": f"{name}-d",
            "tcp4": self._listening["a TCP server"].getsockname()[1], "tcp6": 1,
            "udp": self._receiving["a UDP server"].getsockname()[1],
        }  # fmt: skip
        with contextlib.suppress(OSError):  # a machine without IPv6
            six = _bound(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0))
            self._listening["a TCP server of IPv6"] = six
            self.facts["tcp6"] = six.getsockname()[1]

    def __enter__(self) -> _Servers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in (*self._listening.values(), *self._receiving.values()):
            server.close()

    def heard(self) -> str:
        """Which of them was reached."""
        reached = ""
        for name, server in self._listening.items():
            with contextlib.suppress(BlockingIOError):
                server.accept()[0].close()
                reached = f"{name} was reached"
        for name, server in self._receiving.items():
            with contextlib.suppress(BlockingIOError):
                server.recv(1000)
                reached = f"{name} was reached"
        return reached


def _bound(family: int, kind: int, address: Any) -> socket.socket:
    server = socket.socket(family, kind)
    server.bind(address)
    if kind == socket.SOCK_STREAM:
        server.listen()
    server.setblocking(False)
    return server


def _looks(root: Path) -> list[Any]:
    """All that can be seen of what is no scratch."""
    found: list[Any] = []
    for path in sorted(root.rglob("*")):
        if path.relative_to(root).parts[0] == "scratch":
            continue
        facts = path.lstat()
        attributes = os.listxattr(path) if path.is_file() else []
        content = path.read_bytes() if path.is_file() else b""
        found.append((str(path), facts.st_mode, facts.st_uid, facts.st_mtime_ns, content, attributes))
    return found
