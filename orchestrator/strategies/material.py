"""Text that others wrote, as a model is shown it: between marks that the text itself can't hold."""

from __future__ import annotations

import hashlib


def material(name: str, text: str) -> str:
    """The text between `<name:1f9c04ab52d07e31>` and `</name:1f9c04ab52d07e31>`.

    The mark is made of the text, so that whoever writes it can't close it early and go on in another voice: they
    would have to know the hash of a text that holds the hash. Half as many digits can be found in minutes: one writes any
    mark, and changes a word elsewhere until it fits (2**32 tries).
    """
    mark = f"{name}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    return f"<{mark}>\n{text}\n</{mark}>"
