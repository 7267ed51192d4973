"""Examples as `freshrank examples` wrote them: one row a candidate, columns from the engine's own featurizer.

What is wrong with a file is said here, once; whatever comes after can rely on it.
"""

import hashlib
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SPLITS = ("train", "valid", "test")
# What else a file may tell of a row, and its largest value: a click or a basket at this merchant, an order that was taken
# back, the slot it was shown in (from 1; 0 is not shown), and how likely it was to be put there.
SIGNALS = {"click": 1.0, "add": 1.0, "cancelled": 1.0, "position": 1e6, "propensity": 1.0}


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
    reader: np.ndarray | None = None  # [queries], a number a reader; every query its own reader if absent
    signals: dict[str, np.ndarray] = field(default_factory=dict)  # [n] each, of SIGNALS what the file has
    mass: np.ndarray | None = None  # [n], how strongly training pulls a row up; 2^label - 1 if absent

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def query_of_row(self) -> np.ndarray:
        """[n], whose candidate a row is."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def take(self, chosen: np.ndarray) -> "Queries":
        """Some of the queries, by number, in that order."""
        rows = np.concatenate([np.arange(self.starts[q], self.starts[q] + self.lengths[q]) for q in chosen])
        of_rows = {
            name: _at(getattr(self, name), rows) for name in ("rows", "labels", "prior", "oracle", "mass")
        }
        of_queries = {name: _at(getattr(self, name), chosen) for name in ("at", "lengths", "reader")}
        return replace(
            self,
            **of_rows,
            **of_queries,
            starts=_starts(self.lengths[chosen]),
            signals={name: values[rows] for name, values in self.signals.items()},
            n_dropped=0,
        )

    def keep(self, wanted: np.ndarray) -> "Queries":
        """Only the rows [n] that are wanted; queries that keep none are gone."""
        lengths = np.add.reduceat(wanted.astype(np.int64), self.starts)
        left = np.flatnonzero(lengths)
        of_rows = {
            name: _at(getattr(self, name), wanted) for name in ("rows", "labels", "prior", "oracle", "mass")
        }
        of_queries = {name: _at(getattr(self, name), left) for name in ("at", "reader")}
        return replace(
            self,
            **of_rows,
            **of_queries,
            starts=_starts(lengths[left]),
            lengths=lengths[left],
            signals={name: values[wanted] for name, values in self.signals.items()},
        )

    def sample(self, n: int, seed: int) -> "Queries":
        """At most `n` of the queries, drawn evenly, in order of time."""
        if n >= len(self):
            return self
        return self.take(np.sort(np.random.default_rng(seed).permutation(len(self))[:n]))


@dataclass(frozen=True)
class Examples:
    """A whole file."""

    features: list[str]
    fingerprint: str
    simulated: str | None  # what was simulated, in the file's own words
    protocol: str
    sha256: str
    splits: dict[str, Queries]


def read(path: Path, protocol: str = "send-time", *also: str) -> Examples:
    """Reads the queries of one protocol, and of others what they have to train on; figures never mix two.

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
    facts += [name for name in ("utility", *SIGNALS) if name in columns]
    texts = [name for name in ("user_id",) if name in columns]
    table = file.read(columns=[*facts, *texts, *features])
    wanted = pc.equal(table["protocol"], protocol)
    for other in also:
        wanted = pc.or_(wanted, pc.and_(pc.equal(table["protocol"], other), pc.equal(table["split"], "train")))
    table = table.filter(wanted)
    if table.num_rows == 0:
        raise ExamplesError(f"{path}: no row of protocol {protocol}")

    rows = np.empty((table.num_rows, len(features)), np.float32)
    for j, name in enumerate(features):
        rows[:, j] = table[name].to_numpy()
        _expect_finite(path, name, rows[:, j])
    values = {name: table[name].to_numpy() for name in facts}
    for name in ("label", "prior", *(name for name in SIGNALS if name in columns)):
        _expect_finite(path, name, values[name])
    for name, largest in SIGNALS.items():
        if name in values:
            _expect_within(path, name, values[name], largest)
    if "user_id" in texts:
        values["reader"] = pc.dictionary_encode(table["user_id"]).combine_chunks().indices.to_numpy()
    if "cancelled" in values:
        # The order did not happen: neither does anything that led to it.
        for name in ("label", "click", "add"):
            if name in values:
                values[name] = np.where(values["cancelled"] > 0, 0, values[name])

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
        protocol=f"{protocol}, trained on {' and '.join(also)} too" if also else protocol,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        splits=splits,
    )


