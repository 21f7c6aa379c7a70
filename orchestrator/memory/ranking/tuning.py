"""What a ranking may be told to do otherwise: for measurements of what each part is worth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """How a ranking learns. The defaults are meant for everyone; none was fitted to one set of records."""

    n_neighbours: int = 100
    """Situations that are looked at for one decision, the nearest."""

    n_situations: int = 2000
    """Situations that are kept; those whose records weigh least go first, a tenth at a time."""

    widths: tuple[float, float, float] = (0.1, 0.3, 1.0)
    """How far a situation speaks for another, as shares of the distance of the farthest neighbour."""

    shrinkage: float = 1.0
    """Factor of all counts that stand for what is believed before the record speaks; 0 = believe the record alone."""

    exploration: float = 0.1
    """Standard deviations of what is not known of an arm, by which a draw for the first place spreads; 0 = none."""

    first_tries: float = 1.0
    """An arm that was tried, but fewer times than this times the logarithm of the number of all records is drawn with the
    whole of what is not known of it: with less, bad luck in its first tries would keep it away for good. That many
    tries no ranking does without (Lai and Robbins, "Asymptotically efficient adaptive allocation rules", 1985)."""

    hope: float = 1.0
    """The same, added to an arm's score for all other places: to learn there displaces nothing that is believed better."""

    price: float = 0.02
    """What a tenfold cost weighs, in probability of success; time weighs a quarter of money."""

    half_life: float = 2000.0
    """Records after which one counts half."""

    half_life_days: float = 120.0
    """The same in days, where records say when they were made."""
