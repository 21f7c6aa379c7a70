"""Inferred schemas and command lines against what the real argparse makes of them."""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import dataclass
from typing import Any

import jsonschema
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from orchestrator.catalog.argv import branch_of, to_argv
from orchestrator.catalog.scripts import parse_script
from orchestrator.errors import CallError

TEXT = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=6
) | st.sampled_from(["-x", "--", "--mode", "-1", "@f", "a b", "-", "=", "--mode=1", "-1e5", ""])
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
INTEGERS = st.integers(-(10**9), 10**9)
SCALARS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "": ("string", TEXT),
    "type=str": ("string", TEXT),
    "type=int": ("integer", INTEGERS),
    "type=float": ("number", NUMBERS),
    "choices=['red', 'blue', '-dash']": ("string", st.sampled_from(["red", "blue", "-dash"])),
    "type=int, choices=range(3)": ("integer", st.sampled_from([0, 1, 2])),
}


@dataclass(frozen=True)
class Declared:
    """An `add_argument` call, the values that its keyword takes."""

    dest: str
    source: str
    values: st.SearchStrategy[Any]
    required: bool


def _listed(values: st.SearchStrategy[Any], nargs: str) -> st.SearchStrategy[Any]:
    low, high = {"?": (0, 1), "*": (0, 3), "+": (1, 3), "2": (2, 2)}[nargs]
    return st.lists(values, min_size=low, max_size=high)


@st.composite
def options(draw: st.DrawFn, dest: str) -> Declared:
    name = f"--{dest.replace('_', '-')}"
    kind = draw(
        st.sampled_from(["store", "flag", "off", "count", "many", "append", "append-many", "bool", "const"])
    )
    scalar = draw(st.sampled_from(sorted(SCALARS)))
    values = SCALARS[scalar][1]
    required = draw(st.booleans())
    tail = f"{', ' + scalar if scalar else ''}{', required=True' if required else ''}"
    nargs = draw(st.sampled_from(["*", "+", "2"]))
    shown = "2" if nargs == "2" else f"'{nargs}'"
    letter = next(name[0] for name in OPTION_NAMES if dest.endswith(name))
    short = f"'-{letter}', " if draw(st.booleans()) else ""
    match kind:
        case "store":
            return Declared(dest, f"{short}'{name}'{tail}", values, required)
        case "flag":
            return Declared(dest, f"{short}'{name}', action='store_true'", st.booleans(), False)
        case "off":
            return Declared(dest, f"'{name}', action='store_false'", st.booleans(), False)
        case "count":
            return Declared(dest, f"'{name}', action='count', default=1", st.integers(1, 4), False)
        case "many":
            return Declared(dest, f"'{name}', nargs={shown}{tail}", _listed(values, nargs), required)
        case "append":
            return Declared(
                dest, f"'{name}', action='append'{tail}", st.lists(values, min_size=1, max_size=3), required
            )
        case "append-many":
            lists = st.lists(_listed(values, nargs), min_size=1, max_size=2)
            return Declared(dest, f"'{name}', action='append', nargs={shown}{tail}", lists, required)
        case "bool":
            return Declared(dest, f"'{name}', action=argparse.BooleanOptionalAction", st.booleans(), False)
    return Declared(dest, f"'{name}', action='store_const', const=7", st.just(7), False)


@st.composite
def positionals(draw: st.DrawFn, dest: str) -> Declared:
    scalar = draw(st.sampled_from(sorted(SCALARS)))
    values = SCALARS[scalar][1]
    tail = f", {scalar}" if scalar else ""
    nargs = draw(st.sampled_from(["", "?", "*", "+", "2"]))
    if not nargs:
        return Declared(dest, f"'{dest}'{tail}", values, True)
    shown = "2" if nargs == "2" else f"'{nargs}'"
    if nargs == "?":
        return Declared(dest, f"'{dest}', nargs='?'{tail}", values, False)
    # An absent `*` positional with choices is refused by some versions of argparse.
    assume(not (nargs == "*" and "choices" in tail))
    return Declared(dest, f"'{dest}', nargs={shown}{tail}", _listed(values, nargs), nargs != "*")


