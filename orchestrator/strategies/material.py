"""Text that others wrote, as a model is shown it: between marks that the text itself can't hold."""

from __future__ import annotations

import hashlib


def material(name: str, text: str) -> str:
    """The text between `<name:1f9c04ab>` and `</name:1f9c04ab>`.

    The mark is made of the text, so that whoever writes it can't close it early and go on in another voice: they
    would have to know the hash of a text that holds the hash.
    """
    mark = f"{name}:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    return f"<{mark}>\n{text}\n</{mark}>"
