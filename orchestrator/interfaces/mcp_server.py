"""The tools that a host sees over MCP: the one module that imports the SDK, loaded only when the server runs.

Each tool is a command of the command line. A run goes on in a process of its own, so that it outlives the server; the
tool tells its progress and gives the run's id where it takes longer than a host waits.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Annotated, Any, Required, TypedDict

from mcp.server.mcpserver import AcceptedElicitation, Context, Elicit, ElicitationResult, MCPServer, Resolve
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, Field

from orchestrator import __version__
from orchestrator.backends import Backends
from orchestrator.errors import OrchestratorError
from orchestrator.interfaces.following import Begun, begin, begin_again, command, follow
from orchestrator.interfaces.terminal import clean
from orchestrator.memory.suggestions import suggest
from orchestrator.runs.history import find_run
from orchestrator.runs.resuming import read_record
from orchestrator.workspace import Workspace, existing_workspace, expanded_path

INSTRUCTIONS = """\
Runs Markdown workflows over a workspace of agent skills: checked, budgeted, resumable and on record. A workflow is a .md \
file, by habit in `workflows/`. Start with run_workflow. A run that takes longer than `wait_s` gives its id: look at it \
with run_status. A run with status `suspended` waits for answers to its `needs`: give them with resume_run. A need of kind \
`model` is a question to you: its answer is your reply's text. A need of kind `approval` is for a person to answer, never \
for you."""

WAIT_S = 20.0
"""Hosts give up on a tool after a minute or so."""

N_RUNS = 20
ARGUMENTS_CHARS = 2000

Asked = Context[Workspace, Any]
Place = Annotated[str | None, Field(description="Folder of the workspace; the server's own if left out.")]
Wait = Annotated[
    float, Field(ge=0, le=600, description="Seconds to wait for the end; after it the run goes on without you.")
]  # fmt: skip
Run = Annotated[str, Field(description="A run's id, the start or end of one, or `latest`.")]
Answers = Annotated[
    dict[str, Any] | None, Field(description='Answers by the ids of the needs: {"a1b2c3d4": answer, ...}.')
]  # fmt: skip
Ids = Annotated[list[str] | None, Field(description="Ids of needs of kind `approval`.")]


class RunObject(TypedDict, total=False):
    """What a run came to; of one that goes on, only its status and id."""

    status: Required[str]
    run: Required[str]
    answer: dict[str, Any] | list[Any] | str | int | float | bool | None
    strategy: str | None
    checks: list[dict[str, Any]]
    usage: dict[str, Any]
    attempts: list[dict[str, Any]]
    needs: list[dict[str, Any]]
    message: str


class Agreement(BaseModel):
    """What a host asks a person in a form."""

    agree: bool = Field(title="I agree", description="Let the run make this call.")


def serve(workspace: Workspace) -> None:
    """Serve on stdin and stdout until the host closes them."""
    server = MCPServer(
        "orchestrate",
        title="Orchestrate",
        instructions=INSTRUCTIONS,
        version=__version__,
        log_level="ERROR",
        lifespan=_with(workspace),
    )
    acts, reads = ToolAnnotations(read_only_hint=False), ToolAnnotations(read_only_hint=True)
    for tool, title, hints in (
        (run_workflow, "Run a workflow", acts),
        (resume_run, "Go on with a run", acts),
        (run_status, "Look at runs", reads),
        (suggest_skills, "Suggest skills", reads),
    ):
        server.add_tool(tool, title=title, description=inspect.getdoc(tool), annotations=hints)
    server.run("stdio")


async def run_workflow(
    ctx: Asked,
    workflow: Annotated[str, Field(description="A Markdown file, relative to the workspace, or a name.")],
    inputs: Annotated[dict[str, Any] | None, Field(description="Inputs of the workflow, by name.")] = None,
    model: Annotated[
        str | None,
        Field(
            description="What writes cells, as `openai/NAME`; `host`: you do. Without it the workspace's own."
        ),
    ] = None,
    sub_model: Annotated[
        str | None, Field(description="What answers llm_query; the same if left out.")
    ] = None,
    strategy: Annotated[str | None, Field(description="The one strategy to try.")] = None,
    budget: Annotated[
        dict[str, float] | None, Field(description='Limits, as {"usd": 1, "seconds": 60, "calls": 100}.')
    ] = None,
    wait_s: Wait = WAIT_S,
    workspace: Place = None,
) -> RunObject:
    """Run a workflow and give its result: status, answer, checks, usage, needs.

    Where the run takes longer than `wait_s`, the result is {"status": "running", "run": id} and the run goes on: look at it
    with run_status. With the status `suspended` it waits for answers to its `needs`: see resume_run. The other statuses are
    answered, failed, budget, denied, error, interrupted and crashed.
    """
    given = {"model": model, "sub-model": sub_model, "strategy": strategy}
    options = [f"--{name}={value}" for name, value in given.items() if value is not None]
    options += [f"--budget={name}={value:.12g}" for name, value in (budget or {}).items()]
    with _tool_errors():
        place = _place(ctx, workspace)
        begun = await asyncio.to_thread(begin, place, workflow, inputs or {}, options)
        return await _followed(ctx, begun, wait_s)


