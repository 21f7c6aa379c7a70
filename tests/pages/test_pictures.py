"""The pictures in the documents are made by a tool, and are there."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from screenshots import PICTURES, make

ROOT = Path(__file__).parents[2]


def size_of(path):
    """Width and height of a PNG (ISO/IEC 15948, 11.2.2)."""
    return struct.unpack(">II", path.read_bytes()[16:24])


def test_pictures_can_be_made_and_are_those_of_the_documents(browser, tmp_path):
    make(browser, tmp_path / "work", tmp_path / "pictures")
    wanted = {picture.name: (picture.width, picture.height) for picture in PICTURES}
    assert {path.name: size_of(path) for path in (tmp_path / "pictures").iterdir()} == wanted
    assert {path.name: size_of(path) for path in (ROOT / "docs" / "pictures").iterdir()} == wanted


def test_pictures_are_shown_somewhere_and_small():
    texts = [path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))]
    shown = {Path(name).name for text in texts for name in re.findall(r"!\[[^\]]*\]\(([^)]+\.png)\)", text)}
    assert shown == {picture.name for picture in PICTURES}
    assert all(path.stat().st_size < 150_000 for path in (ROOT / "docs" / "pictures").iterdir())
