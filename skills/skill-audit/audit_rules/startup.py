"""Commands that change what a machine runs by itself: schedules, services, profiles of shells, keys that may log in.

An installer that puts a folder on the PATH does what good skills do, so such a line in a profile is nothing. Nor is what is
written on another machine, where `ssh host "..."` puts a user's own key.
"""

from __future__ import annotations

import re

from audit_rules import places
from audit_rules.finding import Severity

_WRITE = re.compile(
    r">>?\s*[\"']?(?P<redirect>[^\"';|&]+)|\btee\s+(?:-a\s+)?(?P<tee>[^;|&]+)|\b(?:cp|mv|ln|install)\s+(?P<copy>[^\n;|&]+)|\bsed\s+-\w*i\b(?P<edit>[^\n;|&]+)"
)
_SCHEDULES = re.compile(
    r"\|\s*(?:sudo\s+)?crontab\s+(?:-u\s+\S+\s+)?-(?=\s|$)|(?:^|[;&]\s*)crontab\s+(?!-)\S+|\bschtasks\b[^\n]*/create\b"
    r"|\blaunchctl\s+(?:load|bootstrap)\b|\bsystemctl\s+--user\s+(?:\S+\s+)*enable\b|\breg\s+add\b[^\n]*\\Run\b|\bcore\.hooksPath\b\s+\S"
)
_PROFILE = re.compile(r"\.(?:bashrc|bash_profile|bash_login|profile|zshrc|zshenv|zprofile|zlogin|fish)\b")
_ORDINARY = re.compile(
    r"\bexport\s+\w+=|\bPATH\b|\balias\s|complet|\b(?:init|hook|activate|shellenv|env)\b|\bset\s+-g?x\b"
)
_ELSEWHERE = re.compile(r"\bssh\s[^\n]*[\"'][^\"']*$")
_MAY_LOG_IN = re.compile(r"\.ssh[/\\](?:authorized_keys|rc)\b")


def startup_change(text: str) -> tuple[Severity, int] | None:
    """How much a command changes of what is run by itself, and where it says so; None when it does not."""
    for match in _WRITE.finditer(text):
        target = match["redirect"] or match["tee"] or match["copy"] or match["edit"] or ""
        if not places.STARTUP.search(target) or _ELSEWHERE.search(text[: match.start()]):
            continue
        if _MAY_LOG_IN.search(target):
            return "high", match.start()
        if not (_PROFILE.search(target) and _ORDINARY.search(text)):
            return "medium", match.start()
    match = _SCHEDULES.search(text)
    return ("medium", match.start()) if match else None
