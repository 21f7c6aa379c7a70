"""One side of a comparison: all its rounds, as real runs in a workspace of its own, and what came of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ablations import taken_away
from adversaries import SHORTCUT_CHECKS, forge, write_shortcut
from cases import CASES, RIGHT, write_round, write_verdict, write_workflows
from scripted import SIDE

from orchestrator import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ablations import Without
    from cases import Case, Round
    from scripted import Scripted

    from orchestrator.runs.journal import Event
    from orchestrator.values import RunResult

SkillRole = Literal["", "answers", "checks"]

WINDOW_TOKENS = 24_000
SETTINGS = """[learning]
enabled = {learns}
{models}"""
MODEL = """[models.{name}]
model = "openai/scripted"
api_base = "{url}/v1"
key_env = "BENCHMARK_KEY"
headers = {{{header} = "{side}"}}
window = {window}
max_tokens = 1000
usd_in = {usd_in}
usd_out = {usd_out}
"""
PRICES = {"default": (3.0, 15.0), "small": (0.3, 1.5)}
"""Dollars for a million tokens in and out, of the model that writes cells and of the one that reads."""

IN_MEMORY = Path("/dev/shm")
"""Where there is such a folder, workspaces lie in it: a slow disk would be most of the time, and is not what is measured."""


@dataclass(frozen=True, slots=True)
class Side:
    """How a side runs.

    `lies`: the share of verdicts that are wrong. `forged`: false successes for each workflow's bad strategy, put on
    record before the round `forged_at`.
    """

    name: str
    lies: float = 0.0
    learns: bool = True
    without: Without = ""
    skill: SkillRole = ""
    forged: int = 0
    forged_at: int = 0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run: rounds, seeds, and the workflows."""

    n_rounds: int
    seeds: tuple[int, ...]
    cases: tuple[Case, ...] = CASES


@dataclass(frozen=True, slots=True)
class Ran:
    """One run. `right`: it answered with what is true, whatever its check said; `wrong`: it answered with something else."""

    case: str
    round: int
    right: bool
    wrong: bool
    strategies: tuple[str, ...]
    calls: int
    tokens: int
    root_tokens: int
    usd: float
    learned: bool

    @property
    def right_at_once(self) -> bool:
        """Whether the first attempt was the right one."""
        return self.right and len(self.strategies) == 1

    @property
    def began_with_program(self) -> bool:
        """Whether a learned program came first."""
        return self.strategies[0].startswith("learned:")


@dataclass(slots=True)
class Workspace:
    """Where a side's runs of one seed happen. `workspace` makes it, sets it up, and takes its folder away."""

    root: Path
    side: Side
    seed: int
    model: Scripted
    ran: list[Ran] = field(default_factory=list)

    @property
    def key(self) -> str:
        """What its requests are marked with."""
        return f"{self.side.name} {self.seed}"


def measured(side: Side, scale: Scale, model: Scripted, url: str) -> dict[int, list[Ran]]:
    """All runs of a side by seed; the seeds side by side, each one's runs one after the other."""

    async def all_seeds() -> list[list[Ran]]:
        return list(await asyncio.gather(*(_rounds(side, seed, scale, model, url) for seed in scale.seeds)))

    with taken_away(side.without):
        return dict(zip(scale.seeds, asyncio.run(all_seeds()), strict=True))


@contextlib.contextmanager
def workspace(side: Side, seed: int, model: Scripted, url: str) -> Iterator[Workspace]:
    """A workspace with the twelve workflows, as long as the block lasts."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        place = Workspace(Path(folder), side, seed, model)
        _set_up(place, url)
        yield place


async def run_once(place: Workspace, case: Case, number: int, strategy: str | None = None) -> Ran:
    """One run of one workflow on the data of a round, noted down; with a strategy, that one is forced."""
    told = write_round(place.root, case, number, place.seed)
    spent = place.model.spent[place.key]
    began = replace(spent)
    file, inputs = place.root / f"{case.name}.md", {"key": told.key}
    planned = app.plan(app.RunRequest(file, inputs, workspace=place.root, strategy=strategy))
    result = await app.execute(planned, listen=_coins(place, case, told, number))
    ran = _noted(case, number, told, result, root_tokens=spent.root - began.root)
    place.ran.append(ran)
    shutil.rmtree(place.root / "memory/runs" / result.run)
    if place.side.without == "distilling":
        shutil.rmtree(place.root / "memory/strategies", ignore_errors=True)
    return ran


async def _rounds(side: Side, seed: int, scale: Scale, model: Scripted, url: str) -> list[Ran]:
    with workspace(side, seed, model, url) as place:
        for number in range(scale.n_rounds):
            if side.forged and number == side.forged_at:
                forge(place.root, scale.cases, side.forged)
            for case in scale.cases:
                await run_once(place, case, number)
        return place.ran


def _set_up(place: Workspace, url: str) -> None:
    for name in ("data", "truth", "memory"):
        (place.root / name).mkdir()
    of_all = {"url": url, "header": SIDE, "side": place.key, "window": WINDOW_TOKENS}
    models = [
        MODEL.format(name=name, usd_in=usd_in, usd_out=usd_out, **of_all)
        for name, (usd_in, usd_out) in PRICES.items()
    ]
    learns = str(place.side.learns).lower()
    (place.root / "orchestrate.toml").write_text(SETTINGS.format(learns=learns, models="\n".join(models)))
    write_shortcut(place.root / "skills")
    check = SHORTCUT_CHECKS if place.side.skill == "checks" else RIGHT
    write_workflows(place.root, "shortcut" if place.side.skill else "", check)


def _coins(place: Workspace, case: Case, told: Round, number: int) -> Callable[[Event], None]:
    """A listener that draws for each attempt, when it begins, whether its verdict will be wrong."""

    def heard(event: Event) -> None:
        if event.event == "iteration" and event.call == "0" and event.fields.get("iteration") == 1:
            strategy: str = event.fields["strategy"]
            drawn_for = "learned" if strategy.startswith("learned:") else strategy
            coin = random.Random(f"lie {place.seed} {number} {case.name} {drawn_for}").random()
            write_verdict(place.root, case, told.answer, lies=coin < place.side.lies)

    return heard


def _noted(case: Case, number: int, told: Round, result: RunResult, root_tokens: int) -> Ran:
    answered = result.status == "answered"
    return Ran(
        case=case.name,
        round=number,
        right=answered and result.answer == told.answer,
        wrong=answered and result.answer != told.answer,
        strategies=tuple(one.strategy for one in result.attempts),
        calls=result.usage.calls,
        tokens=result.usage.tokens,
        root_tokens=root_tokens,
        usd=result.usage.usd,
        learned=any(said.startswith("learned a program") for said in result.learned),
    )
