"""Stand-ins for the clients of cloud sandboxes: the same methods, whose sandboxes are folders and processes of this machine.

They have the parameters that we use, with the names, kinds and defaults of the real ones; a test compares them where
the real ones are installed.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

KEYS = {
    "modal": {"MODAL_TOKEN_ID": "ak-key", "MODAL_TOKEN_SECRET": "as-key"},
}


class Box:
    """A sandbox: a home, and all processes that have it in their variables, which end with it."""

    made: ClassVar[list["Box"]] = []

    def __init__(self, **wanted):
        self.wanted = wanted
        self.home = tempfile.mkdtemp(prefix="o-cloud-")
        self.has_ended = False
        Box.made.append(self)

    async def start(self, argv, stderr=asyncio.subprocess.DEVNULL):
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "OF_THE_PROVIDER": "1"}
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=stderr, env=env, cwd=self.home, limit=1 << 16
        )

    async def end(self):
        self.has_ended = True
        while found := self.processes():
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0)
        shutil.rmtree(self.home, ignore_errors=True)

    def processes(self):
        return [int(one.name) for one in Path("/proc").glob("[0-9]*") if self._is_inside(one)]

    def _is_inside(self, process):
        with contextlib.suppress(OSError):
            return f"={self.home}".encode() in (process / "environ").read_bytes()
        return False


async def parts(process):
    while data := await process.stdout.read(1 << 16):
        yield data
    await process.wait()


def module(name, **contents):
    made = ModuleType(name)
    made.__dict__.update(contents)
    return made


# ------------------------------------------------------------------------------------- modal


class Both:
    """A method with a twin for event loops, as Modal's are; only that is called by us."""

    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner):
        return SimpleNamespace(aio=self.function.__get__(instance, owner))


class ModalApp:
    @Both
    @staticmethod
    async def lookup(name, *, create_if_missing=False):
        return SimpleNamespace(name=name)


class ModalImage:
    @staticmethod
    def from_registry(tag):
        return SimpleNamespace(tag=tag)


class ModalSandbox:
    def __init__(self, box):
        self.box = box

    @Both
    @staticmethod
    async def create(
        *args,
        app=None,
        image=None,
        timeout=300,  # noqa: ASYNC109  (a parameter of theirs)
        idle_timeout=None,
        block_network=False,
    ):
        wanted = {
            "timeout": timeout,
            "idle_timeout": idle_timeout,
            "block_network": block_network,
            "image": image.tag,
        }
        return ModalSandbox(Box(**wanted))

    @Both
    async def exec(self, *args, text=True):
        assert not text
        return ModalProcess(await self.box.start(args))

    @Both
    async def terminate(self, *, wait=False):
        await self.box.end()


class ModalProcess:
    def __init__(self, process):
        self.stdin = ModalWriter(process.stdin)
        self.stdout = ModalReader(process)


class ModalWriter:
    def __init__(self, pipe):
        self._pipe = pipe

    def write(self, data):
        self._pipe.write(data.encode() if isinstance(data, str) else data)

    @Both
    async def drain(self):
        await self._pipe.drain()


class ModalReader:
    def __init__(self, process):
        self._process = process

    def __aiter__(self):
        return parts(self._process)


def modal():
    config = SimpleNamespace(get=lambda key: os.environ.get(f"MODAL_{key.upper()}"))
    return {
        "modal": module("modal", App=ModalApp, Image=ModalImage, Sandbox=ModalSandbox),
        "modal.config": module("modal.config", config=config),
    }


# ------------------------------------------------------------------------------------- all

MODULES = {"modal": modal}


def install(monkeypatch, name):
    """Have the stand-in found where the client would be, and a key: what `environment_factory` takes as settings."""
    import sys

    for key, value in KEYS[name].items():
        monkeypatch.setenv(key, value)
    for path, made in MODULES[name]().items():
        monkeypatch.setitem(sys.modules, path, made)
    return {name: {"python": sys.executable}}


PACKAGES = {"modal": "modal"}
COMPARED = [
    ("modal", "App.lookup.aio"),
    ("modal", "Image.from_registry"),
    ("modal", "Sandbox.create.aio"),
    ("modal", "Sandbox.exec.aio"),
    ("modal", "Sandbox.terminate.aio"),
]
"""Methods that are called, with where they are found in the package."""


def has_network(name, wanted):
    return {"modal": lambda: not wanted["block_network"]}[name]()


def lifetime_s(name, wanted):
    return {"modal": lambda: wanted["timeout"]}[name]()
