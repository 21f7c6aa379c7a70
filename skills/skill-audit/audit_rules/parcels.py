"""What is in a skill beside readable text: links, programs, archives, lines too long to read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from audit_rules.finding import Finding, Severity, excerpt
from audit_rules.tree import BinaryFile, Link, TextFile

N_LINE_CHARS = 2_000
N_BLOB_CHARS = 1_000

_PROGRAMS = {
    b"\x7fELF": "a Linux program",
    b"MZ": "a Windows program",
    b"\xcf\xfa\xed\xfe": "a macOS program",
    b"\xce\xfa\xed\xfe": "a macOS program",
    b"\xca\xfe\xba\xbe": "a macOS program or Java class",
    b"\0asm": "a WebAssembly program",
}
_ARCHIVES = (
    ".zip",
    ".tar",
    ".gz",
    ".tgz",
    ".xz",
    ".bz2",
    ".7z",
    ".rar",
    ".dmg",
    ".pkg",
    ".deb",
    ".rpm",
    ".msi",
    ".jar",
    ".whl",
    ".skill",
)
_HARMLESS = (
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".ico", ".bmp", ".tiff", ".avif", ".heic", ".pdf", ".ttf", ".otf", ".woff", ".woff2", ".eot",
    ".mp3", ".mp4", ".wav", ".m4a", ".ogg", ".webm", ".mov", ".docx", ".xlsx", ".pptx", ".odt", ".epub", ".sqlite", ".db", ".npy", ".parquet",
)  # fmt: skip
_BLOB = re.compile(rf"[A-Za-z0-9+/=_-]{{{N_BLOB_CHARS},}}")
_DATA_ADDRESS = re.compile(r"data:(?:image|font|audio|video)/[\w.+-]+;base64,[A-Za-z0-9+/=]+")
_SYSTEM_TARGET = re.compile(
    r"^(?:~|/(?:etc|root|home|Users|var|proc|sys|dev)\b)|\.(?:ssh|aws|gnupg|claude|openclaw|clawdbot)\b"
)


def link_finding(link: Link) -> Finding | None:
    """A link that leaves the skill: whoever copies or reads the folder gets something else than it shows."""
    if link.leaves:
        severity: Severity = "high" if _SYSTEM_TARGET.search(link.target) else "medium"
        return Finding(
            "symlink", severity, link.name, 0, excerpt(link.target), "a link that leaves the skill's folder"
        )
    if link.is_broken:
        return Finding("symlink", "low", link.name, 0, excerpt(link.target), "a link that leads nowhere")
    return None


def binary_finding(file: BinaryFile) -> Finding | None:
    """A file that a person can't read: programs and archives by what they are, pictures and fonts not at all."""
    name = file.name.lower()
    program = next((what for magic, what in _PROGRAMS.items() if file.head.startswith(magic)), None)
    if program:
        return Finding("binary-file", "medium", file.name, 0, "", f"{program}; nobody can read what it does")
    if name.endswith((".pyc", ".pyo")):
        return Finding(
            "binary-file", "medium", file.name, 0, "", "compiled Python without its source's guarantee"
        )
    if name.endswith(_ARCHIVES):
        return Finding("binary-file", "low", file.name, 0, "", "an archive; what is inside was not looked at")
    if name.endswith(_HARMLESS):
        return None
    why = (
        "an executable file that is no text"
        if file.is_executable
        else "a file that is no text, of no kind known here"
    )
    return Finding("binary-file", "medium" if file.is_executable else "info", file.name, 0, "", why)


def long_line_findings(file: TextFile) -> Iterator[Finding]:
    """Lines that nobody reads to the end, of code; and long encoded blobs in any text. At most one of a file."""
    if file.kind == "text" or ".min." in file.name:
        return
    for number, line in enumerate(file.lines, 1):
        bare = _DATA_ADDRESS.sub("", line)
        if match := _BLOB.search(bare):
            why = f"{len(match[0]):,} characters without a break: an encoded blob"
            yield Finding("long-line", "low", file.name, number, excerpt(bare, match.start()), why)
            return
        if file.kind != "markdown" and len(bare) > N_LINE_CHARS:
            yield Finding(
                "long-line", "low", file.name, number, excerpt(bare), f"a line of {len(bare):,} characters"
            )
            return
