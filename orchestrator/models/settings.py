"""`orchestrate.toml`: models under names of one's own, programs that answer as models, thresholds.

It names variables that hold keys and never a key itself. Of several files, the later ones win, name by name.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import DocumentError
from orchestrator.values import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

MOST = 1e15
"""No number in the file is larger: what is, is a slip, and would not do as a float."""

TABLES = (
    "models", "commands", "fan_out", "cache", "approvals", "suggest", "learning", "secrets", "executor",
    "environments",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """One of `[models.NAME]`. None is what the provider's defaults and the price table say."""

    model: str
    api_base: str | None = None
    key_env: str | None = None  # name of the variable that holds the key
    headers: Mapping[str, str] = field(default_factory=dict)  # `$NAME` in a value stands for a variable
    window: int | None = None  # tokens
    max_tokens: int | None = None  # of a reply
    usd_in: float | None = None  # for a million tokens
    usd_out: float | None = None
    timeout_s: float = 300.0
    retries: int = 3
    stream: bool = False
    json_schema: bool = True  # whether the endpoint takes a schema for its reply
    fallbacks: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)  # sent as they are


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """Where in the JSON that a program prints its reply and figures stand, as dotted paths."""

    field: str
    usd: str | None = None
    tokens_in: str | None = None
    tokens_out: str | None = None


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """One of `[commands.NAME]`: a program that reads messages and prints a reply. `output` None: all it prints is it."""

    argv: tuple[str, ...]
    input: Literal["text", "json"] = "text"
    output: CommandOutput | None = None
    env: tuple[str, ...] | None = None  # names of the variables it gets; None = all
    window: int = 128_000
    max_tokens: int = 8_192
    timeout_s: float = 300.0
    retries: int = 1


@dataclass(frozen=True, slots=True)
class Settings:
    """All that the files say. `fan_out` holds the fields of `runs.fan_out.FanOut` that were written."""

    models: Mapping[str, ModelSettings] = field(default_factory=dict)
    commands: Mapping[str, CommandSettings] = field(default_factory=dict)
    fan_out: Mapping[str, Any] = field(default_factory=dict)
    cache: Mapping[str, Any] = field(default_factory=dict)
    approvals: Mapping[str, Any] = field(default_factory=dict)
    suggest: Mapping[str, Any] = field(
        default_factory=dict
    )  # looked at in `memory.taught`, which can't wait for this
    learning: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    executor: Mapping[str, Any] = field(default_factory=dict)
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    warnings: tuple[Problem, ...] = ()


