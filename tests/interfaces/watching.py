"""A watcher as a person starts it: a process of its own, of which each line is heard."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONGEST_S = 60.0


class Watcher:
    """`orchestrate watch` with these words; `lines` is what it printed on stdout so far, `said` on stderr."""

    def __init__(
        self, words: list[str], cwd: Path, env: dict[str, str], start: list[str] | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [*(start or []), sys.executable, "-m", "orchestrator", "watch", *words],
            cwd=cwd, env=env, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self.lines: list[str] = []
        self.said: list[str] = []
        self._heard = threading.Condition()
        pairs = (self.process.stdout, self.lines), (self.process.stderr, self.said)
        self._threads = [threading.Thread(target=self._listen, args=pair) for pair in pairs]
        for thread in self._threads:
            thread.start()

    def until(self, is_so: Callable[[list[str]], object], since: int = 0) -> None:
        """Wait until what it printed from line `since` on is so."""
        self._wait(lambda: is_so(self.lines[since:]))

    def until_said(self, text: str) -> None:
        """Wait until it said so on stderr."""
        self._wait(lambda: any(text in line for line in self.said))

    def end(self, signum: int) -> int:
        """Its exit code after this signal."""
        self.process.send_signal(signum)
        return self.ended()

    def ended(self) -> int:
        """Its exit code once it has ended by itself."""
        code = self.process.wait(LONGEST_S)
        for thread in self._threads:
            thread.join()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return code

    def close(self) -> None:
        """Make sure that it is gone."""
        if self.process.poll() is None:
            self.process.kill()
        self.ended()

    def _wait(self, is_so: Callable[[], object]) -> None:
        until = time.monotonic() + LONGEST_S
        with self._heard:
            while not is_so():
                left = until - time.monotonic()
                assert left > 0, f"printed: {self.lines}\nsaid: {self.said}"
                self._heard.wait(left)

    def _listen(self, stream, kept: list[str]) -> None:  # type: ignore[no-untyped-def]
        for line in stream:
            with self._heard:
                kept.append(line.rstrip("\n"))
                self._heard.notify_all()