OPTION_NAMES = ("mode", "dry_run", "limit", "tag")
POSITIONAL_NAMES = ("source", "target")


@st.composite
def parsers(draw: st.DrawFn, prefix: str = "") -> list[Declared]:
    names = draw(st.lists(st.sampled_from(OPTION_NAMES), unique=True))
    places = draw(st.lists(st.sampled_from(POSITIONAL_NAMES), unique=True))
    declared = [draw(options(prefix + name)) for name in names] + [
        draw(positionals(prefix + name)) for name in places
    ]
    return draw(st.permutations(declared))


def _calls(variable: str, declared: list[Declared]) -> str:
    return "".join(f"{variable}.add_argument({one.source})\n" for one in declared)


@st.composite
def chosen(draw: st.DrawFn, declared: list[Declared]) -> dict[str, Any]:
    return {one.dest: draw(one.values) for one in declared if one.required or draw(st.booleans())}


def _parsed(source: str, argv: list[str]) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(source, names)  # made above, not by a skill
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            return vars(names["parser"].parse_args(argv))
        except SystemExit as error:
            raise AssertionError(f"{argv}: {errors.getvalue()}") from error


def _argv(source: str, values: dict[str, Any]) -> list[str]:
    script = parse_script(source.encode(), "scripts/made.py")
    assert script.input is not None
    assert script.unread == ()
    jsonschema.validate(values, branch_of(script.input, values))
    jsonschema.validate(values, script.input)
    try:
        return to_argv(script.input, values)
    except CallError:
        assume(False)  # argparse could not be told; what is refused is tested by itself
        raise


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=0, abs_tol=0)
    return type(one) is type(other) and one == other


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_argparse_reads_back_the_keywords_it_was_given(data: st.DataObject) -> None:
    declared = data.draw(parsers())
    values = data.draw(chosen(declared))
    source = "import argparse\nparser = argparse.ArgumentParser()\n" + _calls("parser", declared)
    parsed = _parsed(source, _argv(source, values))
    assert {name: parsed[name] for name in values} == values
    assert all(_same(parsed[name], value) for name, value in values.items())


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_argparse_reads_back_a_command_and_its_keywords(data: st.DataObject) -> None:
    outer = [one for one in data.draw(parsers()) if "--" in one.source]
    inner = {name: data.draw(parsers(f"{name}_")) for name in ("add", "drop")}
    command = data.draw(st.sampled_from(["add", "drop", "plus"]))
    of_command = inner["add" if command == "plus" else command]
    values = {"action": command, **data.draw(chosen(outer)), **data.draw(chosen(of_command))}
    source = (
        "import argparse\nparser = argparse.ArgumentParser()\n"
        + _calls("parser", outer)
        + "commands = parser.add_subparsers(dest='action', required=True)\n"
        + "add = commands.add_parser('add', aliases=['plus'])\ndrop = commands.add_parser('drop')\n"
        + _calls("add", inner["add"])
        + _calls("drop", inner["drop"])
    )
    parsed = _parsed(source, _argv(source, values))
    assert {name: parsed[name] for name in values} == values


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_stated_defaults_are_those_that_argparse_gives(data: st.DataObject) -> None:
    declared = [one for one in data.draw(parsers()) if not one.required]
    source = "import argparse\nparser = argparse.ArgumentParser()\n" + _calls("parser", declared)
    schema = parse_script(source.encode(), "made.py").input
    assert schema is not None
    parsed = _parsed(source, [])
    stated = {name: part["default"] for name, part in schema["properties"].items() if "default" in part}
    assert stated == {name: value for name, value in parsed.items() if name in stated}
    assert not {name for name, value in parsed.items() if value not in (None, [])} - stated.keys()