def load_settings(*paths: Path) -> Settings:
    """The settings of the files that are there. Raises DocumentError with all problems of all of them."""
    settings, problems = Settings(), []
    for path in paths:
        if path.is_file():
            reader = _Reader(path)
            found = reader.read()
            problems += reader.problems
            settings = Settings(
                {**settings.models, **found.models},
                {**settings.commands, **found.commands},
                {**settings.fan_out, **found.fan_out},
                {**settings.cache, **found.cache},
                {**settings.approvals, **found.approvals},
                {**settings.suggest, **found.suggest},
                {**settings.learning, **found.learning},
                {**settings.secrets, **found.secrets},
                {**settings.executor, **found.executor},
                {**settings.environments, **found.environments},
                (*settings.warnings, *found.warnings),
            )
    if any(problem.severity == "error" for problem in problems):
        raise DocumentError(problems)
    return settings


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a key takes: how it is said, and the value; ValueError for what is none."""

    said: str
    read: Callable[[Any], Any]


class _Reader:
    """Reads one file, and gathers what is wrong with it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._text = ""
        self.problems: list[Problem] = []

    def read(self) -> Settings:
        try:
            self._text = self._path.read_text("utf-8")
            tables = tomllib.loads(self._text)
        except (OSError, UnicodeDecodeError) as error:
            self._note(0, f"it can't be read: {error}")
            return Settings()
        except (
            ValueError,
            RecursionError,
        ) as error:  # tomllib's own, a number of 5,000 digits, brackets in brackets
            line = re.search(r"at line (\d+)", str(error))
            self._note(int(line[1]) if line else len(self._text.splitlines()), f"this is no TOML: {error}")
            return Settings()
        self._unknown(tables, TABLES, ())
        models = self._named(tables, "models", ModelSettings, _MODEL)
        commands = self._named(tables, "commands", CommandSettings, _COMMAND)
        commands = {name: replace(one, argv=self._located(one.argv)) for name, one in commands.items()}
        fan_out = self._table(tables.get("fan_out", {}), _FAN_OUT, ("fan_out",))
        cache = self._table(tables.get("cache", {}), _CACHE, ("cache",))
        approvals = self._table(tables.get("approvals", {}), _APPROVALS, ("approvals",))
        suggest = self._table(tables.get("suggest", {}), _SUGGEST, ("suggest",))
        learning = self._table(tables.get("learning", {}), _LEARNING, ("learning",))
        secrets = self._table(tables.get("secrets", {}), _SECRETS, ("secrets",))
        executor = self._table(tables.get("executor", {}), _EXECUTOR, ("executor",))
        environments = self._environments(tables.get("environments", {}))
        warnings = tuple(problem for problem in self.problems if problem.severity == "warning")
        return Settings(
            models, commands, fan_out, cache, approvals, suggest, learning, secrets, executor, environments,
            warnings,
        )  # fmt: skip

    def _environments(self, named: Any) -> dict[str, dict[str, Any]]:
        if not isinstance(named, dict):
            self._note(
                self._line(("environments",)), "`environments` has to be tables", "write [environments.NAME]"
            )
            return {}
        self._unknown(named, _ENVIRONMENTS, ("environments",))
        return {
            name: self._table(named[name], kinds, ("environments", name))
            for name, kinds in _ENVIRONMENTS.items()
            if name in named
        }

    def _located(self, argv: tuple[str, ...]) -> tuple[str, ...]:
        """A program that is given as a path is looked for from the file's folder: it runs in an empty one."""
        if "/" not in argv[0]:
            return argv
        return (str(self._path.absolute().parent / argv[0]), *argv[1:])

    def _named(
        self, tables: dict[str, Any], key: str, made: type[Any], kinds: Mapping[str, _Kind]
    ) -> dict[str, Any]:
        found, named = {}, tables.get(key, {})
        if not isinstance(named, dict):
            self._note(self._line((key,)), f"`{key}` has to be tables", f"write [{key}.NAME]")
            return {}
        required = [one.name for one in fields(made) if one.default is one.default_factory is MISSING]
        for name, table in named.items():
            values = self._table(table, kinds, (key, name))
            missing = [one for one in required if one not in (table if isinstance(table, dict) else {})]
            for one in missing:
                self._note(self._line((key, name)), f"[{key}.{name}] has no `{one}`", f"add {_EXAMPLES[one]}")
            if not missing and required[0] in values:
                found[name] = made(**values)
        return found

    def _table(self, table: Any, kinds: Mapping[str, _Kind], at: tuple[str, ...]) -> dict[str, Any]:
        if not isinstance(table, dict):
            self._note(self._line(at), f"`{'.'.join(at)}` has to be a table", f"write [{'.'.join(at)}]")
            return {}
        self._unknown(table, kinds, at)
        values = {}
        for key, kind in kinds.items():
            if key not in table:
                continue
            try:
                values[key] = kind.read(table[key])
            except ValueError as error:
                why = f": {error}" if str(error) else ""
                self._note(self._line((*at, key)), f"`{key}` of [{'.'.join(at)}] has to be {kind.said}{why}")
        return values

    def _unknown(self, table: Mapping[str, Any], known: Any, at: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(key, list(known), n=1)
                hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(known)}"
                where = f" in [{'.'.join(at)}]" if at else ""
                self.problems.append(
                    Problem(
                        str(self._path),
                        self._line((*at, key)),
                        f"unknown key `{key}`{where}",
                        hint,
                        "warning",
                    )
                )

    def _note(self, line: int, message: str, hint: str = "") -> None:
        self.problems.append(Problem(str(self._path), line, message, hint))

    def _line(self, at: tuple[str, ...]) -> int:
        """The line of a table's head, or of a key below it; 0 where it stands in a way that is not looked for."""
        head, whole = (
            ".".join(at[:2] if at[0] in ("models", "commands", "environments") else at[:1]),
            ".".join(at),
        )
        in_table = False
        for number, line in enumerate(self._text.splitlines(), 1):
            bare = line.strip()
            if bare.startswith("["):
                name = bare.partition("#")[0].strip("[] ").replace('"', "").replace("'", "")
                if name == whole:
                    return number
                in_table = name == head
            elif in_table and re.match(rf"\"?{re.escape(at[-1])}\"?\s*=", bare):
                return number
        return 0


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _variable(value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", _text(value)) or re.match(
        r"(sk|gsk|key|AIza)[-_A-Za-z0-9]{20,}", value
    ):
        raise ValueError("write the variable's name, and put the key into the variable")
    return _text(value)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MOST:
        raise ValueError
    return value


