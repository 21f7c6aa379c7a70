"""What a command line does that a reader should know: download and run, decode and run, read or send secrets.

The same rules serve shell scripts, code blocks of Markdown, strings that Python or JavaScript give to a shell and
`!cmd` expansions. What differs is how surely the command is run, and that decides the severity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from audit_rules import places
from audit_rules.finding import Finding, Severity, bounded, excerpt, lowered
from audit_rules.startup import startup_change

Where = Literal["script", "example", "expansion"]

_GET = r"\b(?:curl|wget|aria2c|iwr|irm|invoke-webrequest|invoke-restmethod)\b"
_SHELL = r"(?:sudo\s+(?:-\S+\s+)*)?(?:\w+=\S+\s+)*(?:/usr)?(?:/bin/)?(?:env\s+)?(?:ba|z|da|k)?sh\b(?!\s+-c\b)(?![-.\w]*/)"
# `| python3 -c ...` and `| python3 -m json.tool` read the stream as data; a bare interpreter runs it.
_INTERPRETER = r"(?:sudo\s+)?(?:python[23]?|perl|ruby|node|php)\b\s*-?\s*(?=$|[;&|)\"'`])"
_RUN = rf"(?:{_SHELL}|{_INTERPRETER})"
_HERE_DOCUMENT = re.compile(r"<<-?\s*([\"']?)(\w+)\1")
_FED_TO_SHELL = re.compile(rf"(?:^|[;&|]\s*){_SHELL}[^;&|]*<<|<<[^|]*\|\s*{_RUN}")
_SAYS = re.compile(
    r"(?:>&2\s*)?(?:echo|printf|print|say|die|fail|abort|warn|warning|error|err|info|log\w*|note|msg|usage)\b"
)
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'")
_DECODE = r"(?:base64\s+(?:-\w+\s+)*(?:-d|-D|--decode)\b|openssl\s+(?:enc\s+)?-?base64\s+-d\b|xxd\s+(?:-\w+\s+)*-r\b|base32\s+-d\b)"

_DOWNLOAD_AND_RUN = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_GET}[^\n;]*?\|\s*{_RUN}",
        rf"(?:(?:ba|z|da|k)?sh|source|\.|eval)\s+<\(\s*{_GET}",
        rf"(?:(?:ba|z|da|k)?sh\s+-\w*c|eval|python[23]?\s+-c)\s+[\"']?(?:\$\(|`)\s*{_GET}",
        rf"{_GET}[^\n]*?\|\s*(?:iex|invoke-expression)\b",
        rf"\b(?:iex|invoke-expression)\b[^\n]*(?:{_GET}|downloadstring)",
        r"python[23]?\s+-c\b[^\n]*\b(?:exec|eval|os\.system)\s*\([^\n]*(?:urlopen|requests\.get|urlretrieve)",
        r"python[23]?\s+-c\b[^\n]*(?:urlopen|requests\.get|urlretrieve)[^\n]*\b(?:exec|eval|os\.system)\s*\(",
        r"node\s+-e\b[^\n]*(?:fetch|https?\.get)\([^\n]*\beval\(",
    )
]
_GET_TO_FILE = re.compile(rf"{_GET}[^\n|;&]*", re.IGNORECASE)
_RUN_FILE = r"(?:^|[;&|]\s*|\bthen\s+|&&\s*)(?:sudo\s+)?(?:(?:(?:ba|z|da|k)?sh|source|python[23]?|node|perl)\s+(?:\./)?|(?=\.?/|~/|\$HOME/|\$TMPDIR/|\"?\$\{?HOME))(?P<file>[\"${}\w./~-]+)"
_ENCODED = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"{_DECODE}[^\n;]*?\|\s*(?:[^|\n]*\|\s*)?{_RUN}",
        rf"(?:(?:ba|z|da|k)?sh\s+-\w*c|eval|source|(?:ba|z)?sh)\s+[\"']?(?:\$\(|`|<\()[^\n]*{_DECODE}",
        r"\b(?:powershell|pwsh)(?:\.exe)?\b[^\n]*\s-e(?:nc(?:odedcommand)?)?\s+[A-Za-z0-9+/=]{16,}",
        r"python[23]?\s+-c\b[^\n]*\b(?:exec|eval)\s*\([^\n]*(?:b64decode|decompress|fromhex)",
        r"node\s+-e\b[^\n]*\b(?:eval|Function)\s*\([^\n]*(?:atob|base64)",
        r"perl\s+-\w*e\b[^\n]*eval[^\n]*decode_base64",
    )
]
_BLOB = re.compile(r"[A-Za-z0-9+/=]{20,}|(?:\\x[0-9a-f]{2}){8,}", re.IGNORECASE)
_SEND = re.compile(r"\b(?:curl|wget|nc|ncat|netcat)\b", re.IGNORECASE)
_SEND_FILE = re.compile(
    r"(?:-d|--data(?:-binary|-raw|-urlencode)?|-F|--form|-T|--upload-file|--post-file)[\s=]*[\"']?(?:\w+=)?@?[\"']?(?P<what>[^\s\"']+)"
)
_ASKS_NAMES = re.compile(r"\b(?:dig|nslookup|drill)\s[^\n;|&]*\$[\w({]")
_PACKS = re.compile(r"\b(?:xxd|base64|base32|hexdump|od)\b")
_UNPACKS = re.compile(r"\b(?:7z[azr]?\s+[xe]|unrar\s+[xe]|unzip)\b(?P<rest>[^\n;&|]*)")
_PASSWORD = re.compile(r"\s-(?:p(?=\S)|P\s*)[\"']?[^\s$\"'-]{3,}")
_READ = re.compile(
    r"\b(?:cat|cp|mv|tar|zip|base64|head|tail|less|more|strings|openssl|gpg\s+--export-secret\S*|scp|rsync|jq|grep|source)\b|<"
)
# A key that a command identifies itself with is used, not looked at.
_IDENTIFIES = re.compile(r"(?:\s-i|--key|--cert|--netrc-file|--cacert|IdentityFile)[\s=]*[\"']?[~$\w{}/.]*$")
_KEYCHAIN = re.compile(
    r"\bsecurity\s+(?:dump-keychain|find-(?:generic|internet)-password\b[^\n]*-[gw]\b)|\bsecret-tool\s+lookup\b"
)
_ENVIRONMENT = re.compile(
    r"(?:^|[\s;&|(`])(?:printenv|env|export\s+-p|set)\s*(?:\|[^\n]*?)?\|[^\n|]*\b(?:curl|nc|ncat|wget)\b|(?:curl|wget)\b[^\n]*(?:\$\(|`)\s*(?:printenv|env)\s*(?:\||\)|`)"
)
_WRITE = re.compile(
    r">>?\s*[\"']?(?P<redirect>[^\s\"';|&]+)|\btee\s+(?:-a\s+)?[\"']?(?P<tee>[^\s\"';|&]+)|\b(?:sed|perl)\s+-\w*i\b(?P<edit>[^\n;|&]*)|\b(?:cp|mv|install|ln)\s+(?P<copy>[^\n;|&]+)"
)


@dataclass(frozen=True)
class Command:
    """One logical command line, where it stands, and whether the text around it warns against it."""

    text: str
    file: str
    line: int
    where: Where
    is_warned: bool = False

    def finding(self, rule: str, severity: Severity, start: int, why: str) -> Finding:
        """A finding in this command, one step milder where the text itself warns."""
        shown = lowered(severity) if self.is_warned else severity
        return Finding(rule, shown, self.file, self.line, excerpt(self.text, start), why)


def command_findings(commands: Iterable[Command]) -> Iterator[Finding]:
    """What the command lines of one script or code block do, in their order."""
    downloaded: dict[str, str] = {}
    for command in commands:
        yield from _runs_a_download(command, downloaded)
        yield from _runs_decoded_text(command)
        yield from _touches_secrets(command)
        yield from _edits_agent(command)
        yield from _stays(command)


def script_commands(name: str, lines: Iterable[tuple[int, str]]) -> Iterator[Command]:
    """The command lines of a shell script. What it only prints, or writes as a here document, is an example."""
    end = ""
    body_runs = False
    for number, text in logical_lines(lines):
        if end:
            if text.strip() == end:
                end = ""
            else:
                yield Command(text, name, number, "script" if body_runs else "example")
            continue
        if match := _HERE_DOCUMENT.search(text):
            end, body_runs = match[2], bool(_FED_TO_SHELL.search(text))
        yield Command(text, name, number, "example" if _only_says(text) else "script")


def running_findings(command: Command) -> Iterator[Finding]:
    """Only what is run unseen: for prose, where a path or a file name is no command."""
    yield from _runs_a_download(command, {})
    yield from _runs_decoded_text(command)


def logical_lines(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Lines with backslash continuations joined, without comment lines; numbered by where each begins."""
    begin, joined = 0, ""
    for number, line in lines:
        if not joined and line.lstrip().startswith("#"):
            continue
        begin = begin if joined else number
        if line.rstrip().endswith("\\"):
            joined += line.rstrip()[:-1] + " "
            continue
        yield begin, bounded(joined + line).strip()
        joined = ""
    if joined:
        yield begin, bounded(joined).strip()


