"""A REPL as cells see it, small enough for tests: cells are really run, statement by statement; models are functions."""

from __future__ import annotations

import ast
import contextlib
import io
import json
from dataclasses import dataclass, field

from orchestrator.strategies.distilling.cell_run import CallMade, CellRun


def asked(prompt, model=None, schema=None):
    """A model that is not clever, but whose replies depend on all of the prompt."""
    text = str(prompt)
    return f"<reply to {len(text)} characters, {sum(map(ord, text)) % 9973}>"


def copied(value):
    """A JSON value as it is now; None for what is none."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError):
        return None


@dataclass
class Session:
    """What came of running cells."""

    cells: list[CellRun] = field(default_factory=list)
    observations: list[str] = field(default_factory=list)
    answer: object = None
    answered: bool = False


class Repl:
    def __init__(self, context, inputs, skills=None):
        self._context, self._inputs, self._skills = context, inputs, skills
        self._names = {"__name__": "__main__", "answer": {"content": "", "ready": False}}
        self._calls, self._final = [], []

    def run(self, sources):
        session = Session()
        for number, source in enumerate(sources, 1):
            self._one(session, number, source)
            if session.answered:
                break
        return session

    def _one(self, session, number, source):
        self._calls, self._final, line, printed = [], [], None, io.StringIO()
        self._names |= self._given()
        try:
            body = ast.parse(source).body
            with contextlib.redirect_stdout(printed):
                for statement in body:
                    line = statement.lineno
                    exec(compile(ast.Module([statement], []), "cell", "exec"), self._names)
        except Exception as error:  # noqa: BLE001  (cells raise what they like)
            failed_line = line if isinstance(error, SyntaxError) else _line_of(error) or line
            session.cells.append(
                CellRun(number, source, True, failed_line, calls=tuple(self._calls), iteration=number)
            )
        else:
            state = self._names["answer"]
            session.answered = bool(self._final) or state["ready"]
            session.answer = self._final[-1] if self._final else copied(state["content"])
            session.cells.append(
                CellRun(number, source, answered=session.answered, calls=tuple(self._calls), iteration=number)
            )
        session.observations.append(printed.getvalue())

    def _given(self):
        return {
            "context": self._context,
            "inputs": self._inputs,
            "skills": self._skills,
            "llm_query": self._llm_query,
            "llm_query_batched": lambda prompts, **rest: [self._llm_query(prompt) for prompt in prompts],
            "pieces": lambda value, n: [str(value)[at : at + n] for at in range(0, len(str(value)), n)],
            "chunk_bytes": 40,
            "FINAL": lambda value: self._final.append(json.loads(json.dumps(value))),
            "FINAL_VAR": lambda name: self._final.append(json.loads(json.dumps(self._names[name]))),
            "SHOW_VARS": lambda: "",
            "log": print,
        }

    def _llm_query(self, prompt, model=None, schema=None):
        self._calls.append(CallMade("llm", "llm_query", {"prompt": prompt}))
        return asked(prompt)


def _line_of(error):
    lines, at = [], error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == "cell":
            lines.append(at.tb_lineno)
        at = at.tb_next
    return lines[0] if lines else None
