"""Skill calls: arguments checked, run where the manifest says, the result checked.

A function runs in a warm worker of its skill. It is tried again only when its worker was lost and the manifest
calls it idempotent, or, once, when its worker was killed and it writes nothing; everything else that goes wrong
is a `SkillError`: its caller's, or, where a worker was killed that may have written, a person's to decide (`record`).
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.documents.schemas import compiled
from orchestrator.documents.skill_files import is_covered
from orchestrator.documents.workflow import load_workflow
from orchestrator.environments.session import FunctionCall, ScriptCall
from orchestrator.errors import DocumentError, SkillError, WorkerLost
from orchestrator.runs import surroundings
from orchestrator.runs.context import as_shown
from orchestrator.runs.table import signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.documents.types import Function, Schema, Skill
    from orchestrator.environments.session import Failure, Output, ScriptDone
    from orchestrator.runs.calls import Server

BROKEN = frozenset({"import", "output_schema", "document"})
"""Kinds of errors that are in a skill's own files, whoever calls it."""

N_TRIES = 3
"""How often an idempotent function is tried when its workers die."""

SCRIPT_TIMEOUT_S = 120.0
"""How long a script may take that no manifest gives another time."""

INTERPRETERS = {
    ".py": (sys.executable,),
    ".sh": ("bash", "sh"),
    ".bash": ("bash",),
    ".js": ("node",),
    ".mjs": ("node",),
    ".cjs": ("node",),
    ".rb": ("ruby",),
    ".pl": ("perl",),
}


LAUNCHER = """
import os, sys
sys.path[:] = [path for path in sys.path if path]
from importlib import machinery
folder, __file__ = sys.argv[1:3]
class FromSource(machinery.SourceFileLoader):
    def path_stats(self, path):
        raise OSError(path)
def in_folder(path):
    if not os.path.isdir(path) or path != folder and not path.startswith(folder + os.sep):
        raise ImportError(path)
    native = machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES
    return machinery.FileFinder(path, native, (FromSource, machinery.SOURCE_SUFFIXES))
sys.path_hooks.insert(0, in_folder)
sys.path.insert(0, os.path.dirname(__file__))
sys.argv[:] = sys.argv[2:]
with open(__file__, "rb") as source:
    code = compile(source.read(), __file__, "exec")
exec(code)
"""
"""Starts a Python script as naming it does, but loads nothing compiled from the skill's folder.

A `.pyc` in `__pycache__` is no part of a skill's version and may say to be loaded whatever the source says (PEP 552,
"unchecked"). `-X pycache_prefix` would do too, and compile the standard library at each start (0.25 s). Nor does it
load anything from the folder that it is started in, which `-c` searches first, before it has the library's modules.
"""


@dataclass(frozen=True, slots=True)
class Program:
    """A script of a skill, to be run once."""

    skill: Skill
    script: str  # relative to the skill
    argv: Sequence[str]
    stdin: str | None = None
    timeout_s: float = SCRIPT_TIMEOUT_S


def uses_of(skill: Skill, known: Mapping[str, Skill]) -> dict[str, Skill]:
    """The skills that a skill's code may call: what it `uses`, and itself.

    Names in `uses` that nobody knows are left out: calling them says so.
    """
    return {name: known[name] for name in (*skill.uses, skill.name) if name in known}


