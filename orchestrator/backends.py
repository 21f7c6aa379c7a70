"""Which models a workspace can reach: its settings, the names that a run uses, and how each is opened."""

from __future__ import annotations

import os
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import ModelFailed, ModelUnavailable
from orchestrator.runs.fan_out import FanOut
from orchestrator.runs.models import COMMON_ALIASES, Reach
from orchestrator.runs.parts import ModelNames
from orchestrator.values import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from orchestrator.documents.types import Workflow
    from orchestrator.models.model import Model
    from orchestrator.models.names import Target
    from orchestrator.models.settings import Settings
    from orchestrator.runs.plan import Plan
    from orchestrator.workspace import Workspace


class Backends:
    """The models that a workspace can reach, by its `orchestrate.toml` and the user's own. Nothing is opened yet.

    Raises DocumentError with every problem of the settings.
    """

    def __init__(self, workspace: Workspace, environ: Mapping[str, str] = os.environ) -> None:
        self._workspace = workspace
        self._environ = environ
        self._settings = _settings(workspace, environ)
        self.warnings: tuple[Problem, ...] = self._settings.warnings if self._settings else ()
        self.aliases = frozenset(self._settings.models if self._settings else ())
        self.reach = Reach(self.resolve, self.open, self.aliases)

    @property
    def fan_out(self) -> FanOut:
        """From what price on many calls at once need somebody's word."""
        return FanOut() if self._settings is None else FanOut(**self._settings.fan_out)

    @property
    def keeps_replies(self) -> bool:
        """Whether replies are kept and taken in later runs."""
        return self._settings is not None and bool(self._settings.cache.get("replies"))

    @property
    def approves_by_asker(self) -> bool:
        """Whether the process that asked for an approval, or the run itself, may give it."""
        return self._settings is not None and bool(self._settings.approvals.get("by_asker"))

    @property
    def learns(self) -> bool:
        """Whether runs follow the record of earlier ones, and programs are distilled."""
        return self._settings is None or bool(self._settings.learning.get("enabled", True))

    @property
    def secrets(self) -> tuple[str, ...]:
        """Variables whose values are secret, beside those whose names say so."""
        if self._settings is None:
            return ()
        keys = [one.key_env for one in self._settings.models.values() if one.key_env]
        return (*keys, *self._settings.secrets.get("variables", ()))

    @property
    def executor(self) -> Mapping[str, Any]:
        """What `[executor]` says."""
        return {} if self._settings is None else self._settings.executor

    @property
    def environments(self) -> Mapping[str, Mapping[str, Any]]:
        """How each environment is started here, by its name, where the settings say anything of it."""
        return {} if self._settings is None else self._settings.environments

    def configurable(self) -> str:
        """What to do where no model is configured."""
        from orchestrator.models.names import configurable
        from orchestrator.models.settings import Settings

        return configurable(self._settings or Settings())

    @property
    def usual(self) -> ModelNames:
        """The models where no workflow names any."""
        name = self._meant("default")
        return ModelNames(name, self._meant("small") or name)

    def names(self, workflow: Workflow, root: str | None, sub: str | None) -> ModelNames:
        """The models of a run: those that were asked for, else those of the workflow, else the usual ones.

        Who asks for a root and no sub model has the root answer both.
        """
        own_sub = self._meant(workflow.sub_model)
        if root is not None:
            return ModelNames(root, sub or own_sub or root)
        root = self._meant(workflow.root_model) or self.usual.root
        return ModelNames(root, sub or own_sub or root)

    def resolve(self, name: str) -> Target:
        """What a name stands for. Raises ModelUnavailable and UsageError."""
        from orchestrator.models.names import resolve
        from orchestrator.models.settings import Settings

        return self._located(resolve(name, self._settings or Settings(), self._environ))

    def open(self, target: Target) -> Model:
        """What answers for a target. Raises ModelUnavailable when a key is missing."""
        from orchestrator.models.opening import open_model

        check_key(target, self._environ)
        return open_model(target, self._environ)

    def answers(self, prompts: Sequence[str], max_tokens: int) -> list[str | None]:
        """What the usual small model says to each; None for all where there is none, or only the host, or it fails."""
        import asyncio  # as what follows: few ask

        from orchestrator.models.model import Message, Prompt

        async def ask(model: Model) -> list[str | None]:
            try:
                asked = (model.complete(Prompt((Message("user", text),), max_tokens)) for text in prompts)
                return [reply.text for reply in await asyncio.gather(*asked)]
            finally:
                await model.close()

        nothing: list[str | None] = [None] * len(prompts)
        name = self.usual.sub
        if name is None or (target := self.resolve(name)).backend == "host":
            return nothing
        try:
            return asyncio.run(ask(self.open(target)))
        except (ModelFailed, ModelUnavailable):
            return nothing

    def _meant(self, name: str | None) -> str | None:
        """The name; None for an alias of the usual kind that nobody made here."""
        return None if name is None or (name in COMMON_ALIASES and name not in self.aliases) else name

    def _located(self, target: Target) -> Target:
        """A recording is looked for where the caller stands, then in the workspace."""
        if target.backend != "recorded":
            return target
        path = Path(target.model).expanduser()
        found = path if path.is_absolute() or path.exists() else self._workspace.root / path
        return replace(target, model=str(found.absolute()))


