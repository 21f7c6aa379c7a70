"""What prose asks its reader to do.

To fetch a program and start it, open a locked archive, send data in an address, write into what steers the agent.

Incidents of 2026 worked without a line of code: a "prerequisite" behind a link, an archive whose password keeps
scanners out, an image whose address carries the conversation, a note in the agent's own memory. An agent does what
the text says, and a person sees an installation step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from audit_rules import places
from audit_rules.finding import Finding, Severity, excerpt

_PROGRAM = re.compile(
    r"(?i)https?://[^\s\"'`<>()\[\]{}|;\\]+\.(?:exe|dmg|pkg|msi|scr|bat|cmd|ps1|sh|zip|rar|7z|tgz|tar\.gz|apk|appimage)\b"
)
_COPIED = re.compile(
    r"(?i)\b(?:copy|paste|run|execute)\b[^.\n]{0,40}\b(?:code|commands?|scripts?|snippets?|one-?liner)\b"
)
_TERMINAL = re.compile(r"(?i)\b(?:terminal|powershell|command\s+prompt|console|shell)\b")
_ARCHIVE = re.compile(r"(?i)\.(?:zip|rar|7z|tgz|tar\.gz)\b|\barchive\b")
_FETCH = re.compile(r"(?i)\b(?:download|fetch|grab|get|install)\b")
_START = re.compile(r"(?i)\b(?:run|execute|launch|start|open|double-?click|install)\b")
_UNPACK = re.compile(r"(?i)\b(?:extract|unpack|unzip|unrar|decompress|open)\b")
_PASSWORD = re.compile(r"(?i)\b(?:pass(?:word|phrase|code)|pwd)\b\s*(?:is|:|=)\s*[`'\"*]{0,3}[^\s`'\"*]{3,}")
_NEEDED = re.compile(
    r"(?i)\b(?:required?|requires|prerequisites?|must|needs? to|before\s+(?:you\s+)?(?:us|start|continu|proceed|run)\w*|won'?t\s+work|will\s+not\s+work)\b"
)
_IMAGE = re.compile(
    r"!\[[^\]\n]*\]\(\s*<?(https?://[^)\s>]+)|<img\b[^>]*\bsrc=[\"'](https?://[^\"']+)", re.IGNORECASE
)
_SLOT = re.compile(
    r"\{\{?([^{}\n]{1,60})\}?\}|\$\{?([A-Za-z_]\w*)\}?|<([^<>\n]{1,60})>|\[([A-Z][A-Z_ ]{2,60})\]|%7B([^%\n]{1,60})%7D"
)
_PRIVATE = re.compile(
    r"(?i)secret|api.?key|token|password|credential|\benv\b|environment|conversation|chat|history|session|memory|file.?content|b(?:ase)?64|user.?(?:data|input|prompt|info)"
)
_SENDS_IN_ADDRESS = re.compile(
    r"(?i)\b(?:append|include|encode|embed|add|put|send|attach)\b[^.\n]{0,60}\b(?:conversation|chat\s+history|secrets|credentials|environment\s+variables|memory\s+files?|contents?\s+of\s+(?:the\s+|any\s+|all\s+)?(?:file|files|\.env))\b"
    r"[^.\n]{0,60}\b(?:url|link|query|parameter|image|address|pixel)\b"
)
_TO_MEMORY = re.compile(
    r"(?i)\b(?:append|add|write|insert|save|copy|put|paste|store)\b[^.\n]{0,100}?\b(?:to|into|in|at)\b[^.\n]{0,60}?"
)


def prose_findings(name: str, paragraph: str, number: int) -> Iterator[Finding]:
    """What one paragraph, or item of a list, asks for; `number` is its first line."""
    yield from _programs(name, paragraph, number)
    yield from _copied(name, paragraph, number)
    yield from _addresses(name, paragraph, number)
    yield from _memory(name, paragraph, number)


def _programs(name: str, text: str, number: int) -> Iterator[Finding]:
    address = _PROGRAM.search(text)
    link = address or (places.urls(text) and re.search(r"https?://", text))
    if not link or not _FETCH.search(text):
        return
    if (locked := _PASSWORD.search(text)) and _ARCHIVE.search(text) and _UNPACK.search(text):
        why = "a download in an archive with a password, which keeps scanners out"
        yield _found("locked-archive", "high", name, text, number, locked.start(), why)
        return
    if not address or not _START.search(text[address.end() :] + " " + text[: address.start()]):
        return
    kind = places.riskiest([address[0]])
    severity: Severity = (
        "high" if kind == "risky" else "medium" if _NEEDED.search(text) and kind == "plain" else "low"
    )
    if kind not in ("local", "known"):
        why = "has a program fetched and started that is no part of the skill"
        yield _found("fetched-prerequisite", severity, name, text, number, address.start(), why)


def _copied(name: str, text: str, number: int) -> Iterator[Finding]:
    """A page whose code somebody is told to run: what it says is not in the skill, and can change."""
    addresses = [address.replace("http://", "https://", 1) for address in places.urls(text)]
    match = _COPIED.search(text)
    if not match or not addresses or not _TERMINAL.search(text):
        return
    kind = places.riskiest(addresses)
    if kind == "risky" or (kind == "plain" and _NEEDED.search(text)):
        severity: Severity = "high" if kind == "risky" else "medium"
        why = "has code run that stands on another page"
        yield _found("fetched-prerequisite", severity, name, text, number, match.start(), why)


def _addresses(name: str, text: str, number: int) -> Iterator[Finding]:
    for match in _IMAGE.finditer(text):
        address = match[1] or match[2]
        slots = [next(part for part in slot.groups() if part) for slot in _SLOT.finditer(address)]
        if not slots or places.riskiest([address.split("{")[0].split("$")[0].split("<")[0]]) == "local":
            continue
        private = next((slot for slot in slots if _PRIVATE.search(slot)), None)
        severity: Severity = "high" if private else "low"
        what = f"`{private[:40]}`" if private else "what is filled in"
        why = f"an image whose address carries {what}: showing it sends that"
        yield _found("url-exfiltration", severity, name, text, number, match.start(), why)
    if match := _SENDS_IN_ADDRESS.search(text):
        why = "has private text put into an address, which whoever serves it reads"
        yield _found("url-exfiltration", "medium", name, text, number, match.start(), why)


def _memory(name: str, text: str, number: int) -> Iterator[Finding]:
    for match in _TO_MEMORY.finditer(text):
        target = text[match.end() : match.end() + 60].split("\n")[0]
        steers_all = places.SOUL_FILES.search(target) or places.AGENT_HOME.search(target)
        if steers_all or places.PROJECT_MEMORY.search(target):
            severity: Severity = "medium" if steers_all else "info"
            why = "has a file changed that steers the agent in later sessions"
            yield _found("agent-config", severity, name, text, number, match.start(), why)
            return


def _found(rule: str, severity: Severity, name: str, text: str, number: int, at: int, why: str) -> Finding:
    line = text.count("\n", 0, at)
    return Finding(rule, severity, name, number + line, excerpt(text.split("\n")[line].strip()), why)
