"""A page from its template, its data and its own scripts.

What a page shows comes from models and skills. Templates escape it; data stands in a block that no text can close, and
scripts put it in as text. Should something get through all the same, the page's Content-Security-Policy runs and loads
only what has the hash of our own style and scripts (Content Security Policy Level 3, 2.3.1), asks no network and opens
no frame.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent


def page(template: str, title: str, data: Any, parts: tuple[str, ...], *, live: str = "") -> str:
    """The HTML of a page. `parts` are scripts and styles beside the templates; `live` is an address of our own that tells of changes.

    `data` is what the template shows, or what it hands to its scripts as JSON.
    """
    style = "".join(_file(name) for name in ("page.css", *parts) if name.endswith(".css"))
    texts = [_file(name) for name in ("theme.js", *parts) if name.endswith(".js")]
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["block"] = block
    return environment.get_template(template).render(
        title=title,
        policy=_policy(style, texts, live=live),
        style=Markup(style),  # noqa: S704 - a file of ours
        scripts=[Markup(text) for text in texts],  # noqa: S704 - the same
        data=data,
        live=live,
    )


def block(data: Any) -> Markup:
    """Data as JSON that can stand in a page: `<`, `>` and `&` are written as JSON escapes, so no text in it ends its block."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - see above


def _policy(style: str, scripts: list[str], *, live: str) -> str:
    hashes = " ".join(_hash(text) for text in scripts)
    rules = [
        "default-src 'none'",
        f"script-src {hashes}",
        f"style-src {_hash(style)}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join([*rules, "connect-src 'self'"] if live else rules)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _file(name: str) -> str:
    return (HERE / name).read_text("utf-8")
