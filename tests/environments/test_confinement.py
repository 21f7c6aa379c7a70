"""What a confined worker can't do. Each layer was turned off once, and the tests that stand on it failed."""

import asyncio
import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.environments import confine, confined, worker
from orchestrator.environments.command import ISOLATED
from orchestrator.environments.confined import Confined, probe
from orchestrator.environments.session import ScriptCall
from orchestrator.errors import EnvironmentUnavailable, WorkerLost
from orchestrator.values import Cell, Grants, WorkerSpec

LONG_S = 60.0


@pytest.fixture(scope="session", autouse=True)
def _works():
    reason = probe().reason
    if reason:
        pytest.skip(f"no confinement here: {reason}")


async def no_calls(fn, arguments):
    raise AssertionError(fn)


@contextlib.asynccontextmanager
async def worker_in(folder, **spec):
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    session = await Confined().start(WorkerSpec(scratch=scratch, cwd=scratch, **spec))
    try:
        yield session
    finally:
        await session.close()


def ran(folder, source, **spec):
    """How a cell in a confined worker of its own ended."""

    async def run():
        async with worker_in(folder, **spec) as session:
            return await session.cell(Cell(1, textwrap.dedent(source)), no_calls, LONG_S)

    return asyncio.run(run())


def denied(done):
    """Whether the kernel said no; to links and moves across what is granted it says that in other words."""
    failure = done.failure
    return failure is not None and (
        failure.type == "PermissionError" or "Invalid cross-device link" in failure.message
    )


# What the kernel refuses, in words that a cell's author understands; what harm it would do, the attacks say (tests/attacks).
FORBIDDEN = {
    "read a file": "open({file!r}).read()",
    "read who is here": "open('/etc/passwd').read()",
    "list a folder": "import os; os.listdir({folder!r})",
    "write a file": "open({file!r}, 'w')",
    "read our environment": "open('/proc/{pid}/environ').read()",
    "read our descriptors": "import os; os.listdir('/proc/{pid}/fd')",
    "read the zygote's environment": "import os; open(f'/proc/{{os.getppid()}}/environ')",
    "signal us": "import os; os.kill({pid}, 0)",
    "signal everybody": "import os; os.kill(-1, 0)",
    "connect by TCP": "import socket; socket.create_connection(('127.0.0.1', {port}))",
    "fork": "import os; os.fork()",
    "start a program": "import subprocess; subprocess.run(['/bin/true'])",
    "become a program": "import os; os.execv('/bin/true', ['true'])",
    "leave its session": "import os; os.setsid()",
    "leave its group": "import os; os.setpgid(0, 0)",
    "raise its limits": "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CORE)\n",
    "change root": "import os; os.chroot('.')",
}  # fmt: skip


