"""Position bias: how likely a slot is looked at, and clicks weighed by its inverse.

A click needs a look and a liking: P(click | slot k, row x) = looked(k) * liked(x). Clicks weighed by 1 / looked(k) say what readers
like whatever stood where (Joachims, Swaminathan and Schnabel 2017). In mail no two readers see the same list, so that slots
cannot be compared merchant by merchant; `liked` is a regression instead, fitted by turns with `looked`: regression EM (Wang,
Golbandi, Bendersky, Metzler and Najork, "Position Bias Estimation for Unbiased Learning to Rank in Personal Search", WSDM 2018).
"""

from dataclasses import dataclass, replace

import lightgbm
import numpy as np

from .examples import Queries

ROUNDS = 30
TREES_A_ROUND = 20
# A slot hardly ever looked at would let one click outweigh hundreds.
MAX_WEIGHT = 20.0
PARAMETERS = {
    # Of shares, as the expectation step gives them.
    "objective": "cross_entropy",
    "learning_rate": 0.2,
    "num_leaves": 15,
    "min_data_in_leaf": 100,
    "lambda_l2": 1.0,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


@dataclass(frozen=True)
class Looks:
    """Of slot k, `looked[k - 1]` is the share of messages in which it was looked at, relative to the first."""

    looked: np.ndarray

    def weights(self, position: np.ndarray) -> np.ndarray:
        """[n], 1 / looked, at most MAX_WEIGHT; 0 for what was not shown."""
        inverse = np.minimum(1.0 / np.maximum(self.looked, 1e-9), MAX_WEIGHT)
        return np.append(inverse, 0.0)[np.where(position > 0, position, 0).astype(int) - 1]


def estimate(queries: Queries, seed: int = 1, rounds: int = ROUNDS) -> Looks:
    """From rows that were shown in a `position` and clicked or not.

    Needs some chance in what stood where (`explore` in a campaign): where the columns tell the slot exactly, a slot that is
    not looked at and merchants nobody likes are the same thing.
    """
    shown = queries.signals["position"] > 0
    slot = queries.signals["position"][shown].astype(int) - 1
    clicked = queries.signals["click"][shown] > 0
    rows = queries.rows[shown]
    n_slots = int(slot.max()) + 1
    # Clicks by slot, to begin with: what is liked tends to stand first, so that the truth is less steep.
    n_shown = np.maximum(np.bincount(slot, minlength=n_slots), 1)
    looked = np.bincount(slot, clicked, n_slots) / n_shown
    looked = np.clip(0.9 * looked / max(looked.max(), 1e-9), 1e-3, 0.9)
    liked = np.full(len(slot), min(max(2.0 * clicked.mean(), 1e-3), 0.9))
    data = lightgbm.Dataset(rows, liked, free_raw_data=False, params={"verbosity": -1}).construct()
    for _ in range(rounds):
        both = looked[slot] * liked
        of_slot = np.where(clicked, 1.0, looked[slot] * (1.0 - liked) / (1.0 - both))
        of_row = np.where(clicked, 1.0, liked * (1.0 - looked[slot]) / (1.0 - both))
        looked = np.clip(np.bincount(slot, of_slot, n_slots) / n_shown, 1e-3, 1.0 - 1e-3)
        booster = lightgbm.train({**PARAMETERS, "seed": seed}, data.set_label(of_row), TREES_A_ROUND)
        liked = np.clip(booster.predict(rows, num_threads=1), 1e-4, 1.0 - 1e-4)
    return Looks(looked / looked[0])


def is_logged(queries: Queries) -> bool:
    """Whether impressions came along: which slot a row was shown in, and whether it was clicked."""
    return {"position", "click"} <= set(queries.signals) and bool((queries.signals["position"] > 0).any())


def weighed(queries: Queries, looks: Looks) -> Queries:
    """The queries with the masses of clicks divided by how likely a look was. Orders keep theirs: they are made in the app."""
    clicked = (queries.signals["click"] > 0) & (queries.signals["position"] > 0) & ~(queries.labels > 0)
    weights = np.where(clicked, looks.weights(queries.signals["position"]), 1.0)
    return replace(queries, mass=(queries.mass * weights).astype(np.float32))