def _only_says(text: str) -> bool:
    """Whether a line prints its quoted texts and does nothing else."""
    return bool(_SAYS.match(text)) and not re.search(
        r"[|;&<>`]|\$\(", _QUOTED.sub("", text).replace(">&2", "")
    )


def _runs_a_download(command: Command, downloaded: dict[str, str]) -> Iterator[Finding]:
    text = command.text
    for pattern in _DOWNLOAD_AND_RUN:
        if match := pattern.search(text):
            severity = _download_severity(command.where, text)
            if severity:
                yield command.finding(
                    "download-and-run", severity, match.start(), "runs what it downloads, unseen"
                )
            return
    for match in _GET_TO_FILE.finditer(text):
        downloaded.update(_saved_as(match[0], text))
    for match in _UNPACKS.finditer(text):
        names = {word.strip("\"'").rsplit("/", 1)[-1] for word in match["rest"].split()}
        if names & downloaded.keys() and _PASSWORD.search(match["rest"]):
            why = "a download in an archive with a password, which keeps scanners out"
            yield command.finding("locked-archive", "high", match.start(), why)
    for match in re.finditer(_RUN_FILE, text):
        name = match["file"].rsplit("/", 1)[-1].rstrip('"')
        if name in downloaded:
            severity = _download_severity(command.where, downloaded.pop(name))
            if severity:
                yield command.finding(
                    "download-and-run", severity, match.start(), f"runs `{name}`, which it downloaded"
                )


