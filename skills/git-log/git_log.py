"""The history of a git repository as data: commits with their files and how many lines each gained and lost.

As a program: `python git_log.py [PATH] --since 2.weeks` prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

# Separated by NUL, the only byte that no message, name or path can hold.
_FIELDS = ("hash", "parents", "author", "email", "date", "subject", "body")
_FORMAT = "%x00".join(("%H", "%P", "%aN", "%aE", "%aI", "%s", "%b"))
_HASH = re.compile(r"[0-9a-f]{40,64}")
_COUNTS = re.compile(r"\n?(\d+|-)\t(\d+|-)\t(.*)", re.DOTALL)
# A repository's own configuration may name programs to run: none of them is needed to read its history.
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "log.showSignature=false")


def log(
    path: str = ".",
    since: str | None = None,
    until: str | None = None,
    author: str | None = None,
    paths: Sequence[str] = (),
    limit: int = 100,
) -> dict[str, Any]:
    """The newest commits first, at most `limit`; `truncated` says that there are more.

    `since` and `until` are dates as git reads them (`2026-01-31`, `2.weeks`). `paths` keeps commits that touch one of
    them, relative to `path`. Raises ValueError when git refuses, and FileNotFoundError without git.
    """
    options = [f"--max-count={limit + 1}"]
    options += [
        f"--{name}={value}"
        for name, value in (("since", since), ("until", until), ("author", author))
        if value
    ]
    command = ["git", *_SAFE, "-C", path, "log", "-z", "--numstat", "-M", "--no-ext-diff", "--no-textconv"]
    command += [f"--format={_FORMAT}", "--encoding=UTF-8", *options, "--", *paths]
    done = subprocess.run(
        command, capture_output=True, check=False, stdin=subprocess.DEVNULL, env=_environment()
    )
    message = done.stderr.decode(errors="replace").strip()
    if done.returncode and "does not have any commits yet" not in message:
        raise ValueError(f"git can't read the history of `{path}`: {message}")
    commits = list(parsed(done.stdout.decode("utf-8", errors="replace")))
    return {
        "commits": commits[:limit],
        "n_commits": min(len(commits), limit),
        "truncated": len(commits) > limit,
    }


def parsed(output: str) -> Iterator[dict[str, Any]]:
    """The commits in what `git log -z --numstat` printed with this module's format.

    Each is a fixed number of fields, then its files up to the next hash. A renamed file is three parts: its counts,
    the old path, the new one. A merge has no files of its own.
    """
    parts = output.split("\0")
    at = 0
    while at < len(parts):
        if not parts[at].strip("\n"):
            at += 1
            continue
        fields = [part.strip("\n") for part in parts[at : at + len(_FIELDS)]]
        if len(fields) < len(_FIELDS) or not _HASH.fullmatch(fields[0]):
            raise ValueError(f"git printed something unexpected: {parts[at][:100]!r}")
        files, at = _files(parts, at + len(_FIELDS))
        yield _commit(fields, files)


def main(arguments: list[str] | None = None) -> int:
    """The program: 0 with the history as JSON, 2 when git can't read it."""
    parser = argparse.ArgumentParser(description="The history of a git repository as JSON.")
    parser.add_argument("path", nargs="?", default=".", help="a folder of the repository")
    parser.add_argument("--since", help="not before this date, as 2026-01-31 or 2.weeks")
    parser.add_argument("--until", help="not after this date")
    parser.add_argument("--author", help="a part of the author's name or address")
    parser.add_argument("--paths", nargs="+", default=[], help="only commits that touch one of these")
    parser.add_argument("--limit", type=int, default=100, help="at most so many commits, the newest")
    options = vars(parser.parse_args(arguments))
    try:
        result = log(**options)
    except (OSError, ValueError) as error:
        print(f"git_log: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2, ensure_ascii=False))
    return 0


def _files(parts: Sequence[str], at: int) -> tuple[list[dict[str, Any]], int]:
    """The files that begin there, and where the next commit does."""
    files: list[dict[str, Any]] = []
    while at < len(parts):
        match = _COUNTS.fullmatch(parts[at])
        if match is None and parts[at].strip("\n"):
            break
        if match is None:
            at += 1
            continue
        renamed = not match[3]
        path, old_path = (parts[at + 2], parts[at + 1]) if renamed else (match[3], None)
        files.append(
            {"path": path, "old_path": old_path, "added": _count(match[1]), "deleted": _count(match[2])}
        )
        at += 3 if renamed else 1
    return files, at


def _commit(fields: Sequence[str], files: list[dict[str, Any]]) -> dict[str, Any]:
    commit: dict[str, Any] = {name: fields[number] for number, name in enumerate(_FIELDS)}
    return {
        **commit,
        "parents": commit["parents"].split(),
        "files": files,
        "n_files": len(files),
        "added": sum(file["added"] or 0 for file in files),
        "deleted": sum(file["deleted"] or 0 for file in files),
    }


def _count(text: str) -> int | None:
    """Lines; None for a binary file, which has none."""
    return None if text == "-" else int(text)


def _environment() -> dict[str, str]:
    # Variables that point git at another repository are set inside hooks; the path given here decides.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0"}


if __name__ == "__main__":
    sys.exit(main())
