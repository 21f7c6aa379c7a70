"""The server as a host meets it: a process on stdin and stdout, asked by the client of the SDK."""

import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import ElicitResult, TextContent

from orchestrator import load_skills
from orchestrator.runs.journal import is_alive
from orchestrator.runs.trusting import trust
from orchestrator.workspace import Workspace

ADDED = 'FINAL(skills.adder.add(a=inputs["a"], b=2))'
WAITS = "import time\nprint('before')\ntime.sleep({s})"
APPROVED = {"skills": ["adder"], "approvals": ["skill:adder.add"]}
MODES = ["auto", "legacy"]


class Host:
    """What a host does with a server; `client` belongs to the event loop of `portal`."""

    def __init__(self, portal, client):
        self.portal, self.client = portal, client

    def tools(self):
        return self.portal.call(self.client.list_tools).tools

    def call(self, name, progress=None, **arguments):
        return self.portal.call(partial(self.client.call_tool, name, arguments, progress_callback=progress))


@pytest.fixture
def server_words(workspace):
    return ["-m", "orchestrator", "mcp", "--workspace", str(workspace)]


@pytest.fixture
def host(clean_env, workspace, server_words):
    """Starts a server for the workspace and a client with these options. What the server says is in `server.txt`."""

    @contextmanager
    def connected(env=None, **options):
        server = StdioServerParameters(
            command=sys.executable, args=server_words, env={**clean_env, **(env or {})}, cwd=workspace.parent
        )
        with ExitStack() as stack:
            said = stack.enter_context((workspace / "server.txt").open("w"))
            portal = stack.enter_context(start_blocking_portal())
            client = Client(stdio_client(server, errlog=said), read_timeout_seconds=60, **options)
            yield Host(portal, stack.enter_context(portal.wrap_async_context_manager(client)))

    return connected


@pytest.fixture
def call(host):
    """Calls of a host that has nobody to ask."""
    with host() as plain:
        yield plain.call


def text(result):
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def value(result):
    assert not result.is_error, text(result)
    assert json.loads(text(result)) == result.structured_content
    return result.structured_content


def refusal(result):
    assert result.is_error
    return text(result).partition(": ")[2]


def agrees(asked, answers=None, **always):
    """A person who is put questions to."""

    async def person(context, params):
        asked.append(params.message)
        form = dict(next(answers) if answers else always)
        return ElicitResult(action=form.pop("action", "accept"), content=form or None)

    return {"elicitation_callback": person}


def ended(call, run):
    """What a run came to."""
    until = time.monotonic() + 30
    while (found := value(call("run_status", run=run)))["status"] in ("running", "suspended"):
        assert time.monotonic() < until
    return found


@pytest.mark.parametrize("mode", MODES)
def test_the_tools_and_what_they_take(host, mode):
    with host(mode=mode) as one:
        tools = {tool.name: tool for tool in one.tools()}
    taken = {name: sorted(tool.input_schema["properties"]) for name, tool in tools.items()}
    assert taken == {
        "run_workflow": [
            "budget", "inputs", "model", "strategy", "sub_model", "wait_s", "workflow", "workspace",
        ],
        "resume_run": ["answers", "approve", "deny", "run", "wait_s", "workspace"],
        "run_status": ["k", "run", "workspace"],
        "suggest_skills": ["k", "task", "workspace"],
    }  # fmt: skip
    needed = {name: tool.input_schema.get("required", []) for name, tool in tools.items()}
    assert needed == {
        "run_workflow": ["workflow"],
        "resume_run": ["run"],
        "run_status": [],
        "suggest_skills": ["task"],
    }
    for tool in tools.values():
        assert tool.description
        assert all(one["description"] for one in tool.input_schema["properties"].values())
    assert sorted(tools["run_workflow"].output_schema["required"]) == ["run", "status"]
    assert "for a person to give" in tools["resume_run"].description
    assert tools["run_status"].annotations.read_only_hint is True


@pytest.mark.parametrize("mode", MODES)
def test_a_run_to_its_end_gives_what_json_prints(host, orchestrate, workflow, mode):
    workflow(
        ADDED, inputs={"a": "integer"}, skills=["adder"], checks=[{"name": "three", "expr": "answer == 3"}]
    )
    with host(mode=mode) as one:
        result = value(one.call("run_workflow", workflow="job.md", inputs={"a": 1}))
    assert (result["status"], result["answer"]) == ("answered", 3)
    printed = json.loads(orchestrate("resume", result["run"], "--json").stdout)
    assert {name: result[name] for name in printed} == printed
    assert result.keys() == printed.keys()


