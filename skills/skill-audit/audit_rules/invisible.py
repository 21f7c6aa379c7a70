"""Text that a person does not see and a model reads: tag characters, bidi controls, hidden bits in joiners.

Most invisible characters are honest: a joiner inside an emoji or a Persian word, a variation selector after an
emoji, a mark in a line of Hebrew. Only what no writing system needs is `high`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from audit_rules.finding import Finding, Severity, excerpt
from audit_rules.tree import TextFile

# An emoji flag of a region is a black flag, tag letters and a cancel tag (Unicode TR51, ED-14a).
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e007a]{1,8}\U000e007f")
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_SELECTOR_RUN = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_ZERO_WIDTH_RUN = re.compile("[\u200b-\u200d\u2060-\u2064\ufeff]{6,}")
_BIDI_OVERRIDE = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ZERO_WIDTH = re.compile("[\u200b\u2060-\u2064\ufeff\u180e\u3164\u115f\u1160\uffa0]")
_TERMINAL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\x9b]")
_SUSPECT = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f\x9b\u115f\u1160\u180e\u200b-\u200d\u202a-\u202e\u2060-\u2069\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\U000e0000-\U000e01ef]"
)
_CODE = frozenset({"python", "javascript", "shell"})


def invisible_text(file: TextFile) -> Iterator[Finding]:
    """Every line that holds text which is not shown."""
    if not _SUSPECT.search(file.text):
        return
    for number, line in enumerate(file.lines, 1):
        for severity, start, why in _in_line(line, is_code=file.kind in _CODE):
            yield Finding("invisible-text", severity, file.name, number, excerpt(line, start), why)


def _in_line(line: str, *, is_code: bool) -> Iterator[tuple[Severity, int, str]]:
    if match := _TAGS.search(_FLAG.sub("", line)):
        said = "".join(chr(ord(char) - 0xE0000) for char in match[0] if 0xE0020 <= ord(char) < 0xE007F)
        yield (
            "high",
            match.start(),
            f"{len(match[0])} Unicode tag characters, which hide the text `{said[:80]}`",
        )
    for pattern, what in ((_SELECTOR_RUN, "variation selectors"), (_ZERO_WIDTH_RUN, "zero-width characters")):
        if match := pattern.search(line):
            yield "high", match.start(), f"{len(match[0])} {what} in a row, which can carry hidden bytes"
            return
    if match := _BIDI_OVERRIDE.search(line):
        yield (
            _bidi_severity(line, is_code=is_code),
            match.start(),
            f"{_named(match[0])}: shown in another order than read",
        )
    elif match := _ZERO_WIDTH.search(line):
        yield "low", match.start(), f"{_named(match[0])}: not shown; often a leftover of copied text"
    if match := _TERMINAL.search(line):
        yield (
            "medium",
            match.start(),
            f"a control character (U+{ord(match[0]):04X}), which can rewrite a terminal",
        )


def _bidi_severity(line: str, *, is_code: bool) -> Severity:
    # In a line of Arabic or Hebrew the isolates and embeddings do their proper work.
    if any(unicodedata.bidirectional(char) in ("R", "AL") for char in line):
        return "low"
    return "high" if is_code else "medium"


def _named(char: str) -> str:
    return f"U+{ord(char):04X} {unicodedata.name(char, 'without a name').lower()}"