async def run_python(server: Server, skill: Skill, function: Function) -> Any:
    """Value of a `python` entry for the call that `server` serves. Raises SkillError."""
    parts, call = server.parts, server.call
    file, _, name = function.entry.rpartition(":")
    request = FunctionCall(file=skill.folder / file, name=name, arguments=call.arguments, folder=skill.folder)
    n_tries = N_TRIES if function.idempotent else 1
    is_harmless = function.effects != "write"
    while True:
        n_tries -= 1
        try:
            async with parts.workers.use(skill, server.rights, server.scope.values()) as session:
                call.node = session.node
                done = await session.function(request, server, parts.ledger.within(function.timeout_s))
                if done.failure is not None and done.failure.type == "CellTimeout":
                    await session.close()  # what it began may go on in its threads
            break
        except WorkerLost as lost:
            if lost.killed and is_harmless:  # maybe from outside: once more
                n_tries, is_harmless = max(n_tries, 1), False
            if lost.late or not n_tries:
                raise _lost(skill, function.name, lost) from lost
            call.enter(call.stage)  # what it has called so far is on record
    call.printed = printed(done.output)
    if done.failure is not None and not done.loaded:
        raise SkillError(
            f"`{skill.name}.{function.name}` can't be loaded from `{request.file}`: "
            f"{done.failure.type}: {done.failure.message}\n{done.failure.traceback}",
            kind="invalid",
            error_kind="import",
            hint=done.failure.hint or "correct the skill's code; `orchestrate skills test` runs its examples",
        )
    if done.failure is not None:
        raise _failed(skill, function.name, done.failure)
    return done.value


async def run_script(server: Server, program: Program) -> Any:
    """What a program of the skill printed: its JSON value, else its text. Raises SkillError on a non-zero exit."""
    parts, skill, script = server.parts, program.skill, program.script
    command = _command(skill, script)
    request = ScriptCall(
        argv=[*command, *program.argv],
        stdin=program.stdin,
        cwd=parts.cwd,
        env={"SKILL_DIR": str(skill.folder), "CLAUDE_SKILL_DIR": str(skill.folder)},
    )
    try:
        async with parts.workers.use(skill, server.rights, program=Path(command[0])) as session:
            server.call.node = session.node
            done = await session.script(request, parts.ledger.within(program.timeout_s))
    except WorkerLost as lost:
        raise _lost(skill, script, lost) from lost
    return _printed(skill, script, done)


def program_of(skill: Skill, function: Function, arguments: dict[str, Any]) -> Program:
    """A `script` entry with its arguments handed over in the manifest's style."""
    if function.style == "stdin-json":
        stdin = json.dumps(arguments, ensure_ascii=False)
        return Program(skill, function.entry, [], stdin, function.timeout_s)
    words = script_argv(skill, function.entry, arguments)
    return Program(skill, function.entry, words, timeout_s=function.timeout_s)


def script_argv(skill: Skill, path: str, options: Mapping[str, Any]) -> list[str]:
    """Command line words for keywords: as the script's own argparse calls say, else `--name value`.

    Raises SkillError for keywords that the script does not take. Its defaults are left to it: a word that says
    what holds anyway may still contradict another one.
    """
    script = skill.scripts.get(path)
    if script is not None and script.input is not None:
        from orchestrator.catalog.argv import branch_of, to_argv  # here: most runs start no script

        branch = branch_of(script.input, options)
        _refuse(skill, path, branch, compiled(branch).problems(dict(options)))
        return to_argv(script.input, options)
    words: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif isinstance(value, list):
            words += [option, *map(_word, value)]
        elif value is not None and value is not False:
            words += [option, _word(value)]
    return words


def printed(output: Output) -> str:
    """Head and tail of an output, with what was left out between them."""
    n_left_out = output.n_chars - len(output.head) - len(output.tail)
    if n_left_out <= 0:
        return output.head + output.tail
    whole = f"; the whole is in {output.path}" if output.path else ""
    return f"{output.head}\n[... {n_left_out:,} characters left out{whole} ...]\n{output.tail}"