@pytest.mark.parametrize("cell", ["{'a': [1, 2.5]}", "[1, None]", "'1'", "1.0", "10**20", "True", "None"])
def test_an_answer_arrives_as_it_is(call, workflow, cell):
    workflow(f"FINAL({cell})")
    answer = value(call("run_workflow", workflow="job.md"))["answer"]
    assert repr(answer) == repr(eval(cell))


@pytest.mark.parametrize("mode", MODES)
def test_progress_is_told_while_a_run_goes_on(host, workflow, mode):
    workflow("print(skills.adder.add(a=1, b=2))", WAITS.format(s=0.5), "FINAL(1)", skills=["adder"])
    told = []

    async def progress(done, total, message):
        told.append((done, message))

    with host(mode=mode) as one:
        assert value(one.call("run_workflow", progress, workflow="job.md"))["answer"] == 1
    counts = [done for done, _ in told]
    assert len(counts) > 1
    assert counts == sorted(set(counts))
    assert told[-1][1] == "cell 3 · 1 call"


def test_a_server_sees_skills_as_they_are_now_and_one_that_is_half_written_harms_only_itself(
    call, workspace, workflow
):
    def suggested():
        return [one["name"] for one in value(call("suggest_skills", task="Multiply two numbers."))["skills"]]

    def ran(skill):
        workflow(f"FINAL(skills.{skill}(a=2, b=3))", skills=[skill])
        result = call("run_workflow", workflow="job.md")
        return text(result) if result.is_error else value(result)["answer"]

    assert "multiplier" not in suggested()
    adder = workspace / "skills" / "adder"
    new = shutil.copytree(adder, workspace / "skills" / "multiplier")
    (new / "SKILL.md").write_text("---\nname: multiplier\ndescription: Multiplies two numbers.\n---\n")
    (new / "code.py").write_text((new / "code.py").read_text().replace("a + b", "a * b"))
    assert suggested()[0] == "multiplier"
    assert "is not trusted yet" in ran("multiplier")
    trust(Workspace(workspace), load_skills(new), "person")
    assert ran("multiplier") == 6
    for name in ("SKILL.md", "manifest.yaml", "code.py"):
        whole = (adder / name).read_bytes()
        (adder / name).write_bytes(whole[: len(whole) // 2])
        assert suggested()[0] == "multiplier"
        assert ran("multiplier") == 6
        assert "adder" in str(ran("adder"))  # an error that names it
        (adder / name).write_bytes(whole)
        assert ran("adder") == 5


def test_a_slow_run_gives_its_id_and_outlives_the_server(host, workspace, workflow):
    workflow(WAITS.format(s=2), "FINAL('late')")
    with host() as one:
        begun = value(one.call("run_workflow", workflow="job.md", wait_s=0.2))
    assert begun == {"status": "running", "run": begun["run"]}
    assert is_alive(workspace / "memory" / "runs" / begun["run"])
    with host() as other:
        found = ended(other.call, begun["run"])
    assert (found["status"], found["answer"]) == ("answered", "late")


def test_a_suspended_run_goes_on_with_an_answer(call, workflow):
    workflow(ADDED, inputs={"a": "integer"}, skills=["adder"])
    waits = value(call("run_workflow", workflow="job.md"))
    (need,) = waits["needs"]
    assert (waits["status"], need["kind"], need["name"]) == ("suspended", "input", "a")
    assert value(call("run_status", run="latest"))["needs"] == [need]
    wrong = call("resume_run", run=waits["run"], answers={"nothing": 1})
    assert refusal(wrong).startswith("the answer to `nothing`: the run asks nothing by this id\nhint: open: ")
    result = value(call("resume_run", run=waits["run"], answers={need["id"]: 40}))
    assert (result["status"], result["answer"], result["run"]) == ("answered", 42, waits["run"])
    assert value(call("resume_run", run=waits["run"])) == result


def test_a_resumed_run_outlives_the_server(host, workspace, workflow):
    until = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)"
    workflow("x = skills.adder.add(a=1, b=2)", until, "FINAL(x)", permissions={"read": ["go"]}, **APPROVED)
    with host(**agrees([], agree=True)) as one:
        run = value(one.call("run_workflow", workflow="job.md"))
        (need,) = run["needs"]
        begun = value(one.call("resume_run", run=run["run"], approve=[need["id"]], wait_s=0.2))
    assert begun == {"status": "running", "run": run["run"]}
    assert is_alive(workspace / "memory" / "runs" / begun["run"])
    with host() as other:
        again = other.call("resume_run", run=begun["run"])
        assert refusal(again).startswith(f"run `{run['run']}` is going on in another process\nhint: ")
        (workspace / "go").touch()
        found = ended(other.call, begun["run"])
    assert (found["status"], found["answer"]) == ("answered", 3)


@pytest.mark.parametrize("mode", MODES)
def test_the_host_asks_a_person_for_an_approval(host, workflow, mode):
    workflow("FINAL(skills.adder.add(a=1, b=2))", **APPROVED)
    asked, answers = [], [{"agree": False}, {"action": "decline"}, {"action": "cancel"}, {"agree": True}]
    with host(mode=mode, **agrees(asked, answers=iter(answers))) as one:
        waits = value(one.call("run_workflow", workflow="job.md"))
        (need,) = waits["needs"]
        given = {"run": waits["run"], "approve": [need["id"]]}
        for _ in range(3):
            said = refusal(one.call("resume_run", **given))
            assert said.startswith("the person did not agree; nothing was done\nhint: ")
        assert value(one.call("run_status", run=waits["run"]))["status"] == "suspended"
        assert value(one.call("resume_run", **given))["answer"] == 3
    line = f'The run {waits["run"]} of `job` asks for approval:\n- adder.add {{"a": 1, "b": 2}}'
    assert asked == [line] * 4


@pytest.mark.parametrize("by", ["approve", "answers"])
def test_a_model_cannot_approve_where_no_person_can_be_asked(call, workspace, workflow, by):
    workflow("FINAL(skills.adder.add(a=1, b=2))", **APPROVED)
    waits = value(call("run_workflow", workflow="job.md"))
    (need,) = waits["needs"]
    given = {by: [need["id"]] if by == "approve" else {need["id"]: True}, "run": waits["run"]}
    said = refusal(call("resume_run", **given))
    assert said.startswith(
        "an approval can't come from a model, and this host has no way to ask a person\nhint: "
    )
    typed = f"orchestrate resume {waits['run']} --approve {need['id']} --workspace '{workspace}'"
    assert typed in said
    (workspace / "orchestrate.toml").write_text("[approvals]\nby_asker = true\n")
    assert value(call("resume_run", **given))["answer"] == 3


def test_a_denial_needs_no_person(call, workflow):
    workflow("FINAL(skills.adder.add(a=1, b=2))", **APPROVED)
    waits = value(call("run_workflow", workflow="job.md"))
    result = value(call("resume_run", run=waits["run"], deny=[waits["needs"][0]["id"]]))
    assert result["status"] != "answered"
    assert result["message"]


def test_a_server_within_a_run_approves_nothing(host, workflow):
    workflow("FINAL(skills.adder.add(a=1, b=2))", **APPROVED)
    with host({"ORCHESTRATE_RUN": "1"}, **agrees([], agree=True)) as one:
        waits = value(one.call("run_workflow", workflow="job.md"))
        said = refusal(one.call("resume_run", run=waits["run"], approve=[waits["needs"][0]["id"]]))
    assert said.startswith(
        "an approval can't be given from within a run\nhint: a person types it in a terminal of their own: "
        f"orchestrate resume {waits['run']} --approve ID"
    )


def test_errors_are_what_the_command_line_says(call, workspace, workflow):
    workflow("FINAL(1)", name="odd", skills=["addr"])
    workflow("FINAL(1)", inputs={"a": "integer"})
    cases = [
        ("run_workflow", {"workflow": "gone.md"}, "gone.md: there is no such file\nhint: "),
        ("run_workflow", {"workflow": "odd.md"}, "no skill named `addr`"),
        ("run_workflow", {"workflow": "job.md", "inputs": {"a": "x"}}, "`$.a`: expected a whole number"),
        ("run_workflow", {"workflow": "job.md", "budget": {"pounds": 1}}, "no limit named `pounds`\nhint: "),
        ("run_workflow", {"workflow": "job.md", "workspace": "gone"}, "there is no folder `"),
        ("run_workflow", {"workflow": "job.md", "wait_s": -1}, "greater than or equal to 0"),
        ("run_workflow", {}, "Field required"),
        ("resume_run", {"run": "gone"}, "no run `gone` in"),
        ("run_status", {"run": "gone"}, "no run `gone` in"),
        ("run_status", {"run": "--all"}, "no run `--all` in"),
        ("run_status", {"workspace": "~nobody-here"}, "can't be expanded"),
    ]  # fmt: skip
    for name, arguments, said in cases:
        result = call(name, **arguments)
        assert said in refusal(result), (name, arguments)
        assert "Traceback" not in text(result)
    assert (workspace / "server.txt").read_text() == ""


def test_runs_are_listed_newest_first(call, workflow):
    workflow("FINAL(1)")
    runs = [value(call("run_workflow", workflow="job.md"))["run"] for _ in range(3)]
    found = value(call("run_status", k=2))
    assert ([one["run"] for one in found["runs"]], found["n_runs"]) == (runs[:0:-1], 3)
    assert found["runs"][0]["status"] == "answered"


def test_skills_are_suggested_where_some_fit(call):
    (found, *_) = value(call("suggest_skills", task="Please add two numbers"))["skills"]
    assert (found["name"], found["description"], found["calls"]) == ("adder", "Adds numbers.", 0)
    assert value(call("suggest_skills", task="Please do it for me"))["skills"] == []


def test_limits_strategy_and_model_reach_the_run(call, workspace, workflow):
    workflow("FINAL(1)")
    given = {"budget": {"usd": 0.5, "calls": 100}, "strategy": "written", "model": "recorded:r.yaml"}
    (workspace / "r.yaml").write_text("replies: []\n")
    run = value(call("run_workflow", workflow="job.md", **given))["run"]
    first = json.loads((workspace / "memory" / "runs" / run / "journal.jsonl").read_text().splitlines()[0])
    assert (first["limits"]["usd"], first["limits"]["calls"]) == (0.5, 100)
    assert (first["strategies"], first["models"]["root"]) == (["written"], "recorded:r.yaml")


def test_a_workspace_can_be_named(call, workspace, workflow, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "w.md").write_text("# W\n\nAnswer.\n\n```repl\nFINAL('there')\n```\n")
    result = value(call("run_workflow", workflow="w.md", workspace=str(other)))
    assert result["answer"] == "there"
    assert (other / "memory" / "runs" / result["run"]).is_dir()
    assert value(call("run_status", workspace=str(other)))["n_runs"] == 1


def test_files_of_the_workspace_are_no_modules_of_ours(call, workspace, workflow):
    for name in ("json.py", "orchestrator.py", "asyncio.py"):
        (workspace / name).write_text("raise SystemExit('taken')\n")
    workflow("FINAL(1)")
    assert value(call("run_workflow", workflow="job.md"))["answer"] == 1


HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip


@pytest.fixture
def server(clean_env, workspace):
    """A server in the workspace, by its bare pipes."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    argv = [sys.executable, "-m", "orchestrator", "mcp"]
    with subprocess.Popen(argv, cwd=workspace, env=clean_env, text=True, **pipes) as process:
        yield process
        process.kill()


def said_to(server, *messages):
    server.stdin.write("".join(json.dumps(one) + "\n" for one in messages))
    server.stdin.flush()


def test_stdout_carries_nothing_but_the_protocol(server, workflow):
    workflow("print('loud')\nFINAL(1)")
    asked = {"name": "run_workflow", "arguments": {"workflow": "job.md"}}
    said_to(
        server,
        HELLO,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": asked},
    )
    lines = [json.loads(server.stdout.readline()) for _ in range(2)]
    rest, said = server.communicate(timeout=30)
    assert [line["id"] for line in lines] == [1, 2]
    assert lines[1]["result"]["structuredContent"]["answer"] == 1
    assert (rest, said, server.returncode) == ("", "", 0)


def test_a_host_that_goes_away_leaves_no_traceback(server):
    server.stdout.close()
    said_to(server, HELLO, HELLO)
    server.stdin.close()
    assert server.stderr.read() == ""
    assert server.wait(30) in (0, 128 + signal.SIGPIPE)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_server_at_once(server, signum):
    said_to(server, HELLO)
    server.stdout.readline()
    server.send_signal(signum)
    assert server.wait(10) == -signum
    assert server.stderr.read() == ""
