"""What a run is about to do, with everything looked up and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.runs.executor import Executor
from orchestrator.runs.fan_out import FanOut
from orchestrator.runs.parts import ModelNames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from orchestrator.catalog.trust import Distrust, How, Trusted
    from orchestrator.documents.types import Skill, Workflow
    from orchestrator.runs.models import Reach
    from orchestrator.values import Limits, Problem
    from orchestrator.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Plan:
    """A request with everything looked up; nothing was run or written yet."""

    run: str  # its id
    workflow: Workflow
    workspace: Workspace
    inputs: dict[str, Any]
    known: tuple[Skill, ...]  # all skills of the catalog
    skills: tuple[Skill, ...]  # those that the workflow may call
    limits: Limits
    environment: str
    strategies: tuple[str, ...]  # to be tried, in this order
    reach: Reach
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # settings of each, by name
    executor: Executor = field(default_factory=Executor)
    models: ModelNames = field(default_factory=ModelNames)
    fan_out: FanOut = field(default_factory=FanOut)
    usd_is_set: bool = False  # somebody limits dollars for this run, so that no price may be unknown
    accepts_prices: bool = False
    learns: bool = True  # the order of strategies follows the record, and programs are distilled
    keeps_replies: bool = False  # replies of models are kept, and taken in later runs
    strategy: str | None = None  # the one that was asked for
    budget: Mapping[str, Any] = field(default_factory=dict)  # limits as they were asked for
    missing: tuple[str, ...] = ()  # inputs that somebody still has to give
    rehearses: bool = False  # the run is replayed: nothing that is not on record is done
    resumes: bool = False  # the run has a record, and goes on with it
    answers: Mapping[str, Any] = field(default_factory=dict)  # to its needs, by their ids
    lock: Mapping[str, Trusted] = field(default_factory=dict)  # what the workspace trusts
    secrets: tuple[
        str, ...
    ] = ()  # variables whose values stay out of the record, beside those whose names say so
    barred: tuple[str, ...] = ()  # skills that it may name and that are not trusted: calling one ends the run
    trusts: tuple[Skill, ...] = ()  # skills that whoever asked for the run vouches for, to be put on the lock
    vouched: How = "program"  # in what way
    distrusted: tuple[Distrust, ...] = ()  # why it may not begin
    warnings: tuple[Problem, ...] = ()
