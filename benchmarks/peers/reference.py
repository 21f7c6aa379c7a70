"""The reference implementation (rlms), measured: one JSON value on stdout for what was asked for on the command line.

Run by the interpreter of the environment that `set_up.sh` made: `python reference.py URL WHAT`. Durations come as a list.
"""

import io
import json
import sys
import threading
import time
from contextlib import redirect_stdout

URL, WHAT = sys.argv[1:3]


def made(model: str, **options):
    from rlm import RLM

    kwargs = {"model_name": model, "base_url": f"{URL}/v1", "api_key": "test-key"}
    return RLM(backend="openai", backend_kwargs=kwargs, environment="local", **options)


def completed(model: str, context: str = "hello", **options):
    began = time.perf_counter()
    result = made(model, **options).completion(context, root_prompt="Do it.")
    return time.perf_counter() - began, result


def widened():
    """Let a batch of plain sub-calls have 100 under way: 16 is fixed where `RLM` makes its handler, and can't be set."""
    from functools import partial

    from rlm.core import rlm
    from rlm.core.lm_handler import LMHandler

    rlm.LMHandler = partial(LMHandler, batch_max_concurrent=100)


def widely(model: str, n: int):
    widened()
    return inner(model, n)


def timed(model: str, n: int, **options):
    completed(model, **options)
    return [completed(model, **options)[0] for _ in range(n)]


def inner(model: str, n: int, **options):
    """What the cell itself measured."""
    completed(model, **options)
    return [float(completed(model, **options)[1].response) for _ in range(n)]


def prints():
    """Of 8 runs at once in threads: how many had exactly their own output."""
    from rlm.logger import RLMLogger

    outputs = {}

    def one(number: int) -> None:
        logger = RLMLogger()
        try:
            made("prints", logger=logger).completion(f"run-{number}", root_prompt="Do it.")
            trajectory = logger.get_trajectory()
            outputs[number] = trajectory["iterations"][0]["code_blocks"][0]["result"]["stdout"]
        except Exception as error:
            outputs[number] = f"{type(error).__name__}: {error}"

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    clean = sum(
        output.strip() == "\n".join(f"run-{number} {n}" for n in range(6))
        for number, output in outputs.items()
    )
    return {"clean": clean, "of": 8}


def tokens():
    """A root that asks for more than its budget: what its cell answered, or how it ended."""
    try:
        return json.loads(completed("tokens", max_tokens=15_000)[1].response)
    except Exception as error:
        return {"ended": type(error).__name__}


def counted(model: str, **options):
    """How many requests the whole tree made, and their tokens, as its result says."""
    summary = completed(model, **options)[1].usage_summary
    return {
        "requests": sum(one.total_calls for one in summary.model_usage_summaries.values()),
        "tokens": summary.total_input_tokens + summary.total_output_tokens,
    }


def prompted(n_chars: int):
    """One turn over a context of so many characters: the server knows how long the prompt was."""
    completed("bytes", context="0123456789" * (n_chars // 10))
    return {"n_chars": n_chars}


def main() -> None:
    depth = {"max_depth": 2, "max_concurrent_subcalls": 20}
    deep = {"max_depth": 3, "max_concurrent_subcalls": 100}
    measures = {
        "first": lambda: completed("one")[0],
        "one": lambda: timed("one", 7),
        "steps": lambda: timed("steps", 5),
        "sequential": lambda: inner("sequential", 5),
        "batch100": lambda: widely("batch100", 5),
        "batch1000": lambda: widely("batch1000", 5),
        "batch1000-as-shipped": lambda: inner("batch1000", 5),
        "children": lambda: inner("children", 5, **depth),
        "tree": lambda: inner("tree", 5, **deep),
        "prints": prints,
        "tokens": tokens,
        "counted-tree": lambda: counted("tree", **deep),
        "counted-batch1000": lambda: counted("batch1000"),
        **{f"prompted-{n}": lambda n=n: prompted(n) for n in (8_000, 1_000_000, 100_000_000)},
    }
    hidden = io.StringIO()
    with redirect_stdout(hidden):
        try:
            measured = measures[WHAT]()
        except Exception as error:
            measured = {"error": f"{type(error).__name__}: {error}"[:300]}
    sys.__stdout__.write(json.dumps(measured) + "\n")


main()