def _download_severity(where: Where, text: str) -> Severity | None:
    """How bad it is to run what comes from there. None where it comes from this machine itself."""
    kind = places.riskiest(places.urls(text))
    if kind == "local":
        return None
    if kind == "risky":
        return "high"
    if kind == "known":
        return "low"
    if where == "example":
        return "medium" if kind == "plain" else "low"
    return "high" if kind == "plain" else "medium"


def _saved_as(download: str, command: str) -> dict[str, str]:
    """The name under which a download is kept, with the command that fetched it."""
    addresses = places.urls(download)
    option = re.search(
        r"(?:\s-o|\s-O|--output(?:-document)?|-OutFile)[\s=]+[\"']?([^\s\"']+)|>\s*([^\s\"']+)", download
    )
    name = (option[1] or option[2]) if option else ""
    if (not name or name.startswith(("http", "-"))) and addresses:
        name = addresses[0].split("?")[0].rstrip("/")
    name = name.rsplit("/", 1)[-1]
    return {name: command} if name else {}


def _runs_decoded_text(command: Command) -> Iterator[Finding]:
    for pattern in _ENCODED:
        if match := pattern.search(command.text):
            has_blob = bool(_BLOB.search(command.text))
            severity: Severity = "high" if has_blob or command.where != "example" else "medium"
            yield command.finding(
                "encoded-payload",
                severity,
                match.start(),
                "decodes a text and runs it, so that it can't be read before",
            )
            return


