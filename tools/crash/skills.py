"""The skills of the workspaces: what they do to the world is a line of a ledger, so that the world can count it."""

from __future__ import annotations

LEDGER = "out/ledger.txt"
PUTS = "out/puts"

LEDGER_MANIFEST = """schema: orchestrate.skill/1
functions:
  append:
    entry: {python: "ledger.py:append"}
    input: {type: object, required: [key], properties: {key: {type: string}, note: {type: string}}, additionalProperties: false}
    output: {type: object, required: [written], properties: {written: {type: string}}}
    effects: write
  append_by_script:
    entry: {script: scripts/append.py, style: argparse}
    input: {type: object, required: [key], properties: {key: {type: string}}, additionalProperties: false}
    effects: write
  put:
    entry: {python: "ledger.py:put"}
    input: {type: object, required: [key], properties: {key: {type: string}, note: {type: string}}, additionalProperties: false}
    effects: write
    idempotent: true
  lines:
    entry: {python: "ledger.py:lines"}
    input: {type: object, additionalProperties: false}
    effects: read
permissions: {read: ["out/**"], write: ["out/**"]}
"""

LEDGER_CODE = '''import os
import time
from pathlib import Path


def append(key: str, note: str = "") -> dict:
    """Takes a while before and after the one write that is the effect, so that kills meet both."""
    time.sleep(0.003)
    file = os.open("out/ledger.txt", os.O_WRONLY | os.O_APPEND)
    os.write(file, f"{key} {note}\\n".encode())
    os.close(file)
    time.sleep(0.003)
    return {"written": key}


def put(key: str, note: str = "") -> dict:
    time.sleep(0.002)
    Path("out/puts", key).write_text(note)
    time.sleep(0.002)
    return {"written": key}


def lines() -> dict:
    return {"lines": Path("out/ledger.txt").read_text().splitlines()}
'''

SCRIPT = """import argparse
import json
import os
import time

parser = argparse.ArgumentParser()
parser.add_argument("--key", required=True)
key = parser.parse_args().key
file = os.open("out/ledger.txt", os.O_WRONLY | os.O_APPEND)
os.write(file, f"{key} script\\n".encode())
os.close(file)
time.sleep(0.003)
print(json.dumps({"written": key}))
"""

MATHS_MANIFEST = """schema: orchestrate.skill/1
functions:
  double:
    entry: {python: "maths.py:double"}
    input: {type: object, required: [n], properties: {n: {type: integer}}, additionalProperties: false}
    effects: none
default: double
"""
MATHS_CODE = "def double(n: int) -> dict:\n    return {'n': 2 * n}\n"

PUBLISH_MANIFEST = """schema: orchestrate.skill/1
functions:
  entry:
    entry: {python: "publish.py:entry"}
    input: {type: object, required: [name], properties: {name: {type: string}}, additionalProperties: false}
    effects: write
  plain:
    entry: {python: "publish.py:entry"}
    input: {type: object, required: [name], properties: {name: {type: string}}, additionalProperties: false}
    effects: none
uses: [ledger, maths]
permissions: {read: ["out/**"], write: ["out/**"]}
"""
PUBLISH_CODE = """def entry(ctx, name: str) -> dict:
    number = ctx.skills.maths(n=len(name))["n"]
    first = ctx.skills.ledger.append(key=f"{name}-1", note=str(number))["written"]
    second = ctx.skills.ledger.append_by_script(key=f"{name}-2")["written"]
    third = ctx.skills.ledger.put(key=name, note="put")["written"]
    return {"published": [first, second, third]}
"""

FILES = {
    "skills/ledger/SKILL.md": "---\nname: ledger\ndescription: Keeps lines.\n---\n# Ledger\n",
    "skills/ledger/manifest.yaml": LEDGER_MANIFEST,
    "skills/ledger/ledger.py": LEDGER_CODE,
    "skills/ledger/scripts/append.py": SCRIPT,
    "skills/maths/SKILL.md": "---\nname: maths\ndescription: Arithmetic.\n---\n# Maths\n",
    "skills/maths/manifest.yaml": MATHS_MANIFEST,
    "skills/maths/maths.py": MATHS_CODE,
    "skills/publish/SKILL.md": "---\nname: publish\ndescription: Writes three lines.\n---\n# Publish\n",
    "skills/publish/manifest.yaml": PUBLISH_MANIFEST,
    "skills/publish/publish.py": PUBLISH_CODE,
    LEDGER: "",
    f"{PUTS}/.keep": "",
}


def published(name: str) -> tuple[list[str], str]:
    """What `publish` does to the world: the keys of its lines, and the name of its file."""
    return [f"{name}-1", f"{name}-2"], name
