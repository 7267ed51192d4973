"""A LambdaMART teacher (LightGBM): what it knows of a list is taught to the network beside the labels."""

from dataclasses import dataclass

import lightgbm
import numpy as np

from .examples import Queries

# One thread and a fixed order of sums: the same rows give the same trees.
PARAMETERS = {
    "objective": "lambdarank",
    "metric": "ndcg",
    "eval_at": [10],
    "learning_rate": 0.1,
    "num_leaves": 31,
    "min_data_in_leaf": 50,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
MAX_TREES = 300
PATIENCE = 20


@dataclass(frozen=True)
class Teacher:
    """A fitted teacher, and how strong its opinions are."""

    booster: lightgbm.Booster
    temperature: float

    def score(self, rows: np.ndarray) -> np.ndarray:
        """One score a row of [n, features]."""
        return self.booster.predict(rows, num_threads=1).astype(np.float32)

    def probabilities(self, queries: Queries) -> np.ndarray:
        """[n], softmax of the scores within each query."""
        return softmax(self.score(queries.rows) / self.temperature, queries)


def fit(train: Queries, valid: Queries, n_queries: int, seed: int) -> Teacher:
    """Boosts on a sample of the train queries until valid's NDCG@10 stops improving."""
    some = train.sample(n_queries, seed)
    options = {"free_raw_data": True, "params": {"verbosity": -1}}
    of_train = lightgbm.Dataset(some.rows, some.labels, group=some.lengths, **options)
    of_valid = lightgbm.Dataset(valid.rows, valid.labels, group=valid.lengths, reference=of_train, **options)
    booster = lightgbm.train(
        {**PARAMETERS, "seed": seed},
        of_train,
        num_boost_round=MAX_TREES,
        valid_sets=[of_valid],
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    scores = booster.predict(valid.rows, num_threads=1)
    return Teacher(booster, temperature(scores, valid))


def softmax(scores: np.ndarray, queries: Queries) -> np.ndarray:
    """[n], within each query; adds up to 1 there."""
    top = np.repeat(np.maximum.reduceat(scores, queries.starts), queries.lengths)
    share = np.exp(scores - top)
    return share / np.repeat(np.add.reduceat(share, queries.starts), queries.lengths)


def temperature(scores: np.ndarray, queries: Queries) -> float:
    """Under which the labels are likeliest: scores that only rank have no scale of their own."""
    tried = np.geomspace(0.05, 20.0, 49)
    won = [np.log(softmax(scores / t, queries)[queries.labels > 0] + 1e-12).mean() for t in tried]
    return float(tried[int(np.argmax(won))])