def _touches_secrets(command: Command) -> Iterator[Finding]:
    text = command.text
    if match := _ENVIRONMENT.search(text):
        yield command.finding(
            "exfiltration", "high", match.start(), "sends all environment variables, keys among them"
        )
        return
    secret = places.SECRET_PATH.search(text) or places.AGENT_SECRET.search(text)
    if secret and _IDENTIFIES.search(text[: secret.start() + 1]):
        secret = None
    asked = _ASKS_NAMES.search(text)
    if asked and (secret or _PACKS.search(text)):
        why = "asks for a name that holds data, which whoever serves the domain reads"
        yield command.finding("exfiltration", "high" if secret else "medium", asked.start(), why)
    elif secret and _is_sent(text, secret.start()):
        yield command.finding(
            "exfiltration", "high", secret.start(), "sends a file of secrets to another host"
        )
    elif any(
        places.DOTENV.search(" " + sent["what"].lstrip("@")) for sent in _SEND_FILE.finditer(text)
    ) and _SEND.search(text):
        yield command.finding("exfiltration", "high", 0, "sends `.env` to another host")
    elif secret and _READ.search(text[: secret.start() + 1]):
        severity: Severity = "low" if command.where == "example" else "medium"
        yield command.finding("secret-access", severity, secret.start(), "reads a file of secrets")
    elif match := _KEYCHAIN.search(text):
        dumps = "dump-keychain" in match[0]
        severity = "high" if dumps else "low"
        yield command.finding(
            "secret-access", severity, match.start(), "reads secrets out of the system's key store"
        )


def _is_sent(text: str, position: int) -> bool:
    """Whether the secret is what a network command sends."""
    sender = _SEND.search(text)
    if not sender:
        return False
    before = text[:position]
    if any(sent.start("what") <= position + 1 <= sent.end("what") for sent in _SEND_FILE.finditer(text)):
        return True
    piped = sender.start() > position and "|" in text[position : sender.start()]
    as_header = re.search(r"(?:Bearer|token|Authorization)[^|]*$", before, re.IGNORECASE)
    substituted = sender.start() < position and re.search(r"(?:\$\(|`)[^)`]*$", before) and not as_header
    redirected = sender.start() < position and re.search(r"<\s*[~$\w{}/.\"']*$", before)
    return bool(piped or substituted or redirected)


def _edits_agent(command: Command) -> Iterator[Finding]:
    for match in _WRITE.finditer(command.text):
        target = (
            match["redirect"] or match["tee"] or match["edit"] or (match["copy"] or " ").split()[-1:] or ""
        )
        target = target[0] if isinstance(target, list) else target
        steers_all = places.AGENT_HOME.search(target) or places.SOUL_FILES.search(target)
        if not steers_all and not places.PROJECT_MEMORY.search(target):
            continue
        severity: Severity = "high" if steers_all else "medium"
        severity = lowered(severity) if command.where == "example" else severity
        yield command.finding(
            "agent-config", severity, match.start(), "changes a file that steers the agent in later sessions"
        )
        return


def _stays(command: Command) -> Iterator[Finding]:
    if change := startup_change(command.text):
        severity = lowered(change[0]) if command.where == "example" else change[0]
        yield command.finding("persistence", severity, change[1], "changes what the machine runs by itself")
