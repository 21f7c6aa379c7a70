"""The keys of a workflow's frontmatter and of a manifest, as pydantic models: their types, bounds and names.

Defaults that the frozen values of `types` and `values` already have are not repeated: a key that was not written is
left out when those are made. Whole schemas, placeholders and entries are checked by those who know more.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.values import Effects

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
Text = Annotated[str, StringConstraints(min_length=1)]


class Keys(BaseModel):
    """A mapping that a user writes. Strict: `depth: "3"` and `depth: true` are mistakes, not numbers."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class BudgetKeys(Keys):
    """`budget:`; null means no limit."""

    depth: Count | None = None
    iterations: Count | None = None
    calls: Count | None = None
    tokens: Count | None = None
    usd: Amount | None = None
    seconds: Amount | None = None
    errors: Count | None = None
    concurrency: Annotated[int, Field(ge=1, le=1000)] = 16


class PermissionKeys(Keys):
    """`permissions:` of a workflow or a skill."""

    network: list[Text] = []
    read: list[Text] = []
    write: list[Text] = []
    env: list[Text] = []


class ModelKeys(Keys):
    """`model:`, also written as one name for the root."""

    root: Text | None = None
    sub: Text | None = None


class RetryKeys(Keys):
    """`retry:`."""

    max: Annotated[int, Field(ge=0, le=100)] = 0


class CheckKeys(Keys):
    """One of `checks:`."""

    name: Text | None = None
    expr: Text | None = None
    shell: Text | None = None
    skill: Text | None = None
    judge: Text | None = None
    arguments: dict[str, Any] | None = Field(None, alias="with")
    runs: Annotated[int, Field(ge=1, le=99)] = 1
    passes: Annotated[int, Field(ge=1, le=99)] | None = Field(None, alias="pass")

    @property
    def kind(self) -> Literal["expr", "shell", "skill", "judge"]:
        """Which of the four it is."""
        return "expr" if self.expr else "shell" if self.shell else "skill" if self.skill else "judge"

    @property
    def text(self) -> str:
        """The expression, command line, skill or claim."""
        return self.expr or self.shell or self.skill or self.judge or ""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> CheckKeys:
        kinds = [kind for kind in ("expr", "shell", "skill", "judge") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            hint = "write one of `expr`, `shell`, `skill`, `judge`"
            raise _mistake(f"a check has to be of one kind, this has {len(kinds)}", hint)
        if self.arguments is not None and self.skill is None:
            raise _mistake("`with` belongs to a `skill` check", "remove it")
        if self.judge is None and (self.runs != 1 or self.passes is not None):
            raise _mistake("`runs` and `pass` belong to a `judge` check", "remove them")
        if self.passes is not None and self.passes > self.runs:
            raise _mistake(f"`pass: {self.passes}` can't be reached in `runs: {self.runs}`", "raise `runs`")
        return self


def _root_of(value: Any) -> Any:
    return {"root": value} if isinstance(value, str) else value


def _allow_list(value: Any) -> Any:
    return None if value == "all" else value


class WorkflowKeys(Keys):
    """The frontmatter of a workflow."""

    name: Name
    description: str = ""
    inputs: Any = None
    output: Any = None
    skills: Annotated[list[Text] | None, BeforeValidator(_allow_list)] = None
    context: list[Text] = []
    model: Annotated[ModelKeys, BeforeValidator(_root_of)] = ModelKeys()
    strategies: Annotated[list[Text], Field(min_length=1)] | None = None
    budget: BudgetKeys = BudgetKeys()
    permissions: PermissionKeys = PermissionKeys()
    approvals: list[Text] = []
    remember: list[Text] = []
    checks: list[CheckKeys] = []
    retry: RetryKeys = RetryKeys()
    cell_timeout_s: Seconds | None = None


class FitKeys(Keys):
    """`applies:` of a strategy."""

    min_bytes: Count = 0
    max_bytes: Count | None = None
    min_windows: Amount = 0.0
    max_windows: Amount | None = None
    depth: Count = 0


class EvidenceKeys(Keys):
    """`evidence:` of a learned strategy."""

    run: str = ""
    at: str = ""
    workflow: str = ""
    workflow_version: str = ""
    checks: list[str] = []
    usd: Amount = 0.0
    tokens: Count = 0
    calls: Count = 0


class StrategyKeys(Keys):
    """The frontmatter of a strategy."""

    name: Name
    description: Text
    applies: FitKeys = FitKeys()
    evidence: EvidenceKeys | None = None
    first: bool = False


class EntryKeys(Keys):
    """`entry:` of a function: exactly one kind."""

    python: Text | None = None
    script: Text | None = None
    prompt: Text | None = None
    workflow: Text | None = None
    style: Literal["argparse", "stdin-json"] = "argparse"

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> EntryKeys:
        kinds = [
            kind for kind in ("python", "script", "prompt", "workflow") if getattr(self, kind) is not None
        ]
        if len(kinds) != 1:
            hint = 'as `{python: "skill.py:count"}` or `{script: scripts/count.py}`'
            raise _mistake(
                f"an entry has one of `python`, `script`, `prompt`, `workflow`; this has {len(kinds)}", hint
            )
        if "style" in self.model_fields_set and self.script is None:
            raise _mistake("`style` belongs to a `script` entry", "remove it")
        return self


class FunctionKeys(Keys):
    """One of a manifest's `functions:`."""

    description: str = ""
    entry: EntryKeys
    input: Any = None
    output: Any = None
    effects: Effects | None = None
    idempotent: bool | None = None
    approval: bool | None = None
    timeout_s: Seconds | None = None


class RequiresKeys(Keys):
    """`requires:` of a manifest."""

    bins: list[Text] = []
    env: list[Text] = []
    packages: list[Text] = []


class ExampleKeys(Keys):
    """One of a manifest's `examples:`."""

    input: dict[str, Any] = {}
    output: Any = None
    function: Text | None = None


class ManifestKeys(Keys):
    """A manifest.yaml that carries the marker."""

    marker: str = Field("", alias="schema")
    functions: dict[str, FunctionKeys] = {}
    default: Text | None = None
    uses: list[Text] = []
    permissions: PermissionKeys = PermissionKeys()
    requires: RequiresKeys = RequiresKeys()
    examples: list[ExampleKeys] = []


def _mistake(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("mistake", "{message}", {"message": message, "hint": hint})
