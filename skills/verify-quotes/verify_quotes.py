"""Whether every quoted passage of a report really stands in its sources.

A passage is `exact`, `normalised` (found when blanks, quotes, dashes and invisible characters are made equal) or
`missing`. As a program: `python verify_quotes.py REPORT --sources FILE...` prints JSON and exits 1 when a passage
is missing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

N_SOURCE_BYTES = 16 * 1024 * 1024
N_SOURCES = 5_000
SKIPPED_FOLDERS = frozenset({".git", "node_modules", "__pycache__", ".venv"})

# Keys under which answers carry a passage and the file that it is from.
QUOTE_KEYS = ("quote", "excerpt", "passage")
SOURCE_KEYS = ("source", "file", "path")

_QUOTED = re.compile(
    '\u201c([^\u201d]+)\u201d|\u201e([^\u201c\u201d]+)[\u201c\u201d]|\u00ab([^\u00bb]+)\u00bb|(?<![\\w"])"([^"]+)"(?!\\w)'
)
_BLOCK_QUOTE = re.compile(r" {0,3}> ?(.*)")
_FENCED = re.compile(r"^( {0,3})(```+|~~~+).*?^ {0,3}\2[`~]*[ \t]*$", re.DOTALL | re.MULTILINE)
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)")
_ELISION = re.compile(r"\s*(?:\[\s*(?:…|\.\.\.)\s*\]|\(\s*(?:…|\.\.\.)\s*\)|…|\.\.\.)\s*")
_ALIKE = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    }
)
# What no reader sees: controls, formats (joiners, bidi marks, tags), halves of pairs, private use, selectors.
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co"})


@dataclass(frozen=True)
class Passage:
    """A quoted text and, where the report says so, the file that it is from."""

    text: str
    source: str = ""


@dataclass
class Source:
    """A text that passages are looked for in. Its normalised form is made when first needed."""

    name: str
    text: str
    _normal: tuple[str, array[int]] | None = field(default=None, repr=False)

    def normal(self) -> tuple[str, array[int]]:
        """The normalised text and, for each of its characters, the offset of the original one."""
        if self._normal is None:
            self._normal = normalised(self.text)
        return self._normal

    def line_of(self, offset: int) -> int:
        """The 1-based line of a character."""
        return self.text.count("\n", 0, offset) + 1


def verify(report: Any, sources: Sequence[str], min_words: int = 3) -> dict[str, Any]:
    """Each quoted passage of the report, with where it stands in the sources or that it is missing.

    `report` is Markdown text, or any JSON value: an object with `quote`, `excerpt` or `passage` names a passage, and
    `source`, `file` or `path` beside it the file it must be in; other texts are read as Markdown. `sources` are
    files and folders. Quotes of fewer than `min_words` words in a text are taken for emphasis and left out.
    Raises FileNotFoundError when there are quotes and no source can be read.
    """
    texts = list(read_sources([Path(source) for source in sources]))
    found = list(passages(report, min_words))
    if found and not texts:
        raise FileNotFoundError(f"no readable source in {', '.join(sources) or 'an empty list'}")
    quotes = [_placed(passage, texts) for passage in found]
    counts = {
        status: sum(quote["status"] == status for quote in quotes)
        for status in ("exact", "normalised", "missing")
    }
    missing = [quote["quote"] for quote in quotes if quote["status"] == "missing"]
    return {
        "passed": not missing,
        "message": f"{len(missing)} of {len(quotes)} quotes are in no source: {missing[0][:200]}"
        if missing
        else "",
        "quotes": quotes,
        "counts": counts,
        "n_sources": len(texts),
    }


def passages(report: Any, min_words: int = 3) -> Iterator[Passage]:
    """The quoted passages of a report, in its order."""
    if isinstance(report, str):
        yield from (Passage(text) for text in _quoted_in(report) if len(text.split()) >= min_words)
    elif isinstance(report, list):
        for item in report:
            yield from passages(item, min_words)
    elif isinstance(report, dict):
        source = next((report[key] for key in SOURCE_KEYS if isinstance(report.get(key), str)), "")
        for key, value in report.items():
            if key in QUOTE_KEYS and isinstance(value, str):
                yield from [Passage(value, source)] if value.strip() else []
            elif key not in SOURCE_KEYS:
                yield from passages(value, min_words)


def normalised(text: str) -> tuple[str, array[int]]:
    """The text as passages are compared, and where each character comes from.

    Runs of blanks are one space, typographic quotes and dashes are the plain ones, invisible characters are left
    out, and so are the marks that Markdown puts before the lines of a quotation.
    """
    chars: list[str] = []
    offsets = array("Q")
    plain = text.translate(_ALIKE)
    quote_marks = {match.start(1) for match in re.finditer(r"(?m)^[ \t]*(>)", text)}
    for offset, char in enumerate(plain):
        if char.isspace():
            if chars and chars[-1] == " ":
                continue
            char = " "
        elif offset in quote_marks or _is_unseen(char):
            continue
        chars.append(char)
        offsets.append(offset)
    return "".join(chars), offsets


def _is_unseen(char: str) -> bool:
    if char.isascii():
        return not char.isprintable()
    is_selector = "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"
    return is_selector or unicodedata.category(char) in _UNSEEN


def read_sources(paths: Sequence[Path]) -> Iterator[Source]:
    """The text files that the paths name or hold; binary files and those above 16 MiB are left out."""
    n_read = 0
    for path in paths:
        for file in _files(path):
            data = _read(file)
            if data is None or b"\0" in data[:8192]:
                continue
            yield Source(file.as_posix(), data.decode("utf-8", errors="replace"))
            n_read += 1
            if n_read >= N_SOURCES:
                return


def main(arguments: list[str] | None = None) -> int:
    """The program: 0 when every passage is found, 1 when one is missing, 2 when something can't be read."""
    parser = argparse.ArgumentParser(description="Check that quoted passages are really in their sources.")
    parser.add_argument("report", help="a Markdown or JSON file; - reads standard input")
    parser.add_argument("--sources", nargs="+", required=True, help="files and folders that are quoted from")
    parser.add_argument("--min-words", type=int, default=3, help="shorter quotes are taken for emphasis")
    options = parser.parse_args(arguments)
    try:
        text = sys.stdin.read() if options.report == "-" else Path(options.report).read_text(encoding="utf-8")
        result = verify(_report(text), options.sources, options.min_words)
    except (OSError, UnicodeDecodeError) as error:
        print(f"verify_quotes: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result, indent=2, ensure_ascii=False))
    return 0 if result["passed"] else 1


def _report(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _quoted_in(text: str) -> Iterator[str]:
    """Block quotes and quoted passages of a Markdown text; code is no quotation."""
    prose: list[str] = []
    block: list[str] = []
    for line in [*_FENCED.sub("", text).split("\n"), ""]:
        match = _BLOCK_QUOTE.fullmatch(line)
        if match:
            block.append(match[1])
            continue
        yield from _block_passages(block)
        block = []
        prose.append(_CODE_SPAN.sub("", line))
    for paragraph in re.split(r"\n\s*\n", "\n".join(prose)):
        for match in _QUOTED.finditer(paragraph):
            yield next(group for group in match.groups() if group).strip()


def _block_passages(lines: Sequence[str]) -> Iterator[str]:
    """The paragraphs of a block quote, without a last line that names who said it."""
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        kept = re.sub(r"(?:^|\n)\s*(?:\u2014|\u2013|--)\s*[^\n]*\Z", "", paragraph).strip()
        if kept:
            yield kept


def _placed(passage: Passage, sources: Sequence[Source]) -> dict[str, Any]:
    named = (
        [source for source in sources if _is_named(source.name, passage.source)]
        if passage.source
        else sources
    )
    parts = [part for part in _ELISION.split(passage.text.strip()) if part] or [passage.text]
    for status, find in (("exact", _find_exact), ("normalised", _find_normalised)):
        for source in named:
            offset = find(parts, source)
            if offset is not None:
                return _quote(passage, status, source.name, source.line_of(offset))
    return _quote(passage, "missing", "", 0)


def _quote(passage: Passage, status: str, source: str, line: int) -> dict[str, Any]:
    return {"quote": passage.text, "status": status, "named": passage.source, "source": source, "line": line}


def _is_named(name: str, wanted: str) -> bool:
    plain = wanted.replace("\\", "/").removeprefix("./")
    return name == plain or name.endswith("/" + plain.lstrip("/"))


def _find_exact(parts: Sequence[str], source: Source) -> int | None:
    """Offset of the first part when all parts follow each other in the source."""
    return _in_order(parts, source.text)


def _find_normalised(parts: Sequence[str], source: Source) -> int | None:
    text, offsets = source.normal()
    wanted = [part for part in (normalised(part)[0].strip() for part in parts) if part]
    found = _in_order(wanted, text)
    if found is None and wanted:
        # A comma or full stop may stand inside the closing quote though the source goes on.
        found = _in_order([*wanted[:-1], wanted[-1].rstrip(",.;:!?") or wanted[-1]], text)
    return None if found is None else offsets[found]


def _in_order(parts: Sequence[str], text: str) -> int | None:
    first, place = None, 0
    for part in parts:
        found = text.find(part, place)
        if found < 0:
            return None
        first = found if first is None else first
        place = found + len(part)
    return first


def _files(path: Path) -> Iterator[Path]:
    try:
        if path.is_file():
            yield path
        elif path.is_dir():
            for child in sorted(path.iterdir()):
                if child.is_dir() and (child.is_symlink() or child.name in SKIPPED_FOLDERS):
                    continue
                yield from _files(child)
    except OSError:
        return


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes() if file.stat().st_size <= N_SOURCE_BYTES else None
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main())
