"""Relevancy: what a click, a basket or a kind of order is worth. The values are configuration (`training/relevancy.toml`).

Two tables that never mix: `mass` says how strongly training pulls, `gain` what the second NDCG counts. The first NDCG has fixed
gains (the label's own), chooses the model, and is printed always: changed weights cannot improve their own metric.
"""

import math
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .examples import Queries

DEFAULT = Path(__file__).parent.parent / "relevancy.toml"
# From the weakest on.
KINDS = ("click", "add", "order", "first_order_at_new_merchant", "reorder_after_long")
CLICK, ADD, ORDER, FIRST, RETURN = range(len(KINDS))
NOTHING = -1
# own_recency = 1 / (1 + days / this), as facts/src/feature.rs has it.
RECENCY_DAYS = 14.0


class RelevancyError(Exception):
    """Names the file, the key, what stands there and what was expected."""


@dataclass(frozen=True)
class Relevancy:
    """One file's worth; [KINDS] each."""

    mass: tuple[float, ...]
    gain: tuple[float, ...]
    long_days: float

    def card(self) -> dict[str, object]:
        """For the model card."""
        named = {name: dict(zip(KINDS, getattr(self, name))) for name in ("mass", "gain")}
        return {**named, "kinds": {"long_days": self.long_days}}


def read(path: Path = DEFAULT) -> Relevancy:
    """Raises RelevancyError where a key is missing, unknown, or no number of at least 0."""
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RelevancyError(f"{path}: {error}") from error
    expected = {"mass": KINDS, "gain": KINDS, "kinds": ("long_days",)}
    for table in document:
        if table not in expected:
            raise RelevancyError(f"{path}: {table}: unknown, expected {', '.join(expected)}")
    worth = {table: _numbers(path, table, document.get(table), keys) for table, keys in expected.items()}
    if not any(worth["mass"]):
        raise RelevancyError(f"{path}: mass: found 0 everywhere, expected something to learn from")
    return Relevancy(worth["mass"], worth["gain"], worth["kinds"][0])


def kinds(queries: Queries, features: list[str], long_days: float) -> np.ndarray:
    """[n], an index into KINDS or NOTHING: the strongest thing that happened with each row."""
    kind = np.full(len(queries.rows), NOTHING)
    for signal, which in (("click", CLICK), ("add", ADD)):
        if signal in queries.signals:
            kind[queries.signals[signal] > 0] = which
    ordered = queries.labels > 0
    kind[ordered] = ORDER
    # Files of other columns (LETOR) know no more than the order.
    if {"own_log_orders", "own_recency"} <= set(features):
        orders = queries.rows[:, features.index("own_log_orders")]
        recency = queries.rows[:, features.index("own_recency")]
        is_new = orders <= 0
        days = RECENCY_DAYS * (1.0 / np.maximum(recency, 1e-6) - 1.0)
        kind[ordered & is_new] = FIRST
        kind[ordered & ~is_new & (days >= long_days)] = RETURN
    return kind


def worth(queries: Queries, features: list[str], relevancy: Relevancy, table: str) -> np.ndarray:
    """[n], of `mass` or `gain` what each row is worth. Graded labels keep their grades: 2^label - 1 times the kind's worth."""
    kind = kinds(queries, features, relevancy.long_days)
    values = np.append(np.array(getattr(relevancy, table), np.float32), np.float32(0))[kind]
    grade = np.exp2(queries.labels) - 1.0
    return (values * np.where(kind >= ORDER, grade, 1.0)).astype(np.float32)


def with_mass(queries: Queries, features: list[str], relevancy: Relevancy) -> Queries:
    """The queries, to train on as the table says."""
    return replace(queries, mass=worth(queries, features, relevancy, "mass"))


def _numbers(path: Path, table: str, found: object, keys: tuple[str, ...]) -> tuple[float, ...]:
    if not isinstance(found, dict):
        raise RelevancyError(f"{path}: {table}: found {found!r}, expected a table of {', '.join(keys)}")
    for key in found:
        if key not in keys:
            raise RelevancyError(f"{path}: {table}.{key}: unknown, expected one of {', '.join(keys)}")
    for key in keys:
        value = found.get(key)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (is_number and math.isfinite(value) and value >= 0):
            raise RelevancyError(f"{path}: {table}.{key}: found {value}, expected a number of at least 0")
    return tuple(float(found[key]) for key in keys)