def _amount(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < MOST:
        raise ValueError
    return float(value)


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError
    return tuple(value)


def _words(value: Any) -> tuple[str, ...]:
    if not _texts(value):
        raise ValueError
    return _texts(value)


def _mapping(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError


def _headers(value: Any) -> dict[str, str]:
    if not all(isinstance(one, str) for one in _mapping(value).values()):
        raise ValueError
    return dict(value)


def _one_of(*names: str) -> _Kind:
    def read(value: Any) -> str:
        if value not in names:
            raise ValueError
        return str(value)

    return _Kind(" or ".join(f'"{name}"' for name in names), read)


def _output(value: Any) -> CommandOutput | None:
    if value == "text":
        return None
    known = [one.name for one in fields(CommandOutput)]
    if "field" not in _mapping(value) or not set(value) <= set(known):
        raise ValueError
    return CommandOutput(**_headers(value))


_TEXT = _Kind("text", _text)
_COUNT = _Kind("a whole number from 0", _count)
_AMOUNT = _Kind("a number from 0", _amount)
_TRUTH = _Kind("true or false", _truth)
_TEXTS = _Kind("a list of texts", _texts)

_MODEL = {
    "model": _TEXT,
    "api_base": _TEXT,
    "key_env": _Kind("the name of a variable", _variable),
    "headers": _Kind("a table of texts", _headers),
    "window": _COUNT,
    "max_tokens": _COUNT,
    "usd_in": _AMOUNT,
    "usd_out": _AMOUNT,
    "timeout_s": _AMOUNT,
    "retries": _COUNT,
    "stream": _TRUTH,
    "json_schema": _TRUTH,
    "fallbacks": _TEXTS,
    "options": _Kind("a table", _mapping),
}
_COMMAND = {
    "argv": _Kind("a list of words, not empty", _words),
    "input": _one_of("text", "json"),
    "output": _Kind('"text", or a table with `field` and perhaps `usd`, `tokens_in`, `tokens_out`', _output),
    "env": _TEXTS,
    "window": _COUNT,
    "max_tokens": _COUNT,
    "timeout_s": _AMOUNT,
    "retries": _COUNT,
}
_ENGINE = {
    "image": _TEXT,
    "python": _TEXT,
    "command": _Kind("a list of words, not empty", _words),
    "options": _TEXTS,
}
_CLOUD = {"python": _TEXT, "timeout_s": _COUNT}
_ENVIRONMENTS = {
    "docker": _ENGINE,
    "podman": _ENGINE,
    "ssh": {"python": _TEXT, "options": _TEXTS},
    "modal": {"image": _TEXT, **_CLOUD},
    "e2b": {"template": _TEXT, **_CLOUD},
    "daytona": {"snapshot": _TEXT, **_CLOUD},
    "prime": {"image": _TEXT, **_CLOUD},
}
_FAN_OUT = {"usd": _AMOUNT, "tokens": _COUNT, "calls": _COUNT, "otherwise": _one_of("refuse", "shrink")}
_CACHE = {"replies": _TRUTH}
_APPROVALS = {"by_asker": _CACHE["replies"]}
_EXECUTOR = {
    "kind": _one_of("local", "ray"),
    "address": _TEXT,
    "shared": _TRUTH,
    "models": _one_of("auto", "nodes", "owner"),
}
_LEARNING = {"enabled": _TRUTH}
_SECRETS = {"variables": _TEXTS}
_SUGGEST = {"learn": _TRUTH, "across_workspaces": _TRUTH}
_EXAMPLES = {"model": 'model = "openai/gpt-5-mini"', "argv": 'argv = ["claude", "-p"]'}


def known_keys() -> Iterator[tuple[str, str]]:
    """Every key with its table, for the reference."""
    for table, kinds in (
        ("models.NAME", _MODEL),
        ("commands.NAME", _COMMAND),
        ("fan_out", _FAN_OUT),
        ("cache", _CACHE),
        ("approvals", _APPROVALS),
        ("suggest", _SUGGEST),
        ("learning", _LEARNING),
        ("secrets", _SECRETS),
        ("executor", _EXECUTOR),
        *((f"environments.{name}", kinds) for name, kinds in _ENVIRONMENTS.items()),
    ):
        for key in kinds:
            yield table, key
