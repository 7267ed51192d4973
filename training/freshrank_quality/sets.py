"""What is measured on: Entree, LightGBM's own example, any svmlight file, and rows of simulated markets."""

from pathlib import Path

import numpy as np
from freshrank_training import examples, letor
from freshrank_training.baselines import baselines
from freshrank_training.examples import ExamplesError

from . import entree
from .compare import OWN_HISTORY, PRIOR, RANDOM, DataSet

PROTOCOL = "send-time"
OWN_COLUMN = "own_log_orders"
# A test with fewer queries tells whether things work, not which ranker is better.
SMOKE = 200


def of_entree(folder: Path) -> list[DataSet]:
    """All restaurants of Chicago, and those a session showed."""
    read = entree.read(folder)
    return [_of_entree(read, way) for way in read.ways]


def _of_entree(read: entree.Entree, name: str) -> DataSet:
    way = read.ways[name]
    test = way.splits["test"]
    among = f"{test.lengths.mean():.0f} restaurants a query"
    if name == entree.SHOWN:
        among += (
            f" on average; over all sessions chance has MRR {read.random_mrr:.2f}, and showing the last restaurant shown, a "
            f"leak that is not used, {read.shown_last_mrr:.2f}"
        )
    about = (
        f"real choices in Chicago, 1996 to 1999 (UCI, CC BY 4.0): where {read.n_sittings} sittings stopped, split by time, "
        f"{among}. Asked as a sitting begins, with nothing of the sitting itself: what restaurants are, what others stopped "
        f"at before, and the visitor's earlier sittings, which {way.returning.mean():.0%} of the test queries have. The "
        "prior is the share of stops over the last year."
    )
    beside = {
        PRIOR: test.prior,
        OWN_HISTORY: test.rows[:, way.own_history],
        RANDOM: np.zeros_like(test.prior),
    }
    returning = {"returning visitors": way.returning}
    return DataSet(f"Entree, {name}", about, None, way.splits, way.visitors, beside, returning)


def of_letor(name: str, train: Path, valid: Path | None, test: Path) -> DataSet:
    """Files of svmlight or LETOR form; they tell no reader, no prior and no history."""
    read = letor.read_splits(train, valid, test)
    queries = read.splits["test"]
    about = f"{train.name}, tested on the {len(queries)} queries of {test.name} that have a label above 0, {len(read.features)} columns"
    if len(queries) < SMOKE:
        about += "; so few queries are a smoke test, no more"
    return DataSet(
        name, about, None, read.splits, np.arange(len(queries)), {RANDOM: np.zeros_like(queries.prior)}
    )


def of_market(name: str, path: Path) -> DataSet:
    """Rows of `freshrank examples`, with the true utility of every candidate if the market is a simulated one."""
    read = examples.read(path, PROTOCOL)
    test = read.splits["test"]
    if test.reader is None:
        raise ExamplesError(f"{path}: no column user_id, expected whose each query is")
    sizes = ", ".join(f"{split} {len(queries)}" for split, queries in read.splits.items())
    what = f"SIMULATED orders ({read.simulated})" if read.simulated else "orders"
    about = (
        f"{what}, asked at the message's time; queries: {sizes}; {test.lengths.mean():.0f} candidates a query"
    )
    own = test.rows[:, read.features.index(OWN_COLUMN)]
    new = np.maximum.reduceat(np.where(test.labels > 0, own, 0), test.starts) == 0
    segments = {"first orders at a merchant": new}
    beside = baselines(test, read.features)
    return DataSet(name, about, read.simulated, read.splits, test.reader, beside, segments, read.features)