def person(
    ctx: Asked, run: str, answers: Answers = None, approve: Ids = None, workspace: Place = None
) -> Agreement | Elicit[Agreement]:
    """Somebody's word on the approvals that a call gives: a question to a person, where it needs one.

    An approval cannot come from a model's text, and the arguments of a tool are one.
    """
    given = {*(approve or ()), *(number for number, answer in (answers or {}).items() if answer is True)}
    with _tool_errors():
        place = _place(ctx, workspace)
        record = read_record(find_run(place, run)) if given else None
        needs = [need for need in record.open if need["kind"] == "approval"] if record else []
        wanted = [need for need in needs if need["id"] in given]
        if record is None or not wanted or Backends(place).approves_by_asker:
            return Agreement(agree=True)
    able = ctx.client_capabilities
    if able is None or able.elicitation is None:
        ids = " ".join(need["id"] for need in wanted)
        raise ToolError(
            "an approval can't come from a model, and this host has no way to ask a person\n"
            "hint: tell the person to type this in a terminal of their own: "
            f"orchestrate resume {record.run} --approve {ids} --workspace '{place.root}'; or, to let every program "
            "approve, to set `by_asker = true` under [approvals] in orchestrate.toml"
        )
    return Elicit(_question(record.run, str(record.header.get("workflow", "")), wanted), Agreement)


async def resume_run(
    ctx: Asked,
    word: Annotated[ElicitationResult[Agreement], Resolve(person)],
    run: Run,
    answers: Answers = None,
    approve: Ids = None,
    deny: Ids = None,
    wait_s: Wait = WAIT_S,
    workspace: Place = None,
) -> RunObject:
    """Go on with a run that is suspended, was stopped or crashed, and give its result as run_workflow does.

    `answers` holds an answer for each need by its id: of kind `input` a value, of kind `model` your reply's text, of kind
    `in_doubt` "retry" or {"done": the value that the call gave}. `approve` and `deny` answer needs of kind `approval`.
    Approvals are for a person to give: show them the function and its arguments, and approve only what they agreed to. The
    host asks them again; where it can't, this tool refuses, and says what they have to type. Of a run that has ended the
    recorded result is given.
    """
    if not isinstance(word, AcceptedElicitation) or not word.data.agree:
        raise ToolError("the person did not agree; nothing was done\nhint: `deny` tells the run so")
    options = [f"--approve={number}" for number in approve or ()]
    options += [f"--deny={number}" for number in deny or ()]
    with _tool_errors():
        place = _place(ctx, workspace)
        folder = find_run(place, run)
        begun = await asyncio.to_thread(begin_again, place, folder, answers or {}, options)
        return await _followed(ctx, begun, wait_s)


def run_status(
    ctx: Asked,
    run: Annotated[str | None, Field(description="A run's id, the start or end of one, or `latest`.")] = None,
    k: Annotated[int, Field(ge=1, description="Without `run`: how many of the newest to list.")] = N_RUNS,
    workspace: Place = None,
) -> dict[str, Any]:
    """One run: its status, usage, needs, and its answer once it has ended. Without `run`, the newest runs."""
    with _tool_errors():
        words = ["status", "--json", *(["--", run] if run else [])]
        found = json.loads(command(_place(ctx, workspace), words))
    if run:
        whole: dict[str, Any] = found
        return whole
    return {"runs": found[:k], "n_runs": len(found)}


def suggest_skills(
    ctx: Asked,
    task: Annotated[str, Field(description="What is to be done, in a sentence or more.")],
    k: Annotated[int, Field(ge=1, description="At most so many.")] = 5,
    workspace: Place = None,
) -> dict[str, Any]:
    """The skills of the workspace that fit a task, best first, by what they are for and how they did. None may fit."""
    with _tool_errors():
        place = _place(ctx, workspace)
        return {"skills": [asdict(one) for one in suggest(task, k=k, workspace=place.root)]}


def _with(workspace: Workspace) -> Callable[[MCPServer[Workspace]], AbstractAsyncContextManager[Workspace]]:
    @asynccontextmanager
    async def lifespan(_: MCPServer[Workspace]) -> AsyncIterator[Workspace]:
        yield workspace

    return lifespan


def _place(ctx: Asked, asked: str | None) -> Workspace:
    default: Workspace = ctx.request_context.lifespan_context
    return existing_workspace(default.root / expanded_path(asked)) if asked else default


async def _followed(ctx: Asked, begun: Begun, wait_s: float) -> RunObject:
    async def tell(n_events: int, said: str) -> None:
        await ctx.report_progress(n_events, message=clean(said))

    result: Any = await follow(begun, wait_s, tell)
    whole: RunObject = result
    return whole


def _question(run: str, workflow: str, needs: Sequence[Mapping[str, Any]]) -> str:
    """What a person is asked before a run may do something."""
    lines = [f"The run {run} of `{workflow}` asks for approval:"]
    for need in needs:
        arguments = json.dumps(need.get("arguments"), ensure_ascii=False)
        if len(arguments) > ARGUMENTS_CHARS:
            arguments = f"{arguments[:ARGUMENTS_CHARS]}… ({len(arguments):,} characters; `orchestrate status {run} --json` has all)"
        lines.append(f"- {need.get('function', need['prompt'])} {arguments}")
    return clean("\n".join(lines))


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Errors as the command line tells them, for the model to read."""
    try:
        yield
    except OrchestratorError as error:
        raise ToolError(error.whole) from None
    except OSError as error:
        raise ToolError(f"the system refused: {error}") from None
