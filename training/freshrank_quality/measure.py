"""Figures of rankers on the same queries, and how sure they are: readers are drawn again and again, with all their queries."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from freshrank_training.examples import Queries
from freshrank_training.metrics import ndcg, reciprocal_rank

RESAMPLES = 2000
SEED = 1
# Of LambdaMART's NDCG@10: a ranker that may be worse by more is not shown to be as good.
MARGIN = 0.015

# Means by name of ranker: of the queries, or of every resample.
Means = Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A figure, and the middle 95 % of what resampling makes of it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.4f} ({self.low:+.4f} to {self.high:+.4f})"


@dataclass(frozen=True)
class Measured:
    """What every ranker is worth on every query of a set."""

    names: list[str]
    ndcg: np.ndarray  # [rankers, queries], of the first ten
    reciprocal_rank: np.ndarray  # [rankers, queries]
    readers: np.ndarray  # [queries], a number each

    @classmethod
    def of(cls, queries: Queries, readers: np.ndarray, scores: dict[str, np.ndarray]) -> "Measured":
        """`readers` tells whose each query is; they are what is drawn, since one's queries are alike."""
        spans = list(zip(queries.starts, queries.starts + queries.lengths))

        def by_query(metric: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
            return np.array(
                [[metric(s[a:b], queries.labels[a:b]) for a, b in spans] for s in scores.values()]
            )

        return cls(
            list(scores),
            by_query(ndcg),
            by_query(reciprocal_rank),
            np.unique(readers, return_inverse=True)[1],
        )

    def only(self, wanted: np.ndarray) -> "Measured":
        """Of some of the queries [queries]."""
        readers = np.unique(self.readers[wanted], return_inverse=True)[1]
        return Measured(self.names, self.ndcg[:, wanted], self.reciprocal_rank[:, wanted], readers)

    def ndcg_at_10(self, name: str) -> float:
        return float(self.ndcg[self.names.index(name)].mean())

    def mrr(self, name: str) -> float:
        return float(self.reciprocal_rank[self.names.index(name)].mean())

    def interval(self, figure: Callable[[Means], np.ndarray]) -> Interval:
        """Of what `figure` makes of the rankers' NDCG@10."""
        low, high = np.percentile(
            figure(lambda name: self._resampled[:, self.names.index(name)]), [2.5, 97.5]
        )
        return Interval(
            float(figure(lambda name: np.float64(self.ndcg_at_10(name)))), float(low), float(high)
        )

    def difference(self, one: str, other: str) -> Interval:
        """Paired: both on the same drawn readers."""
        return self.interval(lambda mean: mean(one) - mean(other))

    def gap_closed(self, model: str, prior: str, oracle: str) -> Interval:
        """The share of the way from the prior to who knows the truth."""
        return self.interval(lambda mean: (mean(model) - mean(prior)) / (mean(oracle) - mean(prior)))

    @cached_property
    def _resampled(self) -> np.ndarray:
        """Mean NDCG@10 [resamples, rankers]."""
        n_queries = np.bincount(self.readers)
        sums = np.array([np.bincount(self.readers, values) for values in self.ndcg])
        rng = np.random.default_rng(SEED)
        means = np.empty((RESAMPLES, len(self.names)))
        for i in range(RESAMPLES):
            drawn = np.bincount(rng.integers(0, len(n_queries), len(n_queries)), minlength=len(n_queries))
            means[i] = sums @ drawn / (n_queries @ drawn)
        return means


@dataclass(frozen=True)
class Verdict:
    """Whether ours is as good as LambdaMART: the interval of the difference lies above -1.5 % of LambdaMART's figure."""

    difference: Interval
    least: float

    @classmethod
    def of(cls, measured: Measured, ours: str, theirs: str) -> "Verdict":
        return cls(measured.difference(ours, theirs), -MARGIN * measured.ndcg_at_10(theirs))

    @property
    def passed(self) -> bool:
        return self.difference.low > self.least

    def __str__(self) -> str:
        if self.passed:
            return "pass, and better" if self.difference.low > 0 else "pass"
        if self.difference.high < self.least:
            return "fail: inferior"
        return "fail: worse" if self.difference.high < 0 else "fail: too wide to tell"
