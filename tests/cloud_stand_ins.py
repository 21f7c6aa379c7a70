"""Stand-ins for the clients of cloud sandboxes: the same methods, whose sandboxes are folders and processes of this machine.

They have the parameters that we use, with the names, kinds and defaults of the real ones; a test compares them where
the real ones are installed.
"""

import asyncio
import codecs
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
    "e2b": {"E2B_API_KEY": "e2b_key"},
    "daytona": {"DAYTONA_API_KEY": "dtn_key"},
    "prime": {"PRIME_API_KEY": "pit_key"},
}


class Box:
    """A sandbox: a home, and all processes that have it in their variables, which end with it."""

    made: ClassVar[list["Box"]] = []

    def __init__(self, **wanted):
        self.wanted = wanted
        self.home = tempfile.mkdtemp(prefix="o-cloud-", dir=os.environ["O_CLOUD_FOLDER"])
        self.has_ended = False
        self.started = []
        Box.made.append(self)

    async def start(self, argv, stderr=asyncio.subprocess.DEVNULL):
        env = {"PATH": os.environ["PATH"], "HOME": self.home, "OF_THE_PROVIDER": "1"}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=pipe, stdout=pipe, stderr=stderr, env=env, cwd=self.home, limit=1 << 16
        )
        self.started.append(process)
        return process

    async def end(self):
        self.has_ended = True
        ending = set()
        while ending := {one for one in ending | self.processes() if is_alive(one)}:
            for pid in ending:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0)
        for process in self.started:
            await process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def processes(self):
        return {int(one.name) for one in Path("/proc").glob("[0-9]*") if self._is_inside(one)}

    def _is_inside(self, process):
        with contextlib.suppress(OSError):
            return f"={self.home}".encode() in (process / "environ").read_bytes()
        return False


def is_alive(pid):
    """Whether it runs, or is about to end: then it has no variables any more, by which it could be found."""
    with contextlib.suppress(OSError):
        return (
            Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] not in "ZX"
        )
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


# ------------------------------------------------------------------------------------- e2b


class E2bSandbox:
    """Its streams are text, decoded part by part."""

    def __init__(self, box):
        self.box = box
        self.commands = E2bCommands(box)

    @classmethod
    async def create(
        cls,
        template=None,
        timeout=None,  # noqa: ASYNC109
        allow_internet_access=None,
        lifecycle=None,
    ):
        assert lifecycle == {"on_timeout": "kill"}
        return cls(Box(timeout=timeout, allow_internet_access=allow_internet_access, template=template))

    async def kill(self):
        await self.box.end()
        return True


class E2bCommands:
    def __init__(self, box):
        self._box = box

    async def run(
        self,
        cmd,
        background=None,
        on_stdout=None,
        stdin=None,
        timeout=60,  # noqa: ASYNC109
        *,
        retain_output=True,
    ):
        assert (background, stdin, timeout, retain_output) == (True, True, 0, False)
        return E2bHandle(await self._box.start(["sh", "-c", cmd]), on_stdout)


class E2bHandle:
    def __init__(self, process, on_stdout):
        self._process = process
        self._on_stdout = on_stdout

    async def send_stdin(self, data, request_timeout=None):
        self._process.stdin.write(data.encode())
        await self._process.stdin.drain()

    async def wait(self):
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        async for part in parts(self._process):
            await self._on_stdout(decoder.decode(part))
        if self._process.returncode:
            raise RuntimeError(f"Command exited with code {self._process.returncode}")


def e2b():
    return {"e2b": module("e2b", AsyncSandbox=E2bSandbox, AsyncCommandHandle=E2bHandle)}


# ------------------------------------------------------------------------------------- daytona


class DaytonaClient:
    def __init__(self, config=None):
        assert config.api_key == "dtn_key"

    async def create(self, params=None, *, timeout=60):  # noqa: ASYNC109
        assert params.ephemeral
        return DaytonaSandbox(Box(**vars(params)))

    async def close(self):
        pass


class DaytonaSandbox:
    def __init__(self, box):
        self.box = box
        self.process = DaytonaProcess(box)

    async def delete(self, timeout=60, wait=False):  # noqa: ASYNC109
        await self.box.end()


class DaytonaProcess:
    """It shows again what it was sent, which the real one may do too."""

    def __init__(self, box):
        self._box = box
        self._sessions = {}

    async def create_session(self, session_id, request_timeout=None):
        self._sessions[session_id] = None

    async def execute_session_command(self, session_id, req, timeout=None):  # noqa: ASYNC109
        assert req.run_async
        self._sessions[session_id] = (await self._box.start(["sh", "-c", req.command]), [])
        return SimpleNamespace(cmd_id=f"{session_id}-command")

    async def get_session_command_logs_async(self, session_id, command_id, on_stdout, on_stderr):
        process, shown_again = self._sessions[session_id]
        rest = b""
        async for part in parts(process):
            *lines, rest = (rest + part).split(b"\n")
            for line in [*shown_again, *lines]:
                await on_stdout(line.decode() + "\n")
            shown_again.clear()
        await on_stdout(rest.decode())

    async def send_session_command_input(self, session_id, command_id, data, request_timeout=None):
        process, shown_again = self._sessions[session_id]
        shown_again.append(data.rstrip("\n").encode())
        process.stdin.write(data.encode())
        await process.stdin.drain()


