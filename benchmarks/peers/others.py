"""Other programs over the same server: the durations of what was asked for, in seconds, as a JSON list on stdout.

`python others.py URL NAME WHAT`: NAME is dspy, smolagents or pydantic-ai; WHAT is `first` (one run of one turn), `one`
(such runs in a warm process) or `steps` (runs of 20 turns). A turn is what each makes of it: a cell in dspy's recursive
model (in its local interpreter, which is a bare process) and in smolagents' code agent; in pydantic-ai, which runs no
code by itself, a reply that a validator turns down.
"""

import asyncio
import json
import os
import sys
import time
from contextlib import redirect_stdout

URL, NAME, WHAT = sys.argv[1:4]
KIND = "steps" if WHAT == "steps" else "one"
MODEL = f"{NAME}-{KIND}"
N_STEPS = 20


def dspy():
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # nothing is fetched
    import dspy
    from dspy.primitives.local_interpreter import LocalInterpreter

    dspy.configure(lm=dspy.LM(f"openai/{MODEL}", api_base=f"{URL}/v1", api_key="test-key", cache=False))
    rlm = dspy.RLM("context, query -> answer", max_iters=N_STEPS + 5, interpreter_factory=LocalInterpreter)
    return lambda: rlm(context="hello", query="Do it.").answer


def smolagents():
    from smolagents import CodeAgent, OpenAIServerModel

    model = OpenAIServerModel(model_id=MODEL, api_base=f"{URL}/v1", api_key="test-key")
    agent = CodeAgent(tools=[], model=model, max_steps=N_STEPS + 5, verbosity_level=0)
    return lambda: agent.run("Do it.")


def pydantic_ai():
    from pydantic_ai import Agent, ModelRetry
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=f"{URL}/v1", api_key="test-key"))
    agent = Agent(model, retries=N_STEPS + 5)
    turns = []

    @agent.output_validator
    def until_the_last(answer: str) -> str:
        turns.append(answer)
        if KIND == "steps" and len(turns) % N_STEPS:
            raise ModelRetry("Go on.")
        return answer

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # the one that `run_sync` takes, so that its connections last
    return lambda: agent.run_sync("Do it.").output


def main() -> None:
    run = {"dspy": dspy, "smolagents": smolagents, "pydantic-ai": pydantic_ai}[NAME]()
    spent = []
    with redirect_stdout(sys.stderr):
        for _ in range(1 if WHAT == "first" else 6):
            began = time.perf_counter()
            answer = run()
            spent.append(time.perf_counter() - began)
            if str(answer) != "1":
                raise SystemExit(f"{NAME} answered {answer!r}")
    print(json.dumps(spent[-5:]))


main()
