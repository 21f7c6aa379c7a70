"""Makes a place for a worker on another machine, and keeps the worker there. Standard library only, CPython 3.9.

It arrives over the stream that the worker is to serve and runs from there; nothing has to be installed. What comes
next on the stream: 4 bytes of length and that many of JSON, `{name, n_bytes}`; then an archive of so many bytes. What
it answers: 4 bytes of length and `{root}`, the folder of the worker, or `{fault}`. After that the worker speaks.

The folder is `~/.cache/orchestrate/workers/NAME`: the same name for the same worker when a run goes on, so that what
a cell was shown stays true. Whoever holds the lock beside it owns it. It is removed when the worker ends, and the
folders of those that were cut off before they could are removed by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import struct
import sys
import tarfile
from importlib import util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

WAIT_S = 20
"""How long an earlier worker of the same name may take to end: its own connection has ended before this one began."""


class Rest:
    """What is left of an archive on the stream, and nothing that comes after it."""

    def __init__(self, n_bytes: int) -> None:
        self.n_left = n_bytes

    def read(self, n_bytes: int) -> bytes:
        """At most so many bytes."""
        data = _read(min(n_bytes, self.n_left))
        self.n_left -= len(data)
        return data


def main() -> None:
    """Serve standard input and output. Never returns."""
    os.umask(0o077)
    order = json.loads(_read(struct.unpack(">I", _read(4))[0]))
    folder = os.path.join(os.path.expanduser("~"), ".cache", "orchestrate", "workers")
    root = os.path.join(folder, order["name"])
    rest = Rest(order["n_bytes"])
    try:
        os.makedirs(folder, exist_ok=True)
        sweep(folder, order["name"])
        signal.alarm(WAIT_S)
        lock = locked(f"{root}.lock", fcntl.LOCK_EX)
        signal.alarm(0)
        shutil.rmtree(root, ignore_errors=True)
        with tarfile.open(fileobj=rest, mode="r|") as archive:  # type: ignore[call-overload]  # it only reads
            archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)  # it is our own
            archive.extractall(root)  # noqa: S202
        while rest.n_left:
            rest.read(1 << 20)
    except (OSError, tarfile.TarError) as error:
        _tell({"fault": f"no folder could be made there: {error}"})
        sys.exit(1)
    os.set_inheritable(lock, False)
    _tell({"root": os.path.realpath(root)})
    inside = _loaded(os.path.join(root, "code", "inside.py"))
    inside.keep(inside.confinement(), lambda: remove(root))


def sweep(folder: str, own: str) -> None:
    """Remove the folders of workers that nobody keeps any more."""
    for name in os.listdir(folder):
        if name.endswith(".lock") and name != f"{own}.lock":
            with contextlib.suppress(OSError):
                lock = locked(os.path.join(folder, name), fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(os.path.join(folder, name[: -len(".lock")]))
                os.close(lock)


def locked(path: str, how: int) -> int:
    """A descriptor that holds the lock of this file, which is still there under this name."""
    while True:
        lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, how)
            if os.path.samestat(os.fstat(lock), os.stat(path)):
                return lock
        except FileNotFoundError:
            pass  # its owner removed it while we waited
        except OSError:
            os.close(lock)
            raise
        os.close(lock)


def remove(root: str) -> None:
    """Remove a worker's folder, and then its lock."""
    for folder, _, _ in os.walk(root):  # granted folders can't be written to
        with contextlib.suppress(OSError):
            os.chmod(folder, 0o700)
    shutil.rmtree(root, ignore_errors=True)
    with contextlib.suppress(OSError):
        os.unlink(f"{root}.lock")


def _read(n_bytes: int) -> bytes:
    data = bytearray()
    while len(data) < n_bytes:
        part = os.read(0, min(n_bytes - len(data), 1 << 20))
        if not part:
            sys.exit(0)  # nobody is there any more
        data += part
    return bytes(data)


def _tell(what: dict[str, Any]) -> None:
    body = json.dumps(what).encode()
    os.write(1, struct.pack(">I", len(body)) + body)


def _loaded(path: str) -> Any:
    spec = util.spec_from_file_location("orchestrate_inside", path)
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
