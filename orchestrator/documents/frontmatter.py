"""A Markdown text, cut into its YAML frontmatter and its body, with the lines both start on."""

from __future__ import annotations

from dataclasses import dataclass

FENCE = "---"


@dataclass(frozen=True, slots=True)
class Parts:
    """`frontmatter` is None where there is none; lines are 1-based, in the text as it was given."""

    frontmatter: str | None
    body: str
    frontmatter_line: int = 1  # of the first line below the opening `---`
    body_line: int = 1
    closed: bool = True


def normalised(text: str) -> str:
    """The text without byte order mark and with LF line ends, so that every host reads the same."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def split(text: str) -> Parts:
    """The parts of a normalised text. Blank lines may stand above the opening `---`.

    Frontmatter that is never closed has all the rest as its text, an empty body, and `closed` False.
    """
    lines = text.split("\n")
    start = next((number for number, line in enumerate(lines) if line.strip()), None)
    if start is None or lines[start].rstrip() != FENCE:
        return Parts(None, text)
    for number in range(start + 1, len(lines)):
        if lines[number].rstrip() == FENCE:
            return Parts(
                frontmatter="\n".join(lines[start + 1 : number]),
                body="\n".join(lines[number + 1 :]),
                frontmatter_line=start + 2,
                body_line=number + 2,
            )
    return Parts(
        "\n".join(lines[start + 1 :]), "", frontmatter_line=start + 2, body_line=len(lines), closed=False
    )
