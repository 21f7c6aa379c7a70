"""Markdown as an agent and its host read it: code to run, text that is not shown, commands expanded at load.

A mention is no finding. What counts is a command that somebody is told to run, a comment that speaks to the
model, and `!cmd`, which some hosts run before anybody has read the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from audit_rules import commands, prose, python_code
from audit_rules.finding import Finding, Severity, bounded, excerpt, lowered
from audit_rules.tree import TextFile

_FENCE = re.compile(r"\s*(?:[-*+>]\s+|\d+[.)]\s+)*(```+|~~~+)\s*(.*)$")
_HEADING = re.compile(r"#{1,6}\s+(.*)")
_INLINE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_SHELL_TAGS = frozenset({
    "bash", "sh", "shell", "zsh", "console", "terminal", "shellsession", "shell-session", "powershell", "ps1",
    "pwsh", "cmd", "bat", "text", "",
})  # fmt: skip
_FORBIDS = re.compile(
    r"(?i)\b(?:never|don'?t|do\s+not|avoid|refuse\s+to|must\s+not|reject)\s+(?:ever\s+|blindly\s+)?(?:run|us|execut|pip|past|trust|install|allow|download)\w*"
)
_WARNING = re.compile(
    rf"{_FORBIDS.pattern}|\b(?:malicious|dangerous|suspicious|red\s+flags?|unsafe|insecure|exfiltrat\w*|attack(?:er|s)?|anti-?patterns?|vulnerab\w+|compromis\w+)\b|[❌🚫⛔]"
)
_ORDERS = re.compile(
    r"(?i)\b(?:ignore|disregard|forget)\s+(?:all\s+|any\s+)?(?:of\s+)?(?:your\s+|the\s+|previous\s+|prior\s+|earlier\s+)+(?:instructions|rules|prompts?|guidelines)"
    r"|\b(?:do\s+not|don'?t|never|without)\s+(?:tell|telling|inform|informing|alert|alerting|notify|notifying|mention(?:ing)?\s+(?:this|it)\s+to|ask(?:ing)?)\s+(?:this\s+to\s+)?the\s+user\s+(?:about|of|that)"
)
# `silently` is said of caches and errors too: it counts right before what somebody is told to do.
_SECRETLY = re.compile(
    r"(?i)(?<!can )(?<!could )(?<!may )(?<!might )(?<!would )(?<!will )(?<!never )(?<!not )\b(?:silently|secretly|quietly)\s+"
    r"(?:(?!(?:an?|the|any|its|their|every)\b)\w+\s+){0,2}(?:send|upload|post|copy|run|execute|download|install|append|write)\b"
    r"|\bwithout\s+(?:telling|informing|asking)\s+(?:the\s+)?(?:user|anyone|anybody)\b[^.\n]{0,80}"
    r"\b(?:send|upload|post|copy|run|execute|download|install|append|write)\b"
    r"|\b(?:send|upload|post|copy|run|execute|download|install|append|write)\b[^.\n]{0,80}\bwithout\s+(?:telling|informing|asking)\s+(?:the\s+)?(?:user|anyone|anybody)\b"
)
_EXPANSION = re.compile(r"(?:^|(?<=\s))!`([^`\n]+)`")
_LOOKING_ONLY = re.compile(
    r"^\s*(?:git\s+(?:status|diff|log|branch|show|rev-parse|remote|config\s+--get|ls-files|describe|tag|stash\s+list)|gh\s+(?:pr|issue|repo|run)\s+(?:view|list|diff|status|checks)"
    r"|ls|pwd|date|whoami|uname|tree|wc|which|echo|test|find\s+[^|;&]*-name|(?:cat|head|tail)\s+[\w./-]+|\S+\s+--version)(?=\s|$)"
)
_BREAK = re.compile(r"\s*(?:[-*+]\s|\d+[.)]\s|#{1,6}\s|$)")
N_PARAGRAPH_LINES = 12
_CHAINED = re.compile(r"[;&|`]|\$\(")


@dataclass
class _Block:
    """A fenced block while it is read."""

    fence: str
    tag: str
    lines: list[tuple[int, str]] = field(default_factory=list)
    is_warned: bool = False


def markdown_findings(file: TextFile, first_line: int = 1) -> Iterator[Finding]:
    """What a Markdown text makes its reader run or hides from a person; `first_line` skips the frontmatter."""
    block: _Block | None = None
    before: list[str] = []  # heading in force, then the nearest lines of prose
    heading = ""
    paragraph: list[str] = []  # the lines of prose since the last empty one, or since a list's last mark
    for number, full_line in enumerate(file.lines, 1):
        if number < first_line:
            continue
        line = bounded(full_line)
        fence = _FENCE.match(line)
        if paragraph and (
            fence or block is not None or _BREAK.match(line) or len(paragraph) >= N_PARAGRAPH_LINES
        ):
            yield from _asked(file.name, paragraph, number - len(paragraph), heading, before)
            paragraph = []
        if block is None and not fence and line.strip():
            paragraph.append(line)
        if block is not None:
            if fence and fence[1].startswith(block.fence) and not fence[2].strip():
                yield from _block_findings(file, block)
                block = None
            else:
                block.lines.append((number, line))
        elif fence:
            is_warned = _warns(heading, *before[-2:])
            block = _Block(
                fence[1], fence[2].strip().lower().split(" ")[0].split("{")[0], is_warned=is_warned
            )
        else:
            heading = match[1] if (match := _HEADING.match(line)) else heading
            yield from _prose_findings(file, number, line, is_warned=_warns(heading, line, *before[-1:]))
            before = [*before[-2:], line] if line.strip() else before
    if block is not None:
        yield from _block_findings(file, block)
    if paragraph:
        yield from _asked(file.name, paragraph, len(file.lines) + 1 - len(paragraph), heading, before)
    yield from _hidden_orders(file)


def _asked(name: str, lines: list[str], number: int, heading: str, before: list[str]) -> Iterator[Finding]:
    """What a paragraph asks its reader to do; less where it warns. Not nothing: `this is not malicious` warns too."""
    around = (heading, *before[:1], *lines)
    n_steps = 2 if any(map(_FORBIDS.search, around)) else 1 if _warns(*around) else 0
    for found in prose.prose_findings(name, "\n".join(lines), number):
        yield replace(found, severity=lowered(found.severity, n_steps))


def _warns(*texts: str) -> bool:
    return any(_WARNING.search(text) for text in texts)


def _block_findings(file: TextFile, block: _Block) -> Iterator[Finding]:
    if block.tag == "!":
        for number, line in commands.logical_lines(block.lines):
            yield from _expansion_findings(file.name, number, line)
    elif block.tag in ("python", "py", "python3"):
        source = "\n".join(line for _, line in block.lines)
        first = block.lines[0][0] if block.lines else 0
        for found in python_code.python_findings(TextFile(file.name, "python", source), is_example=True):
            severity = lowered(found.severity, 1 + block.is_warned)
            yield Finding(found.rule, severity, found.file, first + found.line - 1, found.excerpt, found.why)
    elif block.tag in _SHELL_TAGS:
        lines = [(number, re.sub(r"^\s*[$>%#]\s+", "", line)) for number, line in block.lines]
        yield from commands.command_findings(
            commands.Command(text, file.name, number, "example", block.is_warned)
            for number, text in commands.logical_lines(lines)
        )


def _prose_findings(file: TextFile, number: int, line: str, *, is_warned: bool) -> Iterator[Finding]:
    for match in _EXPANSION.finditer(line):
        yield from _expansion_findings(file.name, number, match[1])
    spans = [match[2] for match in _INLINE.finditer(line)]
    yield from commands.command_findings(
        commands.Command(span.strip(), file.name, number, "example", is_warned) for span in spans
    )
    yield from commands.running_findings(
        commands.Command(line.replace("`", " "), file.name, number, "example", is_warned)
    )


def _expansion_findings(name: str, number: int, text: str) -> Iterator[Finding]:
    found = list(commands.command_findings([commands.Command(text, name, number, "expansion")]))
    yield from found
    if found:
        return
    looks_only = _LOOKING_ONLY.match(text) and not _CHAINED.search(text)
    severity: Severity = "info" if looks_only else "medium"
    yield Finding(
        "command-expansion",
        severity,
        name,
        number,
        excerpt(text),
        "some hosts run `!cmd` before the model reads the text",
    )


def _hidden_orders(file: TextFile) -> Iterator[Finding]:
    """Orders to the model that a person does not see, or is not meant to hear of."""
    comments = [
        (match.start(), match.end()) for match in re.finditer(r"<!--.*?(?:-->|\Z)", file.text, re.DOTALL)
    ]
    for match in [*_ORDERS.finditer(file.text), *_SECRETLY.finditer(file.text)]:
        line_start = file.text.rfind("\n", 0, match.start()) + 1
        line_end = file.text.find("\n", match.end())
        line = file.text[line_start : line_end if line_end >= 0 else None]
        is_hidden = any(start <= match.start() < end for start, end in comments)
        severity: Severity = (
            "high" if is_hidden else "low" if _warns(line) or _is_quoted(line, match[0]) else "medium"
        )
        why = (
            "an order to the model in a comment, which a page does not show"
            if is_hidden
            else "an order to keep something from the user"
        )
        number = file.text.count("\n", 0, match.start()) + 1
        yield Finding("hidden-instruction", severity, file.name, number, excerpt(line.strip()), why)


def _is_quoted(line: str, text: str) -> bool:
    return bool(re.search("[\"'`\u201c\u2018][^\"'`\u201d\u2019]*" + re.escape(text), line))
