"""What JavaScript and TypeScript do, as far as patterns can tell; there is no parser in the standard library."""

from __future__ import annotations

import re
from collections.abc import Iterator

from audit_rules import commands, places
from audit_rules.finding import Finding, Severity, bounded, excerpt, is_test, lowered
from audit_rules.tree import TextFile

_NETWORK = re.compile(
    r"\bfetch\s*\(|\baxios\b|\bXMLHttpRequest\b|(?:require\(|from\s+|import\()\s*[\"'](?:node:)?(?:https?|net|tls|dgram|http2|undici|node-fetch|got|axios|ws)[\"']"
)
_VARIABLE = re.compile(
    r"process\.env\.([A-Z_][A-Z0-9_]*)|process\.env\[[\"']([A-Z_][A-Z0-9_]*)[\"']\]|Deno\.env\.get\([\"']([A-Z_][A-Z0-9_]*)[\"']\)"
)
_RUNS_DECODED = re.compile(
    r"\b(?:eval|Function)\s*\(\s*(?:atob\s*\(|Buffer\.from\s*\([^)]*[\"'](?:base64|hex)[\"']|unescape\s*\()"
)
_SHELL_STRING = re.compile(
    r"\b(?:exec|execSync|spawn|spawnSync|execFile|execFileSync|execa|execaCommand)\s*\(\s*([\"'`])(?P<text>(?:\\.|(?!\1)[^\\])*)\1"
)
_OPENS = re.compile(
    r"\b(?:readFile|readFileSync|createReadStream|readdir|readdirSync|copyFile|copyFileSync|join|resolve|Bun\.file|readTextFile)\s*\((?P<arguments>[^;\n]*)"
)
_WRITES = re.compile(
    r"\b(?:writeFile|writeFileSync|appendFile|appendFileSync|createWriteStream|writeTextFile)\s*\((?P<arguments>(?:path\.)?(?:join|resolve)\s*\((?:[^()\n]|\([^()\n]*\)){1,300}\)|[^,;\n]*)"
)
_SENDS_ENVIRONMENT = re.compile(r"JSON\.stringify\s*\(\s*(?:\{\s*\.\.\.)?process\.env\b(?!\s*[.\[])")
_COMMENT = re.compile(r"^\s*(?://|\*|/\*)")
_TEXT = re.compile(r"[\"'`]([^\"'`\n]*)[\"'`]")


def network_line(file: TextFile) -> int:
    """The first line that uses the network, or 0."""
    return next((number for number, line in _code(file) if _NETWORK.search(line)), 0)


def variables(file: TextFile) -> dict[str, int]:
    """Environment variables that are read by a literal name, with the line of the first use."""
    found: dict[str, int] = {}
    for number, line in _code(file):
        for match in _VARIABLE.finditer(line):
            found.setdefault(match[1] or match[2] or match[3], number)
    return found


def javascript_findings(file: TextFile) -> Iterator[Finding]:
    """Code that runs decoded text, reads or sends secrets, or changes an agent's files."""
    has_network = bool(network_line(file))
    for number, line in _code(file):
        for rule, severity, start, why in _in_line(line, has_network=has_network):
            if is_test(file.name) and rule in ("agent-config", "secret-access", "persistence"):
                severity = lowered(severity)
            yield Finding(rule, severity, file.name, number, excerpt(line, start), why)
        yield from commands.command_findings(
            commands.Command(match["text"], file.name, number, "script")
            for match in _SHELL_STRING.finditer(line)
        )


def _in_line(line: str, *, has_network: bool) -> Iterator[tuple[str, Severity, int, str]]:
    if match := _RUNS_DECODED.search(line):
        yield (
            "encoded-payload",
            "high",
            match.start(),
            "decodes a text and runs it, so that it can't be read before",
        )
    if has_network and (match := _SENDS_ENVIRONMENT.search(line)):
        yield (
            "exfiltration",
            "high",
            match.start(),
            "packs all environment variables, keys among them, in a file that uses the network",
        )
    for match in _OPENS.finditer(line):
        path = _path(match["arguments"])
        if places.SECRET_PATH.search(path) or places.AGENT_SECRET.search(path):
            why = "reads a file of secrets" + (", in a file that uses the network" if has_network else "")
            yield "secret-access", "high" if has_network else "medium", match.start(), why
            break
    for match in _WRITES.finditer(line):
        path = _path(match["arguments"])
        steers_all = places.AGENT_HOME.search(path) or places.SOUL_FILES.search(path)
        if steers_all or places.PROJECT_MEMORY.search(path):
            why = "changes a file that steers the agent in later sessions"
            yield "agent-config", "high" if steers_all else "medium", match.start(), why
        elif places.STARTUP.search(path):
            yield "persistence", "medium", match.start(), "changes what the machine runs by itself"


def _code(file: TextFile) -> Iterator[tuple[int, str]]:
    return ((number, bounded(line)) for number, line in enumerate(file.lines, 1) if not _COMMENT.match(line))


def _path(arguments: str) -> str:
    return "/" + "/".join(_TEXT.findall(arguments))
