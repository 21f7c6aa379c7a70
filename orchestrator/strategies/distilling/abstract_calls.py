"""The calls of an abstract run: what comes of sub-calls, skills, functions of cells, and Python's own."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from orchestrator.strategies.distilling.abstract_expressions import GIVEN_VALUES, Expressions
from orchestrator.strategies.distilling.cell_run import BATCHED, CALLS_OF
from orchestrator.strategies.distilling.dataflow import bound_here
from orchestrator.strategies.distilling.known_calls import (
    DYNAMIC,
    FRESH,
    LOOKING,
    PRINTING,
    READING_FILES,
    SEARCHING_REGEX,
    SEARCHING_TEXT,
)
from orchestrator.strategies.distilling.origins import NOTHING, SOURCES, Value, joined, picking
from orchestrator.strategies.distilling.syntax import Function, dotted, root_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.strategies.distilling.origins import Watcher

MAX_DEPTH = 5
"""So deep functions of cells are entered."""

ONCE = frozenset({"submit", "partial", "reduce", "apply_async"})
"""Of functions that are handed on, these call theirs once."""

CUTTING = frozenset({"pieces", "textwrap.wrap", "re.split", "itertools.batched"})


PASSING = ("whole", "check:", "piece", "line", "found", "sifted", "measured", "mapped")
"""What is said of a value and not of a reply to it."""


class Calls(Expressions):
    """Adds calls to an abstract run."""

    def __init__(self, watcher: Watcher | None = None) -> None:
        super().__init__(watcher)
        self._returned: list[Value] = []
        self._entered: list[Function] = []

    def body(self, statements: Sequence[ast.stmt]) -> None:
        """Go through statements."""
        raise NotImplementedError

    def call(self, node: ast.Call) -> Value:
        """What a call comes to."""
        name = dotted(node.func, self.aliases)
        if name in ("FINAL", "FINAL_VAR"):
            return self._final(name, node)
        if name in CALLS_OF:
            return self._sub_call(name, node)
        if name.startswith("skills."):
            return self._skill_call(name, node)
        if isinstance(node.func, ast.Name) and (function := self.functions.get(node.func.id)):
            return self.enter(function, node.args, node.keywords)
        self.watcher.called(name)
        handed = [
            part for part in (*node.args, *(word.value for word in node.keywords)) if self._callable(part)
        ]
        if handed:
            return self._hand_on(name, node, handed)
        if isinstance(node.func, ast.Attribute):
            return self._method(name, node, node.func)
        return self._function(name, node)

    def _final(self, name: str, node: ast.Call) -> Value:
        value = self.all_of(node.args)
        if name == "FINAL_VAR":
            value = joined(
                self.name(str(part.value).strip()) for part in node.args if isinstance(part, ast.Constant)
            )
        self.answer = self.answer | value | self.decided()
        return NOTHING

    def _given(self, node: ast.Call) -> Value:
        words = [word.value for word in node.keywords if word.arg not in ("schema", "model")]
        return self.all_of([*node.args, *words])

    def _sub_call(self, name: str, node: ast.Call, given: Value | None = None) -> Value:
        given = self._given(node) if given is None else given
        many = name in BATCHED or self.is_many(given) or bool(self.loops and given.has("piece"))
        if given.has("piece", "line") and many:
            self.watcher.cut(given)
        self.watcher.sub_call(name, given, many)
        place = f"{self.at}.{node.lineno}.{node.col_offset}"
        marks = [f"sub:{place}"] + ["mapped"] * many
        if given.has("sub:", "skill"):
            marks.append(f"check:{place}")
        if given.has(*("context", "inputs", "skill", "files", "memory", "task")):
            marks.append("informed")
        return given.as_("asked").minus(*PASSING).plus(*marks)

    def _skill_call(self, name: str, node: ast.Call) -> Value:
        given = self.all_of([*node.args, *(word.value for word in node.keywords)])
        many = name.endswith(".map") or self.is_many(given)
        self.watcher.skill_call(name, given, many)
        marks = ["skill"] + ["mapped"] * many
        if given.has("sub:", "skill"):
            marks.append(f"check:{self.at}.{node.lineno}.{node.col_offset}")
        return given.as_("asked").minus(*PASSING).plus(*marks)

    def _callable(self, node: ast.expr) -> Function | str | None:
        """The function that an argument is: one of a cell, or the name of one that makes calls."""
        if isinstance(node, ast.Lambda):
            return node
        if isinstance(node, ast.Name) and node.id in self.functions:
            return self.functions[node.id]
        name = dotted(node, self.aliases)
        return (
            name
            if name in CALLS_OF or (name.startswith("skills.") and not isinstance(node, ast.Call))
            else None
        )

    def _hand_on(self, name: str, node: ast.Call, handed: list[ast.expr]) -> Value:
        """A call of something that calls the functions it is given: `map`, `executor.map`, `sorted(key=...)`."""
        values = [word.value for word in node.keywords]
        given = self.all_of([part for part in (*node.args, *values) if part not in handed])
        receiver = self.value(node.func.value) if isinstance(node.func, ast.Attribute) else NOTHING
        found = given | receiver
        once = name.rpartition(".")[2] in ONCE
        with self.under() if once else self.each(given) as part:
            for one in handed:
                found = found | self._apply(one, part or given, node)
        if isinstance(node.func, ast.Attribute) and node.func.attr not in LOOKING:
            self.put_into(root_of(node.func), found)
        return found

    def _apply(self, callee: ast.expr, given: Value, node: ast.Call) -> Value:
        function = self._callable(callee)
        if isinstance(function, str):
            return (
                self._sub_call(function, node, given)
                if function in CALLS_OF
                else self._skill_call(function, node)
            )
        return self.enter(function, [], [], given) if function is not None else NOTHING

    def enter(
        self,
        function: Function,
        args: Sequence[ast.expr],
        keywords: Sequence[ast.keyword],
        given: Value | None = None,
    ) -> Value:
        """What a function of a cell returns; `given` stands for every argument where it is told."""
        values = [self.value(arg) for arg in args]
        named = {word.arg: self.value(word.value) for word in keywords}
        rest = joined([*values, *named.values(), given or NOTHING])
        if function in self._entered or len(self._entered) >= MAX_DEPTH:
            return rest.as_("text")
        parameters = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        outer, own = dict(self.env), {arg.arg for arg in parameters} | bound_here(function)
        for number, parameter in enumerate(parameters):
            told = values[number] if number < len(values) else named.get(parameter.arg)
            self.env[parameter.arg] = (given or NOTHING) if told is None else told
        for variadic in filter(None, (function.args.vararg, function.args.kwarg)):
            self.env[variadic.arg] = rest
        self._entered.append(function)
        self._returned.append(NOTHING)
        if isinstance(function, ast.Lambda):
            self._returned[-1] = self.value(function.body)
        else:
            self.body(function.body)
        self._entered.pop()
        inside, self.env = self.env, outer
        self.env.update({name: value for name, value in inside.items() if name not in own})
        for arg, parameter in zip(args, parameters, strict=False):  # what it did to what it was given
            if isinstance(arg, ast.Name) and inside.get(parameter.arg, NOTHING).of - self.name(arg.id).of:
                self.put_into(arg.id, inside[parameter.arg])
        return self._returned.pop()

    def _method(self, name: str, node: ast.Call, func: ast.Attribute) -> Value:
        receiver = self.value(func.value)
        args = [*node.args, *(word.value for word in node.keywords)]
        attr = func.attr
        if name in PRINTING:
            self.watcher.shown(self.all_of(args))
            return NOTHING
        if attr in SEARCHING_REGEX or attr in SEARCHING_TEXT:
            return self._search(name, attr, receiver, args)
        if attr == "join":
            return (receiver | self.all_of(args)).as_("text").minus("piece", "line")
        if attr in ("get", "pop") and args:
            index, found = self.value(args[0]), receiver | self.all_of(args[1:])
            return (found.as_("chosen") if index.has(*SOURCES) else found) | picking(index)
        if attr in ("split", "splitlines", "chunks", "lines", "wrap") or name in CUTTING:
            return self._split(name, attr, receiver, args)
        if attr in ("replace", "strip", "removeprefix", "removesuffix", "lstrip", "rstrip"):
            return receiver | self.all_of(args[1:]).as_("text")
        if name in READING_FILES or attr in READING_FILES:
            return (receiver | self.all_of(args)).as_("text").plus("files")
        if name in ("memory.read", "memory.search"):
            return self.all_of(args).as_("text").plus("memory")
        given = self.all_of(args)
        if attr not in LOOKING and root_of(func) not in self.aliases:
            self.put_into(root_of(func), given, inside=not isinstance(func.value, ast.Name))
            return receiver | given
        return (receiver | given).as_("text") if given.spots else receiver | given

    def _search(self, name: str, attr: str, receiver: Value, args: list[ast.expr]) -> Value:
        values = [self.value(arg) for arg in args]
        if name.startswith("re."):
            text = joined(values[1:])
        elif attr in SEARCHING_REGEX or not receiver.has("context", "inputs", "sub:", "skill", "files"):
            text = joined(values[:1])
        else:
            text = receiver
        self.watcher.searched(text)
        return (text.without_spots() if attr in SEARCHING_TEXT else text).minus("whole").plus("found")

    def _split(self, name: str, attr: str, receiver: Value, args: list[ast.expr]) -> Value:
        values = [self.value(arg) for arg in args]
        text = (values[-1] if len(values) > 1 else NOTHING) if name.startswith("re.") else receiver
        if name.startswith(("textwrap.", "itertools.")):
            text = joined(values[:1])
        separator = args[0].value if args and isinstance(args[0], ast.Constant) else None
        large = name in CUTTING or attr == "chunks" or (isinstance(separator, str) and len(separator) > 1)
        if not text.has("context", "inputs", "files"):
            return text.as_("text")
        return text.plus("piece" if large else "line")

    def _function(self, name: str, node: ast.Call) -> Value:
        args = [*node.args, *(word.value for word in node.keywords)]
        if name in PRINTING:
            self.watcher.shown(self.all_of(args))
            return NOTHING
        if name.startswith("re.") and name[3:] in SEARCHING_REGEX:
            return self._search(name, name[3:], NOTHING, args)
        if name in CUTTING:
            values = [self.value(arg) for arg in args]
            text = values[1] if name == "re.split" and len(values) > 1 else joined(values[:1])
            return text.plus("piece")
        given = self.all_of(args)
        if name in DYNAMIC:
            return joined([given, *self.env.values(), *GIVEN_VALUES.values()]).without_spots()
        if name in READING_FILES:
            return given.as_("text").plus("files")
        if name in ("isinstance", "issubclass", "hasattr", "callable"):
            return given.without_spots()
        if name in FRESH:
            measured = given.minus("whole").as_("text")
            return measured if name in ("str", "repr", "format") else measured.plus("measured")
        if name in (
            "list",
            "sorted",
            "tuple",
            "set",
            "dict",
            "zip",
            "enumerate",
            "reversed",
            "iter",
            "next",
            "FINAL",
        ):
            return given
        return given.as_("text")
