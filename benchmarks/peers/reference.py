"""The reference implementation (rlms), measured: one JSON object on stdout for what was asked for on the command line.

Run by the interpreter of the environment that `set_up.sh` made: `python reference.py URL WHAT`.
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
    try:
        answer = completed("tokens", max_tokens=15_000)[1].response
    except Exception as error:
        answer = type(error).__name__
    return {"answer": answer}


def main() -> None:
    depth = {"max_depth": 2, "max_concurrent_subcalls": 20}
    deep = {"max_depth": 3, "max_concurrent_subcalls": 100}
    measures = {
        "first": lambda: completed("one")[0],
        "one": lambda: timed("one", 7),
        "steps": lambda: timed("steps", 3),
        "sequential": lambda: inner("sequential", 3),
        "batch100": lambda: inner("batch100", 3),
        "batch1000": lambda: inner("batch1000", 2),
        "children": lambda: inner("children", 3, **depth),
        "tree": lambda: inner("tree", 2, **deep),
        "prints": prints,
        "tokens": tokens,
    }
    hidden = io.StringIO()
    with redirect_stdout(hidden):
        try:
            measured = measures[WHAT]()
        except Exception as error:
            measured = {"error": f"{type(error).__name__}: {error}"[:300]}
    sys.__stdout__.write(json.dumps(measured) + "\n")


main()
