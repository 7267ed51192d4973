"""Examples as `freshrank examples` wrote them: one row a candidate, columns from the engine's own featurizer.

What is wrong with a file is said here, once; whatever comes after can rely on it.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SPLITS = ("train", "valid", "test")


class ExamplesError(Exception):
    """Names the file, the row or column, what stands there and what was expected."""


@dataclass(frozen=True)
class Queries:
    """Some queries with their candidates: query q owns rows `starts[q]` to `starts[q] + lengths[q]`."""

    rows: np.ndarray  # [n, features], float32
    labels: np.ndarray  # [n], 1 where the reader ordered
    prior: np.ndarray  # [n], what ranks without a model
    oracle: np.ndarray | None  # [n], the market's true utility; known of simulated examples only
    at: np.ndarray  # [queries], unix seconds
    starts: np.ndarray  # [queries]
    lengths: np.ndarray  # [queries]
    n_dropped: int  # queries without any order: no ranking of them is better than another

    def __len__(self) -> int:
        return len(self.starts)


@dataclass(frozen=True)
class Examples:
    """A whole file."""

    features: list[str]
    fingerprint: str
    simulated: str | None  # what was simulated, in the file's own words
    protocol: str
    sha256: str
    splits: dict[str, Queries]


def read(path: Path, protocol: str = "send-time", also: str | None = None) -> Examples:
    """Reads the queries of one protocol, and of another one what it has to train on; figures never mix two.

    Raises ExamplesError where a column, a value or the order of the rows is not what the contract says.
    """
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise ExamplesError(f"{path}: {error}") from error
    said = {key.decode(): value.decode() for key, value in (file.metadata.metadata or {}).items()}
    for key in ("freshrank.features", "freshrank.fingerprint"):
        if key not in said:
            raise ExamplesError(f"{path}: metadata has no {key}; is it from `freshrank examples`?")
    features = json.loads(said["freshrank.features"])

    columns = set(file.schema_arrow.names)
    facts = ["query_id", "at", "protocol", "label", "split", "prior"]
    missing = [name for name in (*facts, *features) if name not in columns]
    if missing:
        raise ExamplesError(f"{path}: no column {', '.join(missing)}")
    facts += [name for name in ("utility",) if name in columns]
    table = file.read(columns=[*facts, *features])
    wanted = pc.equal(table["protocol"], protocol)
    if also is not None:
        wanted = pc.or_(wanted, pc.and_(pc.equal(table["protocol"], also), pc.equal(table["split"], "train")))
    table = table.filter(wanted)
    if table.num_rows == 0:
        raise ExamplesError(f"{path}: no row of protocol {protocol}")

    rows = np.empty((table.num_rows, len(features)), np.float32)
    for j, name in enumerate(features):
        rows[:, j] = table[name].to_numpy()
        _expect_finite(path, name, rows[:, j])
    values = {name: table[name].to_numpy() for name in facts}
    for name in ("label", "prior"):
        _expect_finite(path, name, values[name])

    starts = np.flatnonzero(np.diff(values["query_id"].astype(np.int64), prepend=-1))
    ids = values["query_id"][starts]
    if len(np.unique(ids)) != len(ids):
        raise ExamplesError(f"{path}: rows of one query_id stand apart, expected them together")
    for name in ("split", "at"):
        of_query = np.repeat(values[name][starts], np.diff(starts, append=table.num_rows))
        apart = np.flatnonzero(of_query != values[name])
        if len(apart):
            row = apart[0]
            raise ExamplesError(
                f"{path}: row {row}: {name} {values[name][row]}, the query's first row has {of_query[row]}"
            )

    splits = {split: _queries(path, split, values, rows, starts) for split in SPLITS}
    for earlier, later in zip(SPLITS, SPLITS[1:]):
        last, first = splits[earlier].at.max(), splits[later].at.min()
        if last > first:
            raise ExamplesError(
                f"{path}: {earlier} reaches {last}, {later} starts at {first}; splits follow each other in time"
            )
    return Examples(
        features=features,
        fingerprint=said["freshrank.fingerprint"],
        simulated=said.get("freshrank.simulated") or None,
        protocol=protocol if also is None else f"{protocol}, trained on {also} too",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        splits=splits,
    )


def _queries(
    path: Path, split: str, values: dict[str, np.ndarray], rows: np.ndarray, starts: np.ndarray
) -> Queries:
    lengths = np.diff(starts, append=len(rows))
    in_split = values["split"][starts] == split
    has_order = np.maximum.reduceat(values["label"], starts) > 0
    chosen = in_split & has_order
    if not chosen.any():
        raise ExamplesError(f"{path}: no query with an order in split {split}")
    mine = np.repeat(chosen, lengths)
    oracle = values["utility"][mine].astype(np.float32) if "utility" in values else None
    return Queries(
        rows=rows[mine],
        labels=values["label"][mine].astype(np.float32),
        prior=values["prior"][mine].astype(np.float32),
        # A measured file may carry the column empty.
        oracle=oracle if oracle is not None and np.isfinite(oracle).all() else None,
        at=values["at"][starts][chosen].astype(np.int64),
        starts=np.concatenate(([0], np.cumsum(lengths[chosen])[:-1])),
        lengths=lengths[chosen],
        n_dropped=int((in_split & ~has_order).sum()),
    )


def _expect_finite(path: Path, name: str, values: np.ndarray) -> None:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ExamplesError(f"{path}: row {wrong[0]}: {name} {values[wrong[0]]}, expected a finite number")
