"""An orchestrator's process that plays attacks: `python -m attacks.stage`, started by `play`.

Asked by one JSON object a line on stdin, and answers with one on stdout: what the move brought back, how much output was
shown, how its worker was lost, and what was raised here, which nothing may. It has a secret in its variables, its memory
and an open file.

`nothing` is no environment of ours but the lack of any: a fork that inherits all, and a parent that believes whatever it is
told. It shows that an attack is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import select
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attacks.table import ATTACKS, ROLES, Attack
from orchestrator.app import environment_factory
from orchestrator.environments.environment import Environment
from orchestrator.environments.session import FunctionCall, Session
from orchestrator.errors import OrchestratorError, WorkerLost
from orchestrator.values import Cell, Grants, WorkerLimits, WorkerSpec

NOTHING = "nothing"
ENVIRONMENTS = ("process", "confined", "bubblewrap", "docker", "podman")
"""On this machine: `ssh` lets a worker do what the other machine lets it."""

SECRET = os.environ.get("SERVICE_API_KEY", "")
PATIENCE_S = 6.0
"""How long the parent that believes everything waits for an end."""

Told = dict[str, Any]
Factory = Callable[[], Environment]


def main() -> None:
    """Play until there is nobody who asks."""
    keeper = tempfile.TemporaryFile()  # noqa: SIM115  (for as long as this process lives)
    keeper.write(SECRET.encode())
    keeper.flush()
    os.set_inheritable(keeper.fileno(), True)
    for line in sys.stdin:
        asked = json.loads(line)
        attack, facts = ATTACKS[asked["attack"]], asked["facts"]
        try:
            if asked["environment"] == NOTHING:
                told = believed(attack, facts)
            else:
                factory = environment_factory(asked["environment"], asked["settings"])
                told = asyncio.run(played(attack, facts, factory, asked["role"]))
        except OrchestratorError as error:
            told = {"unavailable": str(error)}
        except BaseException as error:  # noqa: BLE001  (that an attack brings it about is what we look for)
            told = {"raised": f"{type(error).__name__}: {error}"}
        keeper.seek(0)
        told["kept"] = keeper.read().decode("utf-8", "replace").replace(SECRET, "")
        keeper.seek(0)
        keeper.write(SECRET.encode())
        keeper.truncate()
        keeper.flush()
        print(json.dumps(told, default=repr), flush=True)


async def played(attack: Attack, facts: Told, factory: Factory, role: str) -> Told:
    """How it comes out under an environment, in a worker of its own; what it left is looked for by another one."""
    folder = Path(facts["scratch"])
    told = await _in_worker(attack, facts, factory, role, "attack", folder)
    (folder / "closed").touch()
    if attack.look is not None:
        later = folder.with_name("later")
        later.mkdir()
        facts = {**facts, "scratch": str(later)}
        (later / "facts").write_text(json.dumps(facts))
        told["later"] = await _in_worker(attack, facts, factory, role, "look", later)
        later.rename(folder / "later")
    return told


async def _in_worker(
    attack: Attack, facts: Told, factory: Factory, role: str, name: str, folder: Path
) -> Told:
    skill = Path(facts["skill"])
    grants = Grants(read=(skill,), hosts=("*",) if attack.network else (), processes=role == ROLES[2])
    limits = WorkerLimits(facts["memory_bytes"], facts["written_bytes"], facts["n_processes"])
    code = folder / "code.py"
    code.write_text(f"{attack.source}\n\ndef go(it):\n    return {name}(it)\n")
    session = await factory().start(WorkerSpec(scratch=folder, cwd=folder, grants=grants, limits=limits))
    try:
        await session.init(variables={"inputs": facts})
        began = time.monotonic()
        told = await _asked(session, attack, role, name, code)
        # Kept by the parent: nothing that a move does may hold it up.
        told["late"] = time.monotonic() - began > attack.deadline_s + 10
        return told
    finally:
        await session.close()


async def _asked(session: Session, attack: Attack, role: str, name: str, code: Path) -> Told:
    async def serve(fn: str, _: dict[str, Any]) -> str:
        return fn

    try:
        if role == "cell":
            source = f"{attack.source}\n\nFINAL({name}(inputs))"
            cell = await session.cell(Cell(1, source), serve, attack.deadline_s)
            loot, output, failure = cell.answer, cell.output, cell.failure
        else:
            call = FunctionCall(
                code, "go", {"it": json.loads((code.parent / "facts").read_text())}, code.parent
            )
            done = await session.function(call, serve, attack.deadline_s)
            loot, output, failure = done.value, done.output, done.failure
    except WorkerLost as lost:
        return {"lost": lost.reason}
    n_shown = len(output.head) + len(output.tail)
    return {"loot": loot, "n_shown": n_shown, "failure": failure and f"{failure.type}: {failure.message}"}


# ------------------------------------------------------------------------------------- nothing


def believed(attack: Attack, facts: Told) -> Told:
    """How it comes out with nothing in its way."""
    ours, theirs = socket.socketpair()
    output = Path(facts["scratch"], "output")
    pid = os.fork()
    if pid == 0:
        _be_the_child(attack, facts, theirs, output)
    theirs.close()
    told = _believing(ours, facts)
    if told.get("late"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    Path(facts["scratch"], "closed").touch()
    told.setdefault("n_shown", output.stat().st_size if output.exists() else 0)
    if output.exists():
        with contextlib.suppress(ValueError, KeyError, UnicodeDecodeError):
            told["printed"] = json.loads(output.read_bytes()[4:2000].split(b"\0")[0])["answer"]
    return told


def _be_the_child(attack: Attack, facts: Told, stream: socket.socket, output: Path) -> None:
    try:
        os.dup2(stream.fileno(), 250)
        fd = os.open(output, os.O_WRONLY | os.O_CREAT)
        os.dup2(fd, 1)
        names: Told = {"__name__": "moves"}
        exec(compile(attack.source, "<moves>", "exec"), names)
        loot = names["attack"](facts)
        if attack.look is not None:
            loot = [loot, names["look"](facts)]
        sys.stdout.flush()
        body = json.dumps({**facts["done"], "value": loot}).encode()
    except BaseException as error:  # noqa: BLE001  (told, and nothing goes on behind this)
        body = json.dumps({**facts["done"], "value": None, "failure": repr(error)}).encode()
    with contextlib.suppress(OSError):
        os.write(250, struct.pack(">I", len(body)) + body)
    if attack.goes_on:
        import threading

        for thread in threading.enumerate():  # an interpreter that ends waits for them
            if thread is not threading.current_thread():
                thread.join(PATIENCE_S)
        import atexit

        atexit._run_exitfuncs()
        if "alarm" in attack.name:
            time.sleep(0.5)
    os._exit(0)


def _believing(stream: socket.socket, facts: Told) -> Told:
    """What is made of the frames by somebody who trusts them all."""
    until = time.monotonic() + PATIENCE_S
    data = b""
    while len(data) < 4 or len(data) < 4 + struct.unpack(">I", data[:4])[0]:
        if not select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]:
            return {"late": True}
        if not (part := stream.recv(1 << 20)):
            return {"late": True} if data else {"lost": "it ended"}
        data += part
    body = data[4 : 4 + struct.unpack(">I", data[:4])[0]]
    if body[:1] == b"\x80":
        return {"loot": repr(pickle.loads(body))}
    frame = json.loads(body)
    if frame.get("kind") == "file":
        frame = json.loads(_read(os.path.join(facts["scratch"], frame["name"]), until))
    value = frame.get("value")
    if isinstance(value, dict) and "$text" in value:
        value = _read(value["$text"]["path"], until)
    if isinstance(value, dict) and "pickle" in value:
        import base64

        value = repr(pickle.loads(base64.b64decode(value["pickle"])))
    return {"loot": value, "failure": frame.get("failure")}


def _read(path: str, until: float) -> str:
    def give_up(*_: object) -> None:
        raise TimeoutError("it waits")

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, max(0.1, until - time.monotonic() - 3))
    try:
        with open(path) as file:
            return file.read()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
