"""The two rankers that learn. Each has as many trials as the other: its defaults first, then what is drawn at random.

The best on valid by NDCG@10 is kept; nobody here sees a test query.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import lightgbm
import numpy as np
from freshrank_training import teacher
from freshrank_training.examples import Queries
from freshrank_training.fit import Recipe, fit
from freshrank_training.metrics import quality
from freshrank_training.quantize import rounded
from freshrank_training.sweep import SPACE

OURS, OURS_FLOAT, LAMBDAMART = "ours int8", "ours float", "LambdaMART"
# Rows scored at a time, so that a large test set needs no second one of its size.
ROWS = 1 << 17

Scorer = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Trial:
    """One setting, and what it came to on valid."""

    ranker: str
    setting: dict[str, object]
    ndcg_at_10: float
    # Epochs of ours, trees of LambdaMART.
    n_steps: int


@dataclass(frozen=True)
class Search:
    """The best of some trials."""

    trials: list[Trial]
    best: Trial
    scorers: dict[str, Scorer]
    setting: object


@dataclass(frozen=True)
class Budget:
    """The same for both rankers."""

    trials: int = 4
    seed: int = 1
    max_epochs: int = 40
    max_trees: int = 500


def score(scorer: Scorer, queries: Queries) -> np.ndarray:
    """One score a row."""
    rows = queries.rows
    return np.concatenate([scorer(rows[i : i + ROWS]) for i in range(0, len(rows), ROWS)])


def ours(
    train: Queries, valid: Queries, budget: Budget, report: Callable[[str], None] = lambda line: None
) -> Search:
    """The network that training/ makes, in float and as the int8 file has it; drawn from what its own sweep draws from."""
    rng = np.random.default_rng(budget.seed)
    default = Recipe(seed=budget.seed, max_epochs=budget.max_epochs)
    drawn = [default] + [replace(default, **_draw(rng)) for _ in range(budget.trials - 1)]
    # One teacher for all: it does not depend on what is drawn.
    taught_by = None
    if any(recipe.teacher_share > 0 for recipe in drawn):
        taught_by = teacher.fit(train, valid, default.teacher_queries, budget.seed)
    trials, networks = [], []
    for recipe in drawn:
        fitted = fit(train, valid, recipe, taught_by=taught_by)
        reached = quality(score(fitted.network.score, valid), valid).ndcg_at_10
        setting = {name: getattr(recipe, name) for name in SPACE}
        trials.append(Trial(OURS_FLOAT, setting, reached, fitted.best_epoch))
        networks.append(fitted.network)
        report(f"{OURS_FLOAT}: {reached:.4f} on valid after epoch {fitted.best_epoch}")
    best = int(np.argmax([trial.ndcg_at_10 for trial in trials]))
    scorers = {OURS: rounded(networks[best]).score, OURS_FLOAT: networks[best].score}
    return Search(trials, trials[best], scorers, drawn[best])


def lambdamart(
    train: Queries, valid: Queries, budget: Budget, report: Callable[[str], None] = lambda line: None
) -> Search:
    """LightGBM's LambdaMART."""
    rng = np.random.default_rng(budget.seed)
    drawn = [{}] + [_draw_lambdamart(rng) for _ in range(budget.trials - 1)]
    trials, boosters = [], []
    for setting in drawn:
        booster = _boost(train, valid, setting, budget)
        reached = quality(score(booster.predict, valid), valid).ndcg_at_10
        trials.append(Trial(LAMBDAMART, setting, reached, booster.best_iteration))
        boosters.append(booster)
        report(f"{LAMBDAMART}: {reached:.4f} on valid after {booster.best_iteration} trees")
    best = int(np.argmax([trial.ndcg_at_10 for trial in trials]))
    return Search(trials, trials[best], {LAMBDAMART: boosters[best].predict}, drawn[best])


def _draw(rng: np.random.Generator) -> dict[str, object]:
    return {name: values[rng.integers(len(values))] for name, values in SPACE.items()}


def _draw_lambdamart(rng: np.random.Generator) -> dict[str, object]:
    return {
        "learning_rate": _log_uniform(rng, 0.02, 0.2),
        "num_leaves": int(rng.choice([7, 15, 31, 63])),
        "min_data_in_leaf": int(rng.choice([5, 20, 100, 500])),
        "lambda_l2": _log_uniform(rng, 1e-3, 10.0),
        "feature_fraction": float(rng.choice([0.5, 0.7, 1.0])),
        "lambdarank_truncation_level": int(rng.choice([10, 15, 30])),
    }


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Two digits are enough to repeat it by hand."""
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.2g}")


def _boost(train: Queries, valid: Queries, setting: dict[str, object], budget: Budget) -> lightgbm.Booster:
    fixed = {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "seed": budget.seed,
        "num_threads": 2,
        # The same trees each time.
        "deterministic": True,
        "force_row_wise": True,
        "verbosity": -1,
    }
    data = lightgbm.Dataset(train.rows, train.labels, group=train.lengths, free_raw_data=False)
    return lightgbm.train(
        fixed | setting,
        data,
        num_boost_round=budget.max_trees,
        valid_sets=[lightgbm.Dataset(valid.rows, valid.labels, group=valid.lengths, reference=data)],
        callbacks=[lightgbm.early_stopping(50, verbose=False)],
    )
