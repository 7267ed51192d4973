"""What each group of columns is worth: the ranker trained anew without it, on the same queries with the same recipe.

A column that never varies gets the scale 0, so that setting a group to 0 takes it out of the network altogether.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from freshrank_training.examples import ExamplesError, Queries
from freshrank_training.fit import Recipe, fit
from freshrank_training.quantize import rounded

from .compare import DataSet
from .measure import Interval, Measured
from .rankers import OURS, score

# Names of facts/src/feature.rs.
GROUPS = {
    "own history": ("own_log_orders", "own_recency", "own_share", "chain_log_orders"),
    "taste, raw": ("taste_lifelong_raw", "taste_recent_raw"),
    "taste, smoothed": ("taste_lifelong", "taste_recent"),
    "taste, both": ("taste_lifelong_raw", "taste_recent_raw", "taste_lifelong", "taste_recent"),
    "popularity in the cell": ("log_popularity_cell", "log_share_cell", "cell_log_ratio"),
    "distance": ("distance_km", "near_when_certain"),
    "time": ("daypart_share", "open_minutes", "prep_minutes", "hour_sin", "hour_cos", "weekend"),
    "price": ("price_band", "price_gap", "offer_worth", "free_delivery"),
}
# How far two trainings of the same columns differ.
ANOTHER_SEED = "nothing, another seed"


@dataclass(frozen=True)
class Without:
    """A ranker that never saw a group."""

    group: str
    ndcg_at_10: float
    # Its NDCG@10 less that of the ranker with all columns, on test.
    difference: Interval


def ablate(
    data: DataSet, recipe: Recipe, whole: np.ndarray, report: Callable[[str], None] = lambda line: None
) -> list[Without]:
    """`whole`: scores of test by the ranker that saw all columns, trained with the recipe."""
    missing = [name for group in GROUPS.values() for name in group if name not in data.columns]
    if missing:
        raise ExamplesError(
            f"{data.name}: no column {', '.join(missing)}; GROUPS of {__name__} names columns of facts/src/feature.rs"
        )
    scores = {OURS: whole, ANOTHER_SEED: _retrained(data, (), replace(recipe, seed=recipe.seed + 1))}
    for group, names in GROUPS.items():
        scores[group] = _retrained(data, names, recipe)
        report(f"{data.name}: trained without {group}")
    measured = Measured.of(data.splits["test"], data.readers, scores)
    return [
        Without(group, measured.ndcg_at_10(group), measured.difference(group, OURS))
        for group in (*GROUPS, ANOTHER_SEED)
    ]


def _retrained(data: DataSet, without: tuple[str, ...], recipe: Recipe) -> np.ndarray:
    columns = [data.columns.index(name) for name in without]
    train, valid = (_blank(data.splits[split], columns) for split in ("train", "valid"))
    return score(rounded(fit(train, valid, recipe).network).score, data.splits["test"])


def _blank(queries: Queries, columns: list[int]) -> Queries:
    rows = queries.rows.copy()
    rows[:, columns] = 0.0
    return replace(queries, rows=rows)
