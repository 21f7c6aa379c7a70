"""What is given to a command in a file, or on stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from orchestrator.errors import UsageError
from orchestrator.runs.inputs import read_json


def read_object(option: str, where: str, form: str) -> dict[str, Any]:
    """The JSON object in a file, or on stdin where that is `-`; `form` shows one. Raises UsageError."""
    try:
        value = read_json(sys.stdin.read() if where == "-" else Path(where).read_text("utf-8"))
    except OSError as error:
        raise UsageError(
            f"can't read `{option} {where}`: {error.strerror}", hint="name a file with a JSON object, or -"
        ) from error
    except ValueError as error:
        raise UsageError(
            f"`{option} {where}` holds no JSON: {error}", hint=f"it has to be an object, as {form}"
        ) from error
    if not isinstance(value, dict):
        raise UsageError(f"`{option} {where}` holds no JSON object", hint=f"write {form}")
    return value
