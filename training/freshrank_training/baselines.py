"""Rankers that a model must be compared with, and the kinds of queries it is looked at in."""

from functools import partial

import numpy as np

from .examples import Queries

# A column that ranks by itself, and which way.
OF_ONE_COLUMN = {
    "own history": ("own_log_orders", 1),
    "popularity in the cell": ("log_popularity_cell", 1),
    "nearest": ("distance_km", -1),
}
# Orders before the message, as `freshrank evaluate` has it.
INFREQUENT_FROM, FREQUENT_FROM = 2, 5


def baselines(queries: Queries, features: list[str]) -> dict[str, np.ndarray]:
    """Scores [n] by name; what the file's columns and facts allow."""
    rankers = {}
    if queries.prior.any():
        rankers["prior"] = queries.prior
    for name, (column, sign) in OF_ONE_COLUMN.items():
        if column in features:
            rankers[name] = sign * queries.rows[:, features.index(column)]
    # All candidates tied: what chance is worth.
    rankers["random"] = np.zeros_like(queries.prior)
    if queries.oracle is not None:
        rankers["oracle (simulated)"] = queries.oracle
    return rankers


def segments(queries: Queries, features: list[str]) -> dict[str, tuple[Queries, np.ndarray]]:
    """By name, some of the queries and which rows [n] they are of; none where the columns do not tell."""
    if not {"reader_log_orders", "own_log_orders"} <= set(features):
        return {}
    n_orders = np.expm1(queries.rows[queries.starts, features.index("reader_log_orders")])
    is_new = queries.rows[:, features.index("own_log_orders")] <= 0
    is_first = np.maximum.reduceat((is_new & (queries.labels > 0)).astype(int), queries.starts) > 0
    of_row = partial(np.repeat, repeats=queries.lengths)
    wanted = {
        "new readers": of_row(n_orders < INFREQUENT_FROM - 0.5),
        "infrequent readers": of_row((n_orders >= INFREQUENT_FROM - 0.5) & (n_orders < FREQUENT_FROM - 0.5)),
        "frequent readers": of_row(n_orders >= FREQUENT_FROM - 0.5),
        "orders from a merchant known to the reader": of_row(~is_first),
        "first orders at a new merchant": of_row(is_first),
        # A ranker that puts own merchants first must lose above; here it can show whether it knows new ones.
        "first orders, among new merchants only": of_row(is_first) & is_new,
    }
    return {name: (queries.keep(rows), rows) for name, rows in wanted.items() if rows.any()}
