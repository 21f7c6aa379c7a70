"""Which strategy to try first: a ranking that goes by the situation, learns, explores a little and says why."""

from orchestrator.memory.ranking.ranker import Ranked, Ranker
from orchestrator.memory.ranking.tuning import Tuning

__all__ = ["Ranked", "Ranker", "Tuning"]