def daytona():
    return {
        "daytona": module(
            "daytona",
            AsyncDaytona=DaytonaClient,
            AsyncSandbox=DaytonaSandbox,
            AsyncProcess=DaytonaProcess,
            CreateSandboxFromSnapshotParams=SimpleNamespace,
            DaytonaConfig=SimpleNamespace,
            SessionExecuteRequest=SimpleNamespace,
        )
    }


# ------------------------------------------------------------------------------------- prime


class PrimeConfig:
    @property
    def api_key(self):
        return os.environ.get("PRIME_API_KEY", "")


class PrimeClient:
    def __init__(self):
        self._boxes = {}

    async def create(self, request):
        assert request.vm
        self._boxes[request.name] = Box(**vars(request))
        return SimpleNamespace(id=request.name)

    async def wait_for_creation(self, sandbox_id):
        assert sandbox_id in self._boxes

    async def open_process(self, sandbox_id, command):
        return PrimeProcess(await self._boxes[sandbox_id].start(["sh", "-c", command]))

    async def delete(self, sandbox_id):
        await self._boxes[sandbox_id].end()

    async def aclose(self):
        pass


class PrimeProcess:
    """Its standard input has no end while it runs."""

    def __init__(self, process):
        self._process = process
        self.stdout = parts(process)

    async def write_stdin(self, data):
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def aclose(self):
        pass


def prime():
    contents = {"AsyncSandboxClient": PrimeClient, "AsyncSandboxProcess": PrimeProcess, "Config": PrimeConfig}
    return {"prime_sandboxes": module("prime_sandboxes", CreateSandboxRequest=SimpleNamespace, **contents)}


# ------------------------------------------------------------------------------------- all

MODULES = {"modal": modal, "e2b": e2b, "daytona": daytona, "prime": prime}


def install(monkeypatch, name, folder):
    """Have the stand-in found where the client would be, and a key: what `environment_factory` takes as settings.

    Its sandboxes lie in the folder.
    """
    import sys

    monkeypatch.setenv("O_CLOUD_FOLDER", str(folder))
    for key, value in KEYS[name].items():
        monkeypatch.setenv(key, value)
    for path, made in MODULES[name]().items():
        monkeypatch.setitem(sys.modules, path, made)
    return {name: {"python": sys.executable}}


PACKAGES = {"modal": "modal", "e2b": "e2b", "daytona": "daytona", "prime": "prime_sandboxes"}
COMPARED = {
    "modal.App.lookup.aio": ModalApp.lookup.aio,
    "modal.Image.from_registry": ModalImage.from_registry,
    "modal.Sandbox.create.aio": ModalSandbox.create.aio,
    "modal.Sandbox.exec.aio": ModalSandbox.exec.aio,
    "modal.Sandbox.terminate.aio": ModalSandbox.terminate.aio,
    "modal.io_streams.StreamWriter.write": ModalWriter.write,
    "modal.io_streams.StreamWriter.drain.aio": ModalWriter.drain.aio,
    "e2b.AsyncSandbox.create": E2bSandbox.create,
    "e2b.AsyncSandbox.kill": E2bSandbox.kill,
    "e2b.sandbox_async.commands.command.Commands.run": E2bCommands.run,
    "e2b.AsyncCommandHandle.send_stdin": E2bHandle.send_stdin,
    "e2b.AsyncCommandHandle.wait": E2bHandle.wait,
    "daytona.AsyncDaytona": DaytonaClient,
    "daytona.AsyncDaytona.create": DaytonaClient.create,
    "daytona.AsyncDaytona.close": DaytonaClient.close,
    "daytona.AsyncSandbox.delete": DaytonaSandbox.delete,
    "daytona._async.process.AsyncProcess.create_session": DaytonaProcess.create_session,
    "daytona._async.process.AsyncProcess.execute_session_command": DaytonaProcess.execute_session_command,
    "daytona._async.process.AsyncProcess.get_session_command_logs_async": DaytonaProcess.get_session_command_logs_async,
    "daytona._async.process.AsyncProcess.send_session_command_input": DaytonaProcess.send_session_command_input,
    "prime_sandboxes.AsyncSandboxClient.create": PrimeClient.create,
    "prime_sandboxes.AsyncSandboxClient.wait_for_creation": PrimeClient.wait_for_creation,
    "prime_sandboxes.AsyncSandboxClient.open_process": PrimeClient.open_process,
    "prime_sandboxes.AsyncSandboxClient.delete": PrimeClient.delete,
    "prime_sandboxes.AsyncSandboxClient.aclose": PrimeClient.aclose,
    "prime_sandboxes.AsyncSandboxProcess.write_stdin": PrimeProcess.write_stdin,
    "prime_sandboxes.AsyncSandboxProcess.aclose": PrimeProcess.aclose,
}
"""Methods that are called, by where the real ones are."""


def has_network(name, wanted):
    return {
        "modal": lambda: not wanted["block_network"],
        "e2b": lambda: wanted["allow_internet_access"],
        "daytona": lambda: not wanted["network_block_all"],
        "prime": lambda: wanted["network_allowlist"] is None,
    }[name]()


def lifetime_s(name, wanted):
    return {
        "modal": lambda: wanted["timeout"],
        "e2b": lambda: wanted["timeout"],
        "daytona": lambda: wanted["ttl_minutes"] * 60,
        "prime": lambda: wanted["timeout_minutes"] * 60,
    }[name]()
