"""Clicks whose truth is known, to check the correction of position bias on. **Simulated**, every bit of them.

Ten slots are filled by a logging ranker with some chance; slot k is looked at with probability k^-severity, and a row that is looked at
is clicked with the probability that it is liked. Then three models of the same network learn from the same messages: of
clicks as they are, of clicks weighed by inverse propensities, and (the ceiling) of what each shown row is truly worth.
"""

from dataclasses import dataclass, replace

import numpy as np

from .examples import Queries
from .fit import Recipe, fit
from .metrics import ndcg_of_gains
from .propensity import Looks, estimate, weighed

SLOTS = 10
# Deviations of the logging ranker's scores against its noise.
CERTAINTY = 2.0


@dataclass(frozen=True)
class Outcome:
    """Of one simulation: looks by slot, and NDCG@10 by model, gains being what rows are truly worth."""

    true_looks: np.ndarray
    estimated_looks: np.ndarray
    ndcg_at_10: dict[str, float]


def check(
    train: Queries, valid: Queries, test: Queries, severity: float, recipe: Recipe, seed: int = 1
) -> Outcome:
    """All splits know the truth (`oracle`); it is what clicks are drawn by, and what test is measured by."""
    looks = Looks(np.arange(1, SLOTS + 1) ** -severity)
    scale = _scale(train)
    log = shown(train, liked(train, scale), looks, seed)
    of_valid = shown(valid, liked(valid, scale), looks, seed + 1)
    estimated = estimate(log, seed)

    def ndcg(mass: np.ndarray, valid_mass: np.ndarray) -> float:
        # Each stops by what it would have: the naive one by clicks, the ceiling by the truth. A grade's gain is 2^grade - 1.
        graded, of_valid_graded = (
            replace(log, labels=np.log2(1 + mass)),
            replace(of_valid, labels=np.log2(1 + valid_mass)),
        )
        learnt = fit(graded, of_valid_graded, recipe)
        return ndcg_of_gains(learnt.network.score(test.rows), test, liked(test, scale))

    def clicks(queries: Queries, by: Looks | None) -> np.ndarray:
        with_clicks = replace(queries, mass=queries.signals["click"])
        return with_clicks.mass if by is None else weighed(with_clicks, by).mass

    return Outcome(
        true_looks=looks.looked,
        estimated_looks=estimated.looked,
        ndcg_at_10={
            "logging ranker": ndcg_of_gains(test.prior, test, liked(test, scale)),
            "naive clicks": ndcg(clicks(log, None), clicks(of_valid, None)),
            "clicks, looks estimated": ndcg(clicks(log, estimated), clicks(of_valid, estimated)),
            "clicks, looks known": ndcg(clicks(log, looks), clicks(of_valid, looks)),
            "full information": ndcg(liked(log, scale), liked(of_valid, scale)),
        },
    )


def shown(queries: Queries, liked_by: np.ndarray, looks: Looks, seed: int) -> Queries:
    """The rows of the first slots, with `position` and `click`; the logging ranker is `prior`, with Gumbel noise."""
    rng = np.random.default_rng(seed)
    noisy = CERTAINTY * queries.prior / max(float(queries.prior.std()), 1e-9) + rng.gumbel(
        size=len(queries.prior)
    )
    order = np.lexsort((-noisy, queries.query_of_row))
    position = np.empty(len(order))
    position[order] = np.arange(len(order)) - np.repeat(queries.starts, queries.lengths) + 1
    position[position > SLOTS] = 0
    looked = np.append(looks.looked, 0.0)[position.astype(int) - 1]
    click = rng.random(len(order)) < looked * liked_by
    signals = {"position": position.astype(np.float32), "click": click.astype(np.float32)}
    # What a click log knows of a row: no order, no truth but for the ceiling.
    bare = replace(queries, labels=np.zeros_like(queries.labels), signals=signals, mass=None)
    return bare.keep(position > 0)


def liked(queries: Queries, scale: tuple[float, float]) -> np.ndarray:
    """[n], the true probability of a click when looked at: a logistic curve over the true utility."""
    middle, spread = scale
    return (0.9 / (1.0 + np.exp(-(queries.oracle - middle) / spread)) + 0.02).astype(np.float32)


def _scale(queries: Queries) -> tuple[float, float]:
    low, middle = np.quantile(queries.oracle, (0.5, 0.8))
    return float(middle), float(max(middle - low, 1e-6) / 2.0)
