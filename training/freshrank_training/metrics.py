"""How good a ranking is: reciprocal rank and NDCG@10, the gain of a label being 2^label - 1.

Candidates of equal score have no order of their own, so that they score the expectation over all their orders: a ranker
that says nothing is worth what chance is worth, wherever the order happens to stand in the file.
"""

from dataclasses import dataclass
from math import comb

import numpy as np

from .examples import Queries

K = 10


@dataclass(frozen=True)
class Quality:
    """Means over queries."""

    mrr: float
    ndcg_at_10: float


def quality(scores: np.ndarray, queries: Queries) -> Quality:
    """Ranks every query's candidates by score, the highest first."""
    return Quality(
        mrr=float(np.mean([reciprocal_rank(scores[s], queries.labels[s]) for s in slices(queries)])),
        ndcg_at_10=float(ndcgs(scores, queries).mean()),
    )


def ndcgs(scores: np.ndarray, queries: Queries) -> np.ndarray:
    """NDCG@10 of each query, under the fixed gains."""
    return np.array([ndcg(scores[s], queries.labels[s]) for s in slices(queries)])


def ndcg_of_gains(scores: np.ndarray, queries: Queries, gains: np.ndarray) -> float:
    """NDCG@10 where the rows' gains [n] are somebody's choice: what all lists got, over what they could have got.

    A mean over queries would not see gains of queries with one order each, whatever the order is worth.
    """
    got, best = np.sum([_dcg(scores[s], gains[s], K) for s in slices(queries)], axis=0)
    return float(got / best) if best > 0 else 0.0


def overlap_at_10(scores: np.ndarray, others: np.ndarray, queries: Queries) -> float:
    """Mean share of the ten best that both agree on; equal scores stand in the file's order, in both."""

    def best(values: np.ndarray) -> np.ndarray:
        return np.argsort(-values, kind="stable")[:K]

    shares = [
        len(np.intersect1d(best(scores[s]), best(others[s]))) / min(K, s.stop - s.start)
        for s in slices(queries)
    ]
    return float(np.mean(shares))


def interval(differences: np.ndarray, queries: Queries, seed: int = 1, n: int = 1000) -> tuple[float, float]:
    """95 % of the mean of a difference [queries], by a bootstrap over readers: queries of one reader are not independent."""
    reader = queries.reader if queries.reader is not None else np.arange(len(queries))
    _, reader = np.unique(reader, return_inverse=True)
    sums, counts = np.bincount(reader, differences), np.bincount(reader)
    drawn = np.random.default_rng(seed).integers(0, len(sums), (n, len(sums)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


def slices(queries: Queries) -> list[slice]:
    """Each query's rows."""
    return [slice(start, start + length) for start, length in zip(queries.starts, queries.lengths)]


def reciprocal_rank(scores: np.ndarray, labels: np.ndarray) -> float:
    """Expected 1 / rank of the first candidate that was ordered; 0 if none was."""
    ordered = labels > 0
    if not ordered.any():
        return 0.0
    best = scores[ordered].max()
    n_above = int((scores > best).sum())
    n_tied = int((scores == best).sum())
    n_wanted = int((ordered & (scores == best)).sum())
    # The first wanted one is the j-th of the tie in comb(n_tied - j, n_wanted - 1) of the orders.
    ways = (comb(n_tied - j, n_wanted - 1) / (n_above + j) for j in range(1, n_tied - n_wanted + 2))
    return sum(ways) / comb(n_tied, n_wanted)


def ndcg(scores: np.ndarray, labels: np.ndarray, k: int = K) -> float:
    """Expected NDCG@k; 0 if nothing was ordered."""
    got, best = _dcg(scores, np.exp2(labels.astype(np.float64)) - 1.0, k)
    return got / best if best > 0 else 0.0


def _dcg(scores: np.ndarray, gains: np.ndarray, k: int) -> tuple[float, float]:
    """Expected DCG@k, and the best there is."""
    discounts = np.zeros(len(gains))
    n = min(k, len(gains))
    discounts[:n] = 1.0 / np.log2(np.arange(2, n + 2))
    ideal = np.sort(gains)[::-1] @ discounts
    if ideal == 0.0:
        return 0.0, 0.0
    # Every member of a tie gets the mean gain of the tie.
    _, tie, n_tied = np.unique(-scores, return_inverse=True, return_counts=True)
    mean_gain = np.bincount(tie, gains) / n_tied
    return float(np.repeat(mean_gain, n_tied) @ discounts), float(ideal)
