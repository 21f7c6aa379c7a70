"""What learning is worth: twelve workflows over many rounds, with a scripted model that fails where models fail.

    python benchmarks/learning [--rounds 10] [--seeds 1] [--full] [--workflows NAME...]

`cases` has the workflows and their texts, new ones in each round; `scripted` the model, served on loopback, with what it
can't do; `sides` how a side of a comparison is run; `ablations` and `adversaries` what a side lacks or suffers. Runs are
real ones, with workers, checks, journals and a usage record, in a workspace of each side's own. An answer is right when it is the
true one, whatever its check said; a wrong verdict is drawn for each attempt, the same for all sides.

Without `--full`: learning off and on, verdicts wrong now and then, and the second run of a program. With it also what each
strategy does alone, ablations, a forged record, and a skill that lies.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(__file__).resolve().parents[2] / "tools"))

import figures
import forced
from cases import CASES
from figures import ends, rows
from model_server import ModelServer
from report import report
from scripted import Scripted
from sides import Scale, Side, measured

LIES = (0.0, 0.05, 0.2)
ABLATED_AT = 0.05
ATTACK_ROUNDS = 12
FORGED = (20, 200)
COLUMNS = ["side", "rounds", *figures.FIGURES]

ABLATED = (
    Side("learning without context", ABLATED_AT, without="context"),
    Side("learning with situations shuffled", ABLATED_AT, without="order"),
    Side("learning without shrinkage", ABLATED_AT, without="shrinkage"),
    Side("learning without distilling", ABLATED_AT, without="distilling"),
)
OF_FORGED = (
    "For each workflow, so many false successes of a strategy that fails there (in two, of a dear and of an unsure one), made "
    "free of cost, in the workflow's own situation, appended in the middle of the rounds."
)
OF_SKILL = "The root calls the skill in half of the rounds, and answers with what it said. Where it is the check, it is the only one."


class Bench:
    """All sides of one call of this benchmark, each run once."""

    def __init__(self, scale: Scale, model: Scripted, url: str) -> None:
        self.scale = scale
        self._model = model
        self._url = url
        self._runs: dict[Side, figures.Runs] = {}

    def runs(self, *sides: Side, n_rounds: int | None = None) -> dict[str, figures.Runs]:
        """The runs of sides by name, those made before among them; of so many rounds where not of all."""
        scale = replace(self.scale, n_rounds=n_rounds or self.scale.n_rounds)
        for side in sides:
            if side not in self._runs:
                self._runs[side] = measured(side, scale, self._model, self._url)
        return {side.name: self._runs[side] for side in sides}

    def alone(self) -> None:
        """What each strategy does in each workflow."""
        found = forced.alone(self._model, self._url, self.scale.cases)
        report("Learning: what there is to be learned", forced.ALONE_COLUMNS, found, forced.ALONE_NOTES)

    def main(self) -> None:
        """Learning off and on, and wrong verdicts."""
        sides = [_plain(lies, learns=learns) for lies in LIES for learns in (False, True)]
        report(self._title("off and on"), COLUMNS, rows(self.runs(*sides), self._spans), figures.NOTES)
        off, on = self.runs(*sides[:2]).values()
        begin = ends(self.scale.n_rounds)[-1][0]
        found = list(figures.by_case(off, on, self.scale.cases, begin))
        title = f"Learning: by workflow, verdicts right, rounds {begin + 1}-{self.scale.n_rounds}"
        report(title, figures.CASE_COLUMNS, found)

    def second_runs(self) -> None:
        """What a program costs beside the run that it came of."""
        found = list(forced.second_runs(self._model, self._url, self.scale))
        title = "Learning: the second run of a distilled workflow"
        report(title, forced.SECOND_COLUMNS, found, forced.SECOND_NOTES)

    def ablations(self) -> None:
        """Learning with parts taken away."""
        whole = [_plain(ABLATED_AT, learns=False), _plain(ABLATED_AT, learns=True)]
        title = self._title(f"with parts taken away, {_percent(ABLATED_AT)} wrong verdicts")
        report(title, COLUMNS, rows(self.runs(*whole, *ABLATED), self._spans))

    def forged(self) -> None:
        """A record with false successes."""
        n_rounds = min(ATTACK_ROUNDS, self.scale.n_rounds)
        middle = n_rounds // 2
        sides = [Side(f"{n} forged lines a workflow", forged=n, forged_at=middle) for n in FORGED]
        runs = self.runs(_plain(0.0, learns=True), *sides, n_rounds=n_rounds)
        spans = [(0, middle), (middle, middle + 1), (middle + 1, middle + 2), (middle + 2, n_rounds)]
        spans = [(begin, end) for begin, end in spans if begin < end <= n_rounds]
        shown = figures.FIGURES | figures.BAD_FIRST
        title = f"Learning: a forged record, before round {middle + 1}"
        report(title, ["side", "rounds", *shown], rows(runs, spans, shown), OF_FORGED)

    def skill(self) -> None:
        """A skill that lies."""
        n_rounds = min(ATTACK_ROUNDS, self.scale.n_rounds)
        sides = [
            Side(f"{_learning(learns)}, the skill {does}", learns=learns, skill=role)
            for role, does in (("answers", "may be called"), ("checks", "may be called, and is the check"))
            for learns in (False, True)
        ]
        plain = [_plain(0.0, learns=learns) for learns in (False, True)]
        found = rows(self.runs(*plain, *sides, n_rounds=n_rounds), ends(n_rounds))
        report("Learning: a skill that does nothing and reports success", COLUMNS, found, OF_SKILL)

    @property
    def _spans(self) -> list[figures.Span]:
        return list(dict.fromkeys([*ends(self.scale.n_rounds), (0, self.scale.n_rounds)]))

    def _title(self, what: str) -> str:
        scale = self.scale
        return f"Learning: {what}, {len(scale.cases)} workflows, {scale.n_rounds} rounds, seeds: {len(scale.seeds)}"


def main() -> None:
    """Run the sides and print the tables."""
    parser = argparse.ArgumentParser(description="Measure what learning is worth.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--full", action="store_true", help="also ablations and adversaries")
    parser.add_argument("--workflows", nargs="+", choices=[case.name for case in CASES], metavar="NAME")
    args = parser.parse_args()
    if args.rounds < 1 or args.seeds < 1:
        parser.error("at least one round and one seed")
    cases = tuple(case for case in CASES if args.workflows is None or case.name in args.workflows)
    model = Scripted()
    with tempfile.TemporaryDirectory() as home, ModelServer(model, check_keys=False) as server:
        os.environ |= {"BENCHMARK_KEY": "none", "XDG_DATA_HOME": home, "XDG_CONFIG_HOME": home}
        bench = Bench(Scale(args.rounds, tuple(range(args.seeds)), cases), model, server.url)
        bench.main()
        bench.second_runs()
        for more in (bench.alone, bench.ablations, bench.forged, bench.skill) if args.full else ():
            more()


def _plain(lies: float, *, learns: bool) -> Side:
    """A side that lacks nothing, and suffers nothing but wrong verdicts."""
    return Side(f"{_learning(learns)}, {_percent(lies)} wrong", lies, learns)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _learning(learns: bool) -> str:
    return "learning" if learns else "no learning"


if __name__ == "__main__":
    main()
