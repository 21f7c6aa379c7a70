"""The zygote: a clean process that forks confined workers in milliseconds.

It starts with nothing worth stealing (clean variables, no descriptors but its control socket), imports the common
standard library once, and then does four things only: fork a worker, reap what ended, kill on request, and end
when its parent does. It has one thread, holds no data of any run, and is never asked to parse anything from one:
what a worker is to be allowed comes over the worker's own stream and is read after the fork.

Control socket (descriptor 0, sequenced packets). `F` + 8 bytes of id, with two descriptors: fork a worker that
serves the first; its wait status is written to the second, as a decimal number, once it and everything it started
are dead. `K` + id: kill that worker. End of file: the parent is gone, so everything is killed.

Killing. A worker leads its process group and nothing it starts can leave that, so one signal to the group kills all
of it, and a fork bomb too: the kernel lets no fork finish while such a signal is on its way. It is sent while the
worker is not reaped, so its number can't have become somebody else's.
"""

from __future__ import annotations

import ast  # noqa: F401  (these imports, up to `zoneinfo`, are for the workers, which get them for nothing)
import base64  # noqa: F401
import bisect  # noqa: F401
import collections  # noqa: F401
import concurrent.futures.thread
import contextlib
import copy  # noqa: F401
import csv  # noqa: F401
import ctypes  # noqa: F401
import dataclasses  # noqa: F401
import datetime  # noqa: F401
import decimal  # noqa: F401
import difflib  # noqa: F401
import enum  # noqa: F401
import fnmatch  # noqa: F401
import functools  # noqa: F401
import gc
import glob  # noqa: F401
import hashlib  # noqa: F401
import heapq  # noqa: F401
import html  # noqa: F401
import inspect  # noqa: F401
import io  # noqa: F401
import itertools  # noqa: F401
import json  # noqa: F401
import linecache  # noqa: F401
import math  # noqa: F401
import operator  # noqa: F401
import os
import pathlib  # noqa: F401
import pprint  # noqa: F401
import random  # noqa: F401
import re  # noqa: F401
import resource
import select
import shlex  # noqa: F401
import shutil  # noqa: F401
import signal
import socket
import statistics  # noqa: F401
import string  # noqa: F401
import struct
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401
import textwrap  # noqa: F401
import threading  # noqa: F401
import time  # noqa: F401
import traceback  # noqa: F401
import types
import typing  # noqa: F401
import unicodedata  # noqa: F401
import urllib.parse
from importlib import util

_ID = struct.Struct("=cQ")


def main() -> None:
    """Serve the control socket until its end."""
    control = socket.socket(fileno=0)
    zygote = Zygote(control, _loaded("confine"), _loaded("worker"))
    zygote.serve()


def _loaded(name: str) -> types.ModuleType:
    """A module that lies beside this file."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), f"{name}.py")
    spec = util.spec_from_file_location(f"orchestrate_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class Zygote:
    """Parent of all workers. True between events: `_live` has each worker that is not reaped, by id and by pid."""

    def __init__(self, control: socket.socket, confine: types.ModuleType, worker: types.ModuleType) -> None:
        self._control = control
        self._confine, self._worker = confine, worker
        self._parent = os.getppid()
        self._pids: dict[int, int] = {}  # by id
        self._live: dict[int, tuple[int, int]] = {}  # by pid: its id, and where its status goes
        self._woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)
        self._wake = wake
        confine.adopt_orphans()

    def serve(self) -> None:
        """Answer until the control socket ends."""
        gc.collect()
        gc.freeze()  # what is here now is shared with all workers: their collectors leave these pages alone
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = dict(poll.poll(1000))
            if self._woken in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._woken, 4096)
                self._reap()
            # A copy of the parent's end may live on in one of its children, so its end is not proof enough.
            if os.getppid() != self._parent or (self._control.fileno() in ready and not self._obey()):
                self._end()

    def _obey(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, _ID.size, 2)
        if not message:
            return False
        command, number = _ID.unpack(message)
        if command == b"F":
            self._fork(number, *descriptors)
        elif number in self._pids:
            self._kill(self._pids[number])
        return True

    def _fork(self, number: int, stream: int, status: int) -> None:
        me = os.getpid()
        try:
            pid = os.fork()
        except OSError:  # too many processes: the parent sees the ends of both descriptors
            os.close(stream)
            os.close(status)
            return
        if pid == 0:
            self._become_worker(stream, me)
        self._pids[number] = pid
        self._live[pid] = (number, status)
        os.close(stream)

    def _become_worker(self, stream: int, parent: int) -> None:
        try:
            self._confine.die_with(parent)
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._control.detach()
            os.closerange(0, stream)
            os.closerange(stream + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
            _hold_low_descriptors()
            self._worker.serve(stream, os.dup(stream), self._confine.apply)
        finally:
            os._exit(70)  # whatever happened, a worker is never a second zygote

    def _reap(self) -> None:
        while self._live:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            if ended.si_pid in self._live:
                self._kill(ended.si_pid)
            _, status = os.waitpid(ended.si_pid, 0)
            number, report = self._live.pop(ended.si_pid, (0, -1))
            if report >= 0:
                self._pids.pop(number, None)
                with contextlib.suppress(OSError):  # the parent may no longer want to know
                    os.write(report, str(status).encode())
                os.close(report)

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # it may not lead its group yet
            os.killpg(pid, signal.SIGKILL)

    def _end(self) -> None:
        for pid in self._live:
            self._kill(pid)
        os._exit(0)


def _hold_low_descriptors() -> None:
    """Have 0, 1 and 2 taken, so that nothing the worker opens lands there."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        if fd != null:
            os.dup2(null, fd)


# Used here, so that the imports of submodules above are seen to be meant.
_PRELOADED = (concurrent.futures.thread, urllib.parse)

if __name__ == "__main__":
    main()