def check_key(target: Target, environ: Mapping[str, str]) -> None:
    """Raise ModelUnavailable, naming the variable, when a model's key is missing."""
    from orchestrator.models.names import missing_key

    missing = missing_key(target, environ)
    if missing is not None:
        hint = f"export {missing.partition(' ')[0]}=..."
        if is_unheard_of(target):
            hint += f" (nobody knows this name, so it would be sent to OpenAI as typed{_meant(target.name)})"
        raise ModelUnavailable(f"`{target.name}` needs the variable `{missing}`, which is not set", hint=hint)


def is_unheard_of(target: Target) -> bool:
    """Whether a name is no alias, names no provider, and stands in no price table: it may be mistyped."""
    from orchestrator.models.names import PROVIDERS
    from orchestrator.models.prices import price_of

    return (
        target.backend == "chat"
        and target.provider == "openai"
        and target.model == target.name
        and target.name.partition("/")[0] not in PROVIDERS
        and price_of(target.model) is None
    )


def unheard_of(names: ModelNames, backends: Backends) -> Iterator[Problem]:
    """A warning for each name of a run's models that is sent as typed, for want of knowing better."""
    for name in dict.fromkeys(one for one in (names.root, names.sub) if one is not None):
        if name not in backends.aliases and is_unheard_of(target := backends.resolve(name)):
            near = get_close_matches(name, backends.aliases, n=1)
            meant = f"; did you mean `{near[0]}`?" if near else _meant(name)
            message = (
                f"it is no alias and in no price table, so it is sent as typed to {target.api_base}{meant}"
            )
            yield Problem(f"model `{name}`", 0, message, severity="warning")


def _meant(name: str) -> str:
    from orchestrator.models.prices import closest

    near = " or ".join(f"`{one}`" for one in closest(name))
    return f"; did you mean {near}?" if near else ""


def prepare_models(planned: Plan, environ: Mapping[str, str] = os.environ) -> None:
    """Where a model is asked first: make sure that its key is there, and begin to import what it needs.

    Raises ModelUnavailable.
    """
    first = planned.strategies[0] if planned.strategies else "written"
    name = planned.models.root if first == "rlm" else planned.models.sub
    if first == "written" or name is None:
        return
    from orchestrator.models.opening import warm

    target = planned.reach.resolve(name)
    check_key(target, environ)
    warm(target)


def _settings(workspace: Workspace, environ: Mapping[str, str]) -> Settings | None:
    """The settings; None where there are none, so that nothing has to be loaded to read them."""
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config")
    paths = [
        path for path in (home / "orchestrate" / "orchestrate.toml", workspace.settings) if path.is_file()
    ]
    if not paths:
        return None
    from orchestrator.models.settings import load_settings

    return load_settings(*paths)
