"""Other programs over the same server: from the start of a process to the first request, and a one-turn run when warm.

`python others.py URL NAME WHAT`: NAME is dspy, smolagents or pydantic-ai; WHAT is `first` or `one`. Each is asked for
what it does by itself: a plain prediction, a code agent, an agent.
"""

import json
import sys
import time

URL, NAME, WHAT = sys.argv[1:4]


def dspy():
    import dspy

    model = dspy.LM("openai/one", api_base=f"{URL}/v1", api_key="test-key", cache=False)
    dspy.configure(lm=model, adapter=dspy.ChatAdapter())
    return lambda: model("hello")


def smolagents():
    from smolagents import CodeAgent, OpenAIServerModel

    model = OpenAIServerModel(model_id="one", api_base=f"{URL}/v1", api_key="test-key")

    def run() -> None:
        CodeAgent(tools=[], model=model, max_steps=1, verbosity_level=0).run("hello")

    return run


def pydantic_ai():
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("one", provider=OpenAIProvider(base_url=f"{URL}/v1", api_key="test-key"))
    agent = Agent(model)
    return lambda: agent.run_sync("hello")


def main() -> None:
    run = {"dspy": dspy, "smolagents": smolagents, "pydantic-ai": pydantic_ai}[NAME]()
    spent = []
    for _ in range(1 if WHAT == "first" else 6):
        began = time.perf_counter()
        try:
            run()
        except Exception as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        spent.append(time.perf_counter() - began)
    print(json.dumps(spent[-5:]))


main()