def checked_arguments(skill: Skill, function: Function, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments with defaults filled in. Raises SkillError naming path, what was expected and what came.

    What was inferred from a script is checked when its command line is made.
    """
    if function.input is None or (function.inferred and function.kind == "script"):
        return arguments
    validator = compiled(function.input)
    filled: dict[str, Any] = validator.with_defaults(arguments)
    _refuse(skill, function.name, function.input, validator.problems(as_shown(filled)))
    return filled


def _refuse(skill: Skill, name: str, schema: Schema, problems: Sequence[Any]) -> None:
    if problems:
        raise SkillError(
            f"`{skill.name}.{name}` was called with arguments that break its schema: {_listed(problems)}",
            kind="invalid",
            error_kind="input_schema",
            hint=f"call it as {signature(name, schema)}",
        )


def checked_value(skill: Skill, function: Function, value: Any) -> Any:
    """The value. Raises SkillError when it breaks the function's output schema."""
    if function.output is not None and (problems := compiled(function.output).problems(value)):
        raise SkillError(
            f"`{skill.name}.{function.name}` returned a value that breaks its output schema: {_listed(problems)}",
            kind="invalid",
            error_kind="output_schema",
            hint="correct the skill's code, or `output:` in its manifest.yaml",
        )
    return value


def nested_workflow(skill: Skill, function: Function) -> Any:
    """The workflow that a `workflow` entry names. Raises SkillError with all its problems."""
    try:
        return load_workflow(skill.folder / function.entry)
    except DocumentError as error:
        raise SkillError(
            f"`{skill.name}.{function.name}`: {error}", kind="invalid", error_kind="document"
        ) from error


def _command(skill: Skill, script: str) -> list[str]:
    path = skill.folder / script
    if not is_covered(path, skill.folder) or not path.is_file():
        known = ", ".join(f"`{name}`" for name in skill.scripts) or "none"
        raise SkillError(
            f"`{skill.name}` has no script `{script}`", error_kind="no_script", hint=f"its scripts: {known}"
        )
    names = INTERPRETERS.get(path.suffix.lower())
    if names is None:
        if os.access(path, os.X_OK):
            return [str(path)]
        raise SkillError(
            f"`{skill.name}`: no interpreter is known for `{script}`",
            error_kind="missing_binary",
            hint="make it executable and begin it with a `#!` line",
        )
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        raise SkillError(
            f"`{skill.name}`: `{script}` needs `{names[0]}`, which is not on this machine",
            error_kind="missing_binary",
            hint=f"install `{names[0]}`; `orchestrate doctor` says what is found",
        )
    if program == sys.executable:
        return [program, "-c", LAUNCHER, str(skill.folder), str(path)]
    return [program, str(path)]


def _printed(skill: Skill, script: str, done: ScriptDone) -> Any:
    if done.returncode:
        end = done.stderr.strip()[-2000:]
        raise SkillError(
            f"`{skill.name}`: `{script}` exited with code {done.returncode}" + (f":\n{end}" if end else ""),
            error_kind=surroundings.of_exit(done.returncode, end) or f"exit_{done.returncode}",
        )
    if done.truncated:
        raise SkillError(
            f"`{skill.name}`: `{script}` printed more than can be taken in", error_kind="output_size",
            hint="let it write a file and print the file's path",
        )  # fmt: skip
    try:
        return json.loads(done.stdout)
    except ValueError:
        return done.stdout


def _failed(skill: Skill, name: str, failure: Failure) -> SkillError:
    if failure.type in (
        "SkillError",
        "SubCallError",
    ):  # names what failed further down, with its own traceback
        return SkillError(
            f"in `{skill.name}.{name}`: {failure.message}", error_kind="nested", hint=failure.hint
        )
    late = failure.type == "CellTimeout"
    detail = f"\n{failure.traceback}" if failure.traceback else ""
    return SkillError(
        f"`{skill.name}.{name}` raised {failure.type}: {failure.message}{detail}",
        kind="timeout" if late else "error",
        error_kind="timeout"
        if late
        else surroundings.of_exception(failure.type, failure.message) or failure.type,
        hint=failure.hint,
    )


def _lost(skill: Skill, name: str, lost: WorkerLost) -> SkillError:
    return SkillError(
        f"`{skill.name}.{name}`: {lost.reason}",
        kind="timeout" if lost.late else "error",
        error_kind="timeout" if lost.late else "worker_killed" if lost.killed else "worker_lost",
        retryable=not lost.late,
    )


def _listed(problems: Sequence[Any]) -> str:
    shown = [f"{problem.path}: expected {problem.expected}, got {problem.got}" for problem in problems[:5]]
    return "; ".join(shown) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
