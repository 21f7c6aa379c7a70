"""Moves beyond bounds: of memory, disk, processes, time and output; and what goes on when it should have ended.

Each takes more than it was allowed, and no more than it takes to show that.
"""

from __future__ import annotations

from typing import Any

from attacks.kit import escape, kernel, wait_and_mark


def take_memory(it: dict[str, Any]) -> Any:
    taken = [b"x" * (20 << 20) for _ in range(it["take_bytes"] // (20 << 20))]
    return [it["mark"]] if len(taken) * (20 << 20) > it["memory_bytes"] else []


def take_shared_memory(it: dict[str, Any]) -> Any:
    import mmap

    shared = mmap.mmap(-1, it["take_bytes"])
    for at in range(0, it["take_bytes"], 4096):
        shared[at] = 1
    __import__("time").sleep(it["look_s"])
    return [it["mark"]]


def take_memory_in_children(it: dict[str, Any]) -> Any:
    """Each within its own limit, and together beyond one's."""
    import os

    read, write = os.pipe()
    for _ in range(4):
        if os.fork() == 0:
            taken = b"x" * (it["memory_bytes"] // 2)
            os.write(write, b"x")
            os.close(write)
            __import__("time").sleep(len(taken[:1]) * 10)
            os._exit(0)
    os.close(write)
    n_taken = sum(1 for _ in range(4) if os.read(read, 1))
    __import__("time").sleep(it["look_s"])
    return [it["mark"]] if n_taken == 4 else []


def fill_a_file(it: dict[str, Any]) -> Any:
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(it["scratch"] + "/big", "wb", buffering=0) as file:
        written = sum(file.write(b"x" * (1 << 20)) for _ in range(it["written_bytes"] * 2 >> 20))
    return [it["mark"]] if written > it["written_bytes"] else []


def fill_many_files(it: dict[str, Any]) -> Any:
    """More than may be written, in files of which each is small enough."""
    for number in range(8):
        with open(f"{it['scratch']}/big-{number}", "wb") as file:
            file.write(b"x" * (it["written_bytes"] // 2))
    __import__("time").sleep(it["look_s"])
    return [it["mark"]]


def start_processes(it: dict[str, Any]) -> Any:
    """A fork bomb that stops by itself."""
    import os
    import signal

    pids = []
    try:
        for _ in range(it["n_processes"] * 2):
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            pids.append(pid)
    except OSError:
        pass
    __import__("time").sleep(it["look_s"])
    n_started = len(pids)
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    return [it["mark"]] if n_started > it["n_processes"] else []


def start_threads(it: dict[str, Any]) -> Any:
    import threading

    go_on, threads = threading.Event(), []
    try:
        for _ in range(it["n_threads"]):
            threads.append(threading.Thread(target=go_on.wait, daemon=True))
            threads[-1].start()
    finally:
        go_on.set()
    return [it["mark"]]


def open_many_files(it: dict[str, Any]) -> Any:
    import os

    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(6000)]
    return [it["mark"]] if len(fds) == 6000 else []


def flood_the_output(it: dict[str, Any]) -> Any:
    for _ in range(200):
        print("x" * 100_000)


def flood_the_raw_output(it: dict[str, Any]) -> Any:
    import os
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    for _ in range(200):
        os.write(1, b"x" * 100_000)


def loop_on(it: dict[str, Any]) -> Any:
    """Beyond the deadline, whatever it raises."""
    import time

    end = time.monotonic() + it["beyond_s"]
    while time.monotonic() < end:
        try:
            while time.monotonic() < end:
                pass
        except BaseException:  # noqa: BLE001  (that is the attack)
            pass
    return [it["mark"]]


def compute_on_in_c(it: dict[str, Any]) -> Any:
    """Where no signal's handler gets to run."""
    import time

    began = time.monotonic()
    while time.monotonic() - began < it["beyond_s"]:
        sum(range(200_000_000))
    return [it["mark"]]


def wait_for_itself(it: dict[str, Any]) -> Any:
    import threading
    import time

    lock = threading.Lock()
    lock.acquire()
    end = time.monotonic() + it["beyond_s"]
    while time.monotonic() < end:
        try:
            lock.acquire(timeout=end - time.monotonic())
        except BaseException:  # noqa: BLE001  (that is the attack)
            pass
    return [it["mark"]]


def block_the_deadline(it: dict[str, Any]) -> Any:
    import signal
    import time

    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    signal.setitimer(signal.ITIMER_REAL, 0)
    end = time.monotonic() + it["beyond_s"]
    while time.monotonic() < end:
        time.sleep(0.01)
    return [it["mark"]]


def go_on_in_a_thread(it: dict[str, Any]) -> Any:
    import threading

    threading.Thread(target=wait_and_mark, args=(it,)).start()


def go_on_at_exit(it: dict[str, Any]) -> Any:
    import atexit

    atexit.register(wait_and_mark, it)


def go_on_at_an_alarm(it: dict[str, Any]) -> Any:
    import signal

    signal.signal(signal.SIGPROF, lambda *_: wait_and_mark(it))
    signal.signal(signal.SIGALRM, lambda *_: wait_and_mark(it))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    signal.setitimer(signal.ITIMER_PROF, 0.2)


def go_on_in_an_orphan(it: dict[str, Any]) -> Any:
    """Two forks and a session of its own, as daemons are made."""
    import os

    read, ready = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            escape(it, ready)
        os._exit(0)
    os.read(read, 1)


def go_on_in_another_group(it: dict[str, Any]) -> Any:
    import os

    read, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(ready, b"x")
        wait_and_mark(it)
        os._exit(0)
    os.read(read, 1)
    os.setpgid(pid, pid)


def go_on_in_a_program(it: dict[str, Any]) -> Any:
    import subprocess

    wait = "while [ ! -e closed ]; do :; done; echo x > late"
    subprocess.Popen(["sh", "-c", wait], cwd=it["scratch"], start_new_session=True)


def go_on_beside_its_parent(it: dict[str, Any]) -> Any:
    """A child whose parent is one's own parent."""
    import os
    import signal

    read, ready = os.pipe()
    if kernel("clone", 0x8000 | signal.SIGCHLD, 0, 0, 0, 0) == 0:  # CLONE_PARENT
        escape(it, ready)
    os.close(ready)
    os.read(read, 1)


def go_on_as_the_terminals_master(it: dict[str, Any]) -> Any:
    """`forkpty` makes a session of its own."""
    import os
    import pty
    import signal

    read, ready = os.pipe()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    pid, _ = pty.fork()
    if pid == 0:
        escape(it, ready)
    os.read(read, 1)
