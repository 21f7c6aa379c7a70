"""How much each kind of evidence is worth: a logistic regression that learns from one outcome after another.

It weighs the evidence about an arm (how it did overall, in the nearest situations, in wider circles, lately) into a
probability of success. Weights have a Gaussian belief, updated by one Newton step for each outcome: the extended
Kalman filter for logistic regression, as in Fahrmeir, "Posterior mode estimation by extended Kalman filtering for
multivariate dynamic generalized linear models" (1992), section 3, with a state that does not move. Predictions of
methods combined by a learner trained on what they said before they knew: Wolpert, "Stacked generalization" (1992),
in the prequential order of Dawid (1984).
"""

from __future__ import annotations

import math
from operator import mul
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST_INFORMATION = 0.02
"""The least that an outcome is taken to say, p(1-p): a sure prediction that fails must not throw the weights about."""


class Stack:
    """The belief about the weights. A ranker makes one and owns it."""

    def __init__(self, weights: Sequence[float], variances: Sequence[float]) -> None:
        self.weights = list(weights)
        self._covariance = [
            [variance if row == column else 0.0 for column in range(len(variances))]
            for row, variance in enumerate(variances)
        ]

    def probability(self, evidence: Sequence[float]) -> float:
        """The probability of success."""
        return logistic(sum(map(mul, self.weights, evidence)))

    def learn(self, evidence: Sequence[float], success: bool, weight: float) -> None:
        """Change the belief for an outcome that counts `weight`."""
        predicted = self.probability(evidence)
        information = weight * max(LEAST_INFORMATION, predicted * (1.0 - predicted))
        direction = [sum(map(mul, row, evidence)) for row in self._covariance]
        spread = 1.0 / information + sum(map(mul, evidence, direction))
        step = weight * (success - predicted) / information / spread
        self.weights = [one + step * move for one, move in zip(self.weights, direction, strict=True)]
        for row, move in zip(self._covariance, direction, strict=True):
            share = move / spread
            row[:] = [value - share * other for value, other in zip(row, direction, strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"weights": list(self.weights), "covariance": [list(row) for row in self._covariance]}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Stack:
        """What `to_dict` made."""
        stack = cls(value["weights"], [])
        stack._covariance = [list(row) for row in value["covariance"]]
        return stack


def logistic(value: float) -> float:
    """1 / (1 + exp(-value)), also for large values."""
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, value))))
