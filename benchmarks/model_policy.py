"""The loopback server of the model benchmarks: what it answers depends on the model's name alone.

`python benchmarks/model_policy.py` serves until its standard input ends, and prints its address. The same cells serve
our runs and the reference's, whose prompts differ: how deep a call is shows in the length of its context.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))

from model_server import Answer, Fault, ModelServer, Seen

LATENCY_S = 0.05
N_STEPS = 20
N_CHILDREN = 20

ANSWER = "answer['content'] = {}\nanswer['ready'] = True"

TIMED = """import time, json
began = time.perf_counter()
{}
took = time.perf_counter() - began
""" + ANSWER.format("json.dumps(took)")

CELLS = {
    "one": ANSWER.format("'1'"),
    "sequential": TIMED.format("for n in range(20):\n    llm_query('q')"),
    "batch100": TIMED.format("got = llm_query_batched(['q'] * 100)"),
    "batch1000": TIMED.format("got = llm_query_batched(['q'] * 1000)"),
    "tokens": "got = llm_query_batched(['x' * 4000 + str(n) for n in range(40)])\n"
    + ANSWER.format("str(sum(isinstance(one, str) and not one.startswith('Error') for one in got))"),
    "prints": "import time\nfor n in range(6):\n    print(context, n)\n    time.sleep(0.01)\n"
    + ANSWER.format("context"),
}


def policy(seen: Seen) -> Answer:
    """A root turn answers with the cell of its model's name; everything else is told `ok`."""
    kind = seen.model.rpartition("/")[2]
    if not seen.is_root:
        return Answer("ok")
    if kind == "steps":
        n_before = sum(role == "assistant" for role, _ in seen.messages)
        return _cell("x = 1" if n_before < N_STEPS - 1 else CELLS["one"])
    if kind == "children":
        return _cell(
            CELLS["one"] if _level(seen) else TIMED.format(_asks("rlm_query_batched", N_CHILDREN, 1))
        )
    if kind == "tree":
        level = _level(seen)
        ask = "llm_query_batched" if level == 2 else "rlm_query_batched"
        return _cell(TIMED.format(_asks(ask, 4, level + 1)))
    return _cell(CELLS[kind])


def _asks(name: str, n: int, level: int) -> str:
    """A call of n prompts whose length says which level they are for: 1,000 characters for each."""
    return f"got = {name}([('LEVEL {level} ' + str(n)).ljust({level * 1000}) for n in range({n})])"


def _level(seen: Seen) -> int:
    """How deep the call is that this turn belongs to: 0 for the root."""
    said = "\n".join(text for role, text in seen.messages[:3] if role != "system")
    ours = re.search(r"LEVEL (\d)", said)
    theirs = re.search(r"([\d,]+)(?: total)? char", said)
    if ours:
        return int(ours[1])
    n_chars = int(theirs[1].replace(",", "")) if theirs else 0
    return n_chars // 1000 if n_chars % 1000 == 0 else 0


def _cell(source: str) -> Answer:
    return Answer(f"I go on.\n```repl\n{source}\n```")


def main() -> None:
    """Serve until standard input ends; `--fail-every N` injects a 500 into every Nth request."""
    every = int(sys.argv[2]) if sys.argv[1:2] == ["--fail-every"] else 0
    faults = (lambda number: Fault("status", 500, "0.01") if number % every == 0 else None) if every else ()
    with ModelServer(policy, latency_s=LATENCY_S, faults=faults, check_keys=False) as server:
        print(server.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__" and "--serve" in sys.argv:
    sys.argv.remove("--serve")
    main()
