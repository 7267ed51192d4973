"""Examples out of thin air, to develop and test on: a known linear taste with noise, nothing to do with any market."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SIMULATED = "synthetic examples of the training's own tests"
FINGERPRINT = "5e" * 16


def write(
    path: Path, n_queries: int = 300, n_features: int = 30, seed: int = 1, longest: int = 20, **changed
) -> Path:
    """Writes an examples file; 60, 20 and 20 % of the queries are train, valid and test.

    `changed` replaces columns, each by a function of the column's values; given as (column, function) it adds one made of
    another. `metadata` replaces the metadata.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(2, longest, n_queries)
    query_of_row = np.repeat(np.arange(n_queries), lengths)
    n = len(query_of_row)
    # Columns of very different spread, as the engine's are; the last never varies.
    rows = (rng.normal(size=(n, n_features)) * rng.uniform(0.1, 50, n_features)).astype(np.float32)
    rows[:, -1] = 3.0
    signal = rows[:, :5] / rows[:, :5].std(axis=0)
    utility = signal @ [2.0, -1.5, 1.0, 0.5, 0.5] + np.abs(signal[:, 0])
    noisy = utility + rng.gumbel(size=n)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    best = np.repeat(np.maximum.reduceat(noisy, starts), lengths)

    names = [f"feature_{j}" for j in range(n_features)]
    share = np.arange(n_queries) / n_queries
    split = np.where(share < 0.6, "train", np.where(share < 0.8, "valid", "test"))
    columns = {
        "query_id": query_of_row.astype(np.uint32),
        "user_id": np.array([f"u{q % 50}" for q in query_of_row]),
        "at": 1_700_000_000 + 3600 * query_of_row.astype(np.int64),
        "protocol": np.full(n, "send-time"),
        "merchant_id": np.array([f"m{i}" for i in range(n)]),
        "label": (noisy == best).astype(np.float32),
        "split": split[query_of_row],
        "prior": (signal[:, 0] + rng.normal(size=n)).astype(np.float32),
        "utility": utility.astype(np.float32),
        **dict(zip(names, rows.T)),
    }
    metadata = changed.pop("metadata", None) or {
        "freshrank.features": json.dumps(names),
        "freshrank.fingerprint": FINGERPRINT,
        "freshrank.simulated": SIMULATED,
    }
    for name, change in changed.items():
        source, change = change if isinstance(change, tuple) else (name, change)
        columns[name] = change(columns[source])
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path