@pytest.fixture
def outside(tmp_path):
    """Files that were not granted, and a server that nobody may reach."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield {
            "folder": str(folder),
            "file": str(folder / "file"),
            "pid": os.getpid(),
            "port": server.getsockname()[1],
        }


@pytest.mark.parametrize("name", FORBIDDEN)
def test_worker_can_not(name, tmp_path, outside):
    before = os.stat(outside["file"])
    done = ran(tmp_path, "import os\n" + FORBIDDEN[name].format(**outside))
    assert denied(done), done
    assert done.failure.hint or done.failure.type == "OSError"
    assert os.stat(outside["file"]) == before
    assert os.listdir(outside["folder"]) == ["file"]


RAW = {
    "process_vm_readv": "process_vm_readv({pid}, iov, 1, iov, 1, 0)",
    "ptrace": "ptrace(16, {pid}, 0, 0)",
    "unshare": "unshare(0x10000000)",
    "mount": "mount(b'none', b'.', b'tmpfs', 0, None)",
    "setns": "setns(0, 0)",
    "personality": "personality(0x0040000)",
    "memfd_create": "memfd_create(b'x', 0)",
    "prctl": "prctl(1, 0, 0, 0, 0)",
    "vfork": "syscall({vfork}, 0)",
    "io_uring_setup": "syscall(425, 1, iov)",
    "bpf": "syscall({bpf}, 0, iov, 8)",
    "pidfd_send_signal": "syscall(424, 0, 9, None, 0)",
    "open_by_handle_at": "syscall({handle}, 0, iov, 0)",
    "shmat": "shmat(0, None, 0o10000)",
    "shmctl": "shmctl(0, 13, iov)",
    "msgrcv": "msgrcv(0, iov, 8, 0, 0o4000)",
    "semctl": "semctl(0, 0, 12)",
    "setpriority of a group": "setpriority(1, 0, 0)",
    "setpriority of a user": "setpriority(2, 0, 0)",
    "ioprio_set": "syscall({ioprio}, 1, {pid}, 0)",
    "F_SETOWN": "fcntl(0, 8, {pid})",
    "F_SETSIG": "fcntl(0, 10, 9)",
    "FIOSETOWN": "ioctl(0, 0x8901, iov)",
}


@pytest.mark.parametrize("name", RAW)
def test_system_call_is_refused(name, tmp_path):
    numbers = {"pid": os.getpid(), **{key: confine._NUMBERS.get(call, 0) for key, call in
               {"vfork": "vfork", "bpf": "bpf", "handle": "open_by_handle_at", "ioprio": "ioprio_set"}.items()}}  # fmt: skip
    if name == "vfork" and not numbers["vfork"]:
        pytest.skip("this machine has no such system call")
    source = f"""
        import ctypes, errno
        libc = ctypes.CDLL(None, use_errno=True)
        iov = (ctypes.c_uint64 * 64)()
        result = libc.{RAW[name].format(**numbers)}
        FINAL([result, errno.errorcode.get(ctypes.get_errno())])
    """
    assert ran(tmp_path, source).answer == [-1, "EPERM"]


def test_newer_system_calls_than_we_know_do_not_exist(tmp_path):
    source = """
        import ctypes, errno
        libc = ctypes.CDLL(None, use_errno=True)
        FINAL([libc.syscall(471, 0), errno.errorcode[ctypes.get_errno()]])
    """
    assert ran(tmp_path, source).answer == [-1, "ENOSYS"]


def test_root_has_no_capability_left(tmp_path):
    done = ran(
        tmp_path, "import ctypes\nl = ctypes.CDLL(None)\nFINAL([l.prctl(23, n, 0, 0, 0) for n in range(38)])"
    )
    assert done.answer == ([0] * 38 if os.geteuid() == 0 else done.answer)


def test_our_own_memory_is_hidden_once_an_environment_was_used(tmp_path):
    ran(tmp_path, "1")
    assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE


def test_what_was_granted_works(tmp_path, outside):
    source = f"""
        import os, shutil, socket, tempfile, threading
        assert open({outside["file"]!r}).read() == "secret"
        open("own", "w").write("a")
        shutil.copy("own", "copy"); shutil.copy2("own", "copy2"); shutil.move("copy", "moved")
        os.mkdir("d"); os.rename("moved", "d/moved"); os.symlink("own", "link")
        tempfile.NamedTemporaryFile().write(b"x")
        one, other = socket.socketpair()
        socket.socketpair(type=socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
        os.nice(1); os.sched_setaffinity(0, os.sched_getaffinity(0)); os.setpriority(os.PRIO_PROCESS, os.getpid(), 19)
        thread = threading.Thread(target=one.send, args=(b"x",)); thread.start(); thread.join()
        import asyncio, sqlite3, hashlib, uuid, ssl, zoneinfo, unicodedata, decimal
        asyncio.run(asyncio.sleep(0))
        FINAL([other.recv(1).decode(), sqlite3.connect("db").execute("select 1").fetchone(), str(zoneinfo.ZoneInfo("UTC"))])
    """
    done = ran(tmp_path, source, grants=Grants(read=(Path(outside["folder"]),)))
    assert done.failure is None, done.failure
    assert done.answer == ["x", [1], "UTC"]


def test_file_that_is_not_there_yet_can_be_granted(tmp_path):
    wanted, unused, kept = tmp_path / "wanted", tmp_path / "unused", tmp_path / "kept"
    kept.touch()
    done = ran(
        tmp_path, f"open({str(wanted)!r}, 'w').write('made')", grants=Grants(write=(wanted, unused, kept))
    )
    assert done.failure is None, done.failure
    assert wanted.read_text() == "made"
    assert not unused.exists()
    assert kept.exists()


def test_blobs_can_be_opened_by_name_but_not_listed(tmp_path):
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    (blobs / "abc").write_text("text")
    assert denied(ran(tmp_path, f"import os; os.listdir({str(blobs)!r})", blobs=blobs))
    assert denied(ran(tmp_path, f"open({str(blobs / 'abc')!r}, 'a')", blobs=blobs))
    assert ran(tmp_path, f"FINAL(open({str(blobs / 'abc')!r}).read())", blobs=blobs).answer == "text"


def test_network_that_was_granted_reaches_servers_but_no_file_sockets(tmp_path, outside):
    source = f"""
        import socket
        socket.create_connection(("127.0.0.1", {outside["port"]})).close()
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
        socket.socket(socket.AF_UNIX)
    """
    done = ran(tmp_path, source, grants=Grants(hosts=("*",)))
    assert denied(done), done
    assert "socket.AF_UNIX" in done.failure.traceback


def test_programs_that_were_granted_are_confined_too(tmp_path, outside):
    async def run(argv):
        async with worker_in(tmp_path, grants=Grants(processes=True)) as session:
            return await session.script(ScriptCall(argv, None, tmp_path / "scratch", {}), LONG_S)

    assert asyncio.run(run(["sh", "-c", "echo a | tr a b > f; cat f"])).stdout == "b\n"
    for command in ("cat {file}", "echo x > {file}", "kill -0 {pid}", "cat /proc/{pid}/environ", "chmod 777 {file}",
                    f"{sys.executable} -c 'import socket; socket.socket()'"):  # fmt: skip
        done = asyncio.run(run(["sh", "-c", command.format(**outside)]))
        assert done.returncode, command
        assert "ermi" in done.stderr, done.stderr
    assert Path(outside["file"]).read_text() == "secret"


def members(group):
    """Living processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if fields[0] != "Z" and int(fields[2]) == group:
                found.append(int(stat.parent.name))
    return found


def test_nothing_that_a_worker_started_outlives_it(tmp_path):
    source = """
        import os, time
        for n in range(20):
            if os.fork() == 0:
                for leave in (os.setsid, lambda: os.setpgid(0, 0)):
                    try: leave()
                    except PermissionError: pass
                if os.fork() == 0:  # an orphan soon
                    time.sleep(1000)
                os._exit(0)
    """

    async def run():
        async with worker_in(tmp_path, grants=Grants(processes=True)) as session:
            await session.cell(Cell(1, textwrap.dedent(source)), no_calls, LONG_S)
            assert len(members(session.pid)) >= 2
            pid = session.pid
        return members(pid)

    assert asyncio.run(run()) == []


def test_process_that_a_cell_forked_is_no_second_worker(tmp_path):
    async def run():
        async with worker_in(tmp_path, grants=Grants(processes=True)) as session:
            first = await session.cell(
                Cell(1, "import os\npid = os.fork()\nFINAL(pid > 0)"), no_calls, LONG_S
            )
            second = await session.cell(Cell(2, "FINAL(os.waitpid(pid, 0)[1])"), no_calls, LONG_S)
            return first.answer, second.answer

    assert asyncio.run(run()) == (True, 0)


def test_killed_zygote_takes_its_workers_along_and_is_replaced(tmp_path):
    async def run():
        async with worker_in(tmp_path) as session:
            zygote = confined._ZYGOTE._started.pid
            os.kill(zygote, 9)
            with pytest.raises(WorkerLost):
                await session.cell(Cell(1, "import time; time.sleep(1000)"), no_calls, LONG_S)
        async with worker_in(tmp_path) as session:
            assert (await session.cell(Cell(1, "FINAL(1)"), no_calls, LONG_S)).answer == 1
            assert confined._ZYGOTE._started.pid != zygote

    asyncio.run(run())


def test_event_loops_of_several_threads_share_one_zygote(tmp_path):
    def work(number):
        folder = tmp_path / str(number)
        folder.mkdir()
        return [ran(folder, "import os; FINAL(os.getppid())").answer for _ in range(3)]

    with ThreadPoolExecutor(6) as pool:
        parents = {pid for pids in pool.map(work, range(6)) for pid in pids}
    assert len(parents) == 1


def test_workers_know_nothing_of_each_other(tmp_path):
    async def run():
        one, other = tmp_path / "one", tmp_path / "other"
        one.mkdir()
        other.mkdir()
        async with worker_in(one) as first, worker_in(other) as second:
            await first.cell(Cell(1, "open('mine', 'w').write('x')"), no_calls, LONG_S)
            reading = await second.cell(Cell(1, f"open({str(one / 'scratch' / 'mine')!r})"), no_calls, LONG_S)
            killing = await second.cell(Cell(2, f"import os; os.kill({first.pid}, 9)"), no_calls, LONG_S)
            open_files = await second.cell(Cell(3, OPEN), no_calls, LONG_S)
            assert first.alive
            return denied(reading), denied(killing), open_files.answer

    reading, killing, n_open = asyncio.run(run())
    assert (reading, killing) == (True, True)
    assert n_open == 0


# Descriptors between the standard three and the worker's own high ones: everything else was closed.
OPEN = """
import os
def is_open(fd):
    try: os.fstat(fd)
    except OSError: return False
    return True
FINAL(sum(map(is_open, range(3, 200))))
"""


def test_worker_that_waits_has_little_memory_of_its_own(tmp_path):
    async def private_bytes():
        async with worker_in(tmp_path) as session:
            await session.cell(Cell(1, "x = 1"), no_calls, LONG_S)
            lines = Path(f"/proc/{session.pid}/smaps_rollup").read_text().splitlines()
            return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Private_"))

    assert asyncio.run(private_bytes()) < worker.BALLAST_BYTES


def test_environment_that_can_not_confine_says_so_and_does_not_start(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(EnvironmentUnavailable, match="needs Linux") as caught:
        ran(tmp_path, "1")
    assert "--environment process" in caught.value.hint


OLD_KERNEL = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
import confine
grants = {"read": [sys.argv[3]], "write": [], "network": False, "processes": False}
confine.apply({"grants": grants, "scratch": os.getcwd()}, abi=int(sys.argv[2]))
def attempt(work):
    try: work()
    except OSError as error: return error.errno
    return 0
file = sys.argv[3] + "/file"
print(json.dumps({
    "read": attempt(lambda: open(file).close()),
    "other": attempt(lambda: open("/etc/passwd").close()),
    "write": attempt(lambda: open(file, "a")),
    "truncate": attempt(lambda: os.truncate(file, 0)),
    "open and truncate": attempt(lambda: os.open(file, os.O_RDONLY | os.O_TRUNC)),
    "connect": attempt(lambda: __import__("socket").socket()),
    "signal": attempt(lambda: os.kill(int(sys.argv[4]), 0)),
    "own a pipe for another": attempt(lambda: __import__("fcntl").fcntl(0, 8, int(sys.argv[4]))),
    "own": attempt(lambda: open("own", "w").close()),
}))
"""


@pytest.mark.parametrize("abi", range(1, 7))
def test_older_kernels_are_covered_by_the_other_layer(abi, tmp_path, outside):
    if abi > confine.landlock_abi():
        pytest.skip("this kernel's Landlock is older than that")
    argv = [sys.executable, *ISOLATED, "-c", OLD_KERNEL, str(Path(confine.__file__).parent)]
    argv += [str(abi), outside["folder"], str(os.getpid())]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = subprocess.run(argv, capture_output=True, text=True, cwd=scratch, check=True)
    found = json.loads(done.stdout)
    assert (found.pop("read"), found.pop("own")) == (0, 0)
    assert set(found.values()) <= {1, 13}, found
    assert Path(outside["file"]).read_text() == "secret"


def test_probe_says_what_is_covered_and_what_is_not():
    found = probe()
    assert (found.works, found.reason) == (True, "")
    assert found.abi >= 1
    assert "network" in found.covers
    assert found.misses
