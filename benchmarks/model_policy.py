"""The loopback server of the model benchmarks: what it answers depends on the model's name alone.

`python benchmarks/model_policy.py --serve` serves until its standard input ends, and prints its address. The same cells
serve our runs and the reference's, whose prompts differ: how deep a call is shows in the length of its context. Others
have cells in their own form.
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
    "made = [isinstance(one, str) and not one.startswith('Error') for one in got]\n"
    "rest = {getattr(one, 'kind', None) or str(one)[:40] for one, is_made in zip(got, made) if not is_made}\n"
    "import json\n" + ANSWER.format("json.dumps({'made': sum(made), 'rest': sorted(rest)})"),
    "prints": "import time\nfor n in range(6):\n    print(context, n)\n    time.sleep(0.01)\n"
    + ANSWER.format("context"),
}


def policy(seen: Seen) -> Answer:
    """A root turn answers with the cell of its model's name; everything else is told `ok`."""
    kind = seen.model.rpartition("/")[2]
    if kind.startswith(("dspy-", "smolagents-", "pydantic-ai-")):
        return _of_others(seen, *kind.rsplit("-", 1))
    if not seen.is_root:
        return Answer("ok")
    if kind == "bytes":  # what the prompt counted for is its size on the wire
        return Answer(_cell(CELLS["one"]).text, tokens_in=seen.n_prompt_bytes)
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


def _of_others(seen: Seen, name: str, kind: str) -> Answer:
    """A turn of another program, in its own form; the last one answers `1`."""
    n_before = sum(role == "assistant" for role, _ in seen.messages)
    if name == "dspy":  # a new conversation for each turn: the cells count themselves
        code = f"n = globals().get('n', 0) + 1\nif n == {N_STEPS if kind == 'steps' else 1}:\n    SUBMIT('1')"
        return Answer(
            f"[[ ## reasoning ## ]]\nI go on.\n\n[[ ## code ## ]]\n```python\n{code}\n```\n\n[[ ## completed ## ]]"
        )
    if name == "smolagents":
        is_last = kind == "one" or n_before == N_STEPS - 1
        code = "final_answer('1')" if is_last else "x = 1"
        return Answer(f"Thought: I go on.\n<code>\n{code}\n</code>")
    return Answer("1")


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
