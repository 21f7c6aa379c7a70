"""Whether a failure of code came from where it ran: a program, a package or a host that is not there, a full disk.

Read off the exception's type and the words that the C library, shells and common clients use. What is not recognised
is the code's own failure: a fault that is blamed on the world by mistake would be forgiven for ever.
"""

from __future__ import annotations

import re

_BY_TYPE = {
    "ModuleNotFoundError": "missing_package",
    "ConnectionError": "network",
    "ConnectionRefusedError": "network",
    "ConnectionResetError": "network",
    "ConnectionAbortedError": "network",
    "gaierror": "network",
    "URLError": "network",
    "ConnectError": "network",
    "ConnectTimeout": "network",
    "ClientConnectorError": "network",
}
"""By the name of an exception: of Python's own, `urllib`, `requests`, `httpx` and `aiohttp`."""

_BY_WORDS = (
    ("disk_full", re.compile(r"No space left on device|Disk quota exceeded")),
    (
        "network",
        re.compile(
            r"Could not resolve host|Temporary failure in name resolution|Name or service not known"
            r"|Network is unreachable|No route to host|Connection refused"
        ),
    ),
    ("missing_package", re.compile(r"ModuleNotFoundError: No module named|Cannot find module '")),
    ("missing_binary", re.compile(r"command not found|: not found$|executable file not found", re.MULTILINE)),
)
"""By what is said, as `strerror` (POSIX), `gai_strerror`, curl, shells and Node word it."""

EXIT_CODES = {126: "missing_binary", 127: "missing_binary"}
"""Of a shell: POSIX.1-2024, Shell Command Language, 2.8.2."""


def of_exception(name: str, message: str) -> str:
    """The kind of the surroundings' failure that an exception tells of; empty where it is the code's own."""
    if name in _BY_TYPE:
        return _BY_TYPE[name]
    return of_words(message) if name.endswith(("Error", "Exception")) and name != "AssertionError" else ""


def of_exit(code: int, said: str) -> str:
    """The same of a program's exit code and the end of what it said."""
    return EXIT_CODES.get(code) or of_words(said)


def of_words(said: str) -> str:
    """The same of words alone."""
    return next((kind for kind, words in _BY_WORDS if words.search(said)), "")