def with_more(examples: Examples, paths: list[Path]) -> Examples:
    """The examples with other markets' queries of their protocol in train and valid; test stays as it is, and so does when each begins.

    Raises ExamplesError as `read`, and where a file has other columns or asks at other times.
    """
    protocol = examples.protocol.partition(",")[0]
    splits = examples.splits
    begin = {split: splits[split].at.min() for split in ("valid", "test")}
    ends = {"train": begin["valid"], "valid": begin["test"]}
    parts = {split: [splits[split]] for split in ends}
    hashes, simulated = [examples.sha256], [examples.simulated]
    for path in paths:
        more = read(path, protocol)
        if (more.features, more.fingerprint) != (examples.features, examples.fingerprint):
            raise ExamplesError(
                f"{path}: fingerprint {more.fingerprint}, the first file's is {examples.fingerprint}: make both by one engine"
            )
        for split, end in ends.items():
            at = more.splits[split].at
            within = np.flatnonzero((at >= begin.get(split, at.min())) & (at < end))
            if not len(within):
                raise ExamplesError(
                    f"{path}: no {split} query is asked before {end}, as the first file's {split} queries are"
                )
            parts[split].append(more.splits[split].take(within))
        hashes.append(more.sha256)
        simulated.append(more.simulated)
    if not paths:
        return examples
    return replace(
        examples,
        # What any of the files says of itself stays said.
        simulated="; ".join(dict.fromkeys(said for said in simulated if said)) or None,
        sha256=hashlib.sha256("".join(hashes).encode()).hexdigest(),
        splits={**splits, **{split: joined(queries) for split, queries in parts.items()}},
    )


def joined(parts: list[Queries]) -> Queries:
    """All queries of several files; nobody is a reader of two of them. What one file does not tell is told of none."""

    def of(name: str) -> np.ndarray | None:
        values = [getattr(part, name) for part in parts]
        return None if any(value is None for value in values) else np.concatenate(values)

    lengths = of("lengths")
    reader = None
    if all(part.reader is not None for part in parts):
        counts = [int(part.reader.max()) + 1 for part in parts]
        reader = np.concatenate([part.reader + sum(counts[:i]) for i, part in enumerate(parts)])
    signals = set.intersection(*(set(part.signals) for part in parts))
    return Queries(
        **{name: of(name) for name in ("rows", "labels", "prior", "oracle", "mass", "at")},
        starts=_starts(lengths),
        lengths=lengths,
        n_dropped=sum(part.n_dropped for part in parts),
        reader=reader,
        signals={
            name: np.concatenate([part.signals[name] for part in parts]) for name in SIGNALS if name in signals
        },
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
    if split == "train":
        # Clicks and baskets train; figures are of orders.
        for name in ("click", "add"):
            if name in values:
                chosen |= in_split & (np.maximum.reduceat(values[name], starts) > 0)
    mine = np.repeat(chosen, lengths)
    oracle = values["utility"][mine].astype(np.float32) if "utility" in values else None
    return Queries(
        rows=rows[mine],
        labels=values["label"][mine].astype(np.float32),
        prior=values["prior"][mine].astype(np.float32),
        # A measured file may carry the column empty.
        oracle=oracle if oracle is not None and np.isfinite(oracle).all() else None,
        at=values["at"][starts][chosen].astype(np.int64),
        starts=_starts(lengths[chosen]),
        lengths=lengths[chosen],
        n_dropped=int((in_split & ~chosen).sum()),
        reader=values["reader"][starts][chosen] if "reader" in values else None,
        signals={name: values[name][mine].astype(np.float32) for name in SIGNALS if name in values},
    )


def _starts(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(lengths)[:-1])).astype(np.int64)


def _at(values: np.ndarray | None, where: np.ndarray) -> np.ndarray | None:
    return None if values is None else values[where]


def _expect_finite(path: Path, name: str, values: np.ndarray) -> None:
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise ExamplesError(f"{path}: row {wrong[0]}: {name} {values[wrong[0]]}, expected a finite number")


def _expect_within(path: Path, name: str, values: np.ndarray, largest: float) -> None:
    wrong = np.flatnonzero((values < 0) | (values > largest))
    if len(wrong):
        raise ExamplesError(f"{path}: row {wrong[0]}: {name} {values[wrong[0]]}, expected 0 to {largest:g}")
