"""Moves on other processes: their variables, memory, descriptors and shared memory; signals and other harm."""

from __future__ import annotations

from typing import Any

from attacks.kit import SECRET, every_process, kernel, secrets_in


def look_at_own_variables(it: dict[str, Any]) -> Any:
    import os

    return secrets_in(repr(sorted(os.environ.items())).encode())


def read_own_first_variables(it: dict[str, Any]) -> Any:
    with open("/proc/self/environ", "rb") as file:
        return secrets_in(file.read())


def read_everybodys_variables(it: dict[str, Any]) -> Any:
    found = []
    for pid in [it["parent"], it["victim"], *every_process()]:
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                found += secrets_in(file.read())
        except OSError:
            continue
    return found


def read_the_parents_memory(it: dict[str, Any]) -> Any:
    import os

    for pid in (it["parent"], os.getppid()):
        try:
            with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
                for line in maps:
                    span, rights = line.split()[:2]
                    begin, end = (int(part, 16) for part in span.split("-"))
                    if rights.startswith("rw") and end - begin < 1 << 27:
                        memory.seek(begin)
                        if found := secrets_in(memory.read(end - begin)):
                            return found
        except (OSError, ValueError, OverflowError):
            continue
    return []


def write_anothers_memory(it: dict[str, Any]) -> Any:
    with open(f"/proc/{it['victim']}/mem", "r+b", buffering=0) as memory:
        memory.seek(it["address"])
        memory.write(b"broken")


def copy_anothers_memory(it: dict[str, Any]) -> Any:
    import ctypes

    buffer = ctypes.create_string_buffer(64)
    mine = (ctypes.c_ulong * 2)(ctypes.addressof(buffer), 64)
    theirs = (ctypes.c_ulong * 2)(it["address"], 64)
    kernel("process_vm_readv", it["victim"], mine, 1, theirs, 1, 0)
    return secrets_in(buffer.raw)


def trace_another(it: dict[str, Any]) -> Any:
    if kernel("ptrace", 16, it["victim"], 0, 0) == 0:  # PTRACE_ATTACH
        kernel("ptrace", 17, it["victim"], 0, 0)
        return [it["mark"]]
    return []


def take_anothers_descriptor(it: dict[str, Any]) -> Any:
    import os

    pidfd = kernel("pidfd_open", it["victim"], 0)
    fd = kernel("pidfd_getfd", pidfd, it["descriptor"], 0)
    return secrets_in(os.pread(fd, 100, 0)) if fd >= 0 else []


def open_anothers_descriptor(it: dict[str, Any]) -> Any:
    with open(f"/proc/{it['victim']}/fd/{it['descriptor']}", "rb") as file:
        return secrets_in(file.read())


def attach_to_shared_memory(it: dict[str, Any]) -> Any:
    """System V segments have small numbers that can be tried, and their own list."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmat.restype = ctypes.c_void_p
    info = ctypes.create_string_buffer(256)
    found = []
    for at in range(64):
        number = libc.shmctl(at, 13, info)  # SHM_STAT
        place = libc.shmat(number, None, 0o10000) if number >= 0 else None  # SHM_RDONLY
        if place not in (None, 2**64 - 1):
            found += secrets_in(ctypes.string_at(place, 64))
            libc.shmdt(ctypes.c_void_p(place))
    return found


def search_what_was_inherited(it: dict[str, Any]) -> Any:
    """Objects that a parent had when it was forked."""
    import gc
    import sys

    found: list[str] = []
    frame = sys._getframe()
    seen: list[Any] = [*gc.get_objects(), *(vars(module) for module in list(sys.modules.values()))]
    while frame is not None:
        seen += [frame.f_locals, frame.f_globals]
        frame = frame.f_back  # type: ignore[assignment]  # None ends it
    for one in seen:
        values = (
            list(one.values()) if isinstance(one, dict) else one if isinstance(one, (list, tuple)) else []
        )
        for value in values:
            if isinstance(value, str) and SECRET.fullmatch(value.encode("utf-8", "replace")):
                found.append(value)
    return sorted(set(found))


def use_inherited_descriptors(it: dict[str, Any]) -> Any:
    import os

    found = []
    for fd in range(3, 200):
        try:
            os.lseek(fd, 0, 0)
            found += secrets_in(os.read(fd, 200))
            os.write(fd, it["mark"].encode())
        except OSError:
            continue
    return found


def kill_the_parent(it: dict[str, Any]) -> Any:
    import os

    os.kill(it["parent"], 9)


def kill_who_started_it(it: dict[str, Any]) -> Any:
    """The zygote, where there is one; with a signal that hurts nobody."""
    import os

    os.kill(os.getppid(), 0)
    return [it["mark"]]


def kill_another(it: dict[str, Any]) -> Any:
    import os

    os.kill(it["victim"], 9)


def kill_a_group(it: dict[str, Any]) -> Any:
    import os

    os.killpg(it["victim"], 9)


def stop_another(it: dict[str, Any]) -> Any:
    import os
    import signal

    os.kill(it["victim"], signal.SIGSTOP)


def kill_by_descriptor(it: dict[str, Any]) -> Any:
    kernel("pidfd_send_signal", kernel("pidfd_open", it["victim"], 0), 9, None, 0)


def kill_by_thread(it: dict[str, Any]) -> Any:
    kernel("tgkill", it["victim"], it["victim"], 9)


def kill_by_queue(it: dict[str, Any]) -> Any:
    import ctypes

    info = (ctypes.c_int * 32)(9, 0, -1)  # SI_QUEUE
    kernel("rt_sigqueueinfo", it["victim"], 9, info)


def kill_by_owning_a_pipe(it: dict[str, Any]) -> Any:
    """The owner of a descriptor is sent a signal of one's choice when something arrives."""
    import fcntl
    import os
    import socket

    one, other = socket.socketpair()
    fcntl.fcntl(one, 8, it["victim"])  # F_SETOWN
    fcntl.fcntl(one, 10, 9)  # F_SETSIG: SIGKILL
    fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    other.send(b"x")


def slow_another(it: dict[str, Any]) -> Any:
    import os

    os.setpriority(os.PRIO_PROCESS, it["victim"], 19)


def slow_a_group(it: dict[str, Any]) -> Any:
    import os

    os.setpriority(os.PRIO_PGRP, it["victim"], 19)


def take_anothers_turn_at_the_disk(it: dict[str, Any]) -> Any:
    if kernel("ioprio_set", 1, it["victim"], 3 << 13 | 7) == 0:  # IOPRIO_WHO_PROCESS, IOPRIO_CLASS_IDLE
        return [it["mark"]]
    return []


def move_another_to_a_core(it: dict[str, Any]) -> Any:
    import os

    os.sched_setaffinity(it["victim"], {0})


def let_another_idle(it: dict[str, Any]) -> Any:
    import os

    os.sched_setscheduler(it["victim"], os.SCHED_IDLE, os.sched_param(0))


def limit_another(it: dict[str, Any]) -> Any:
    import resource

    resource.prlimit(it["victim"], resource.RLIMIT_NOFILE, (50, 4096))


def offer_another_to_the_killer(it: dict[str, Any]) -> Any:
    with open(f"/proc/{it['victim']}/oom_score_adj", "w") as file:
        file.write("777")


def type_for_the_user(it: dict[str, Any]) -> Any:
    import fcntl
    import os

    fd = os.open(it["terminal"], os.O_RDWR | os.O_NOCTTY)
    for letter in it["mark"].encode() + b"\n":
        fcntl.ioctl(fd, 0x5412, bytes([letter]))  # TIOCSTI
