"""svmlight and LETOR files, to compare with the literature: `label [qid:n] column:value ... [# words]`, a candidate a line.

Where lines tell no qid, LightGBM's file of group sizes stands beside (`rank.train.query` of `rank.train`). A column that
a line leaves out is 0, as every reader of the format has it. Labels are grades, and their gain is 2^label - 1.
"""

import hashlib
import math
from array import array
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from .examples import Examples, ExamplesError, Queries

# Of the queries of a train file that has no valid file beside it, the last are its valid.
VALID_SHARE = 0.2
# Rows are dense here, and more columns than these are words or ids, not features.
MAX_COLUMN = 9_999
# The largest grade whose gain LightGBM knows, too.
MAX_LABEL = 30
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


@dataclass
class _Lines:
    """A file as it stands, without the zeros."""

    labels: array = field(default_factory=lambda: array("f"))
    # Where each line's values end.
    ends: array = field(default_factory=lambda: array("q"))
    columns: array = field(default_factory=lambda: array("i"))
    values: array = field(default_factory=lambda: array("f"))
    # Candidates of each query.
    lengths: list[int] = field(default_factory=list)


def read(path: Path, n_columns: int | None = None) -> Queries:
    """Reads a whole file as queries. Nobody tells a prior or a time: both are 0.

    There are as many columns as the largest one needs, or `n_columns`. Queries without a label above 0 are dropped and
    counted. Raises ExamplesError, which names the file, the line, what stands there and what was expected.
    """
    lines = _read(path)
    return _queries(path, lines, n_columns or _n_columns(lines))


def read_splits(train: Path, valid: Path | None = None, test: Path | None = None) -> Examples:
    """Reads files with the same columns as splits; without a valid file, the last fifth of train's queries are valid.

    A split without a file is left out. There is no fingerprint, since no engine makes these rows.
    """
    given = {"train": train, "valid": valid, "test": test}
    paths = {split: path for split, path in given.items() if path is not None}
    files = {split: _read(path) for split, path in paths.items()}
    n_columns = max(_n_columns(lines) for lines in files.values())
    splits = {split: _queries(paths[split], lines, n_columns) for split, lines in files.items()}
    if valid is None:
        whole = splits.pop("train")
        n_train = len(whole) - math.ceil(VALID_SHARE * len(whole))
        if n_train == 0:
            raise ExamplesError(
                f"{train}: 1 query with a label above 0, expected two, or a valid file beside it"
            )
        train_, valid_ = whole.take(np.arange(n_train)), whole.take(np.arange(n_train, len(whole)))
        splits = {"train": replace(train_, n_dropped=whole.n_dropped), "valid": valid_, **splits}
    return Examples(
        features=[f"column_{j}" for j in range(n_columns)],
        fingerprint="",
        simulated=None,
        protocol="letor",
        sha256=hashlib.sha256(b"".join(path.read_bytes() for path in paths.values())).hexdigest(),
        splits=splits,
    )


def _read(path: Path) -> _Lines:
    lines = _Lines()
    # Of each line: its number in the file, and its qid if it tells one.
    told: list[tuple[int, str | None]] = []
    try:
        with path.open(encoding="utf-8") as file:
            for number, text in enumerate(file, 1):
                words = text.partition("#")[0].split()
                if words:
                    told.append((number, _add(lines, words, f"{path}:{number}")))
    except (OSError, UnicodeDecodeError) as error:
        raise ExamplesError(f"{path}: {error}") from error
    if not told:
        raise ExamplesError(f"{path}: no line, expected `label qid:n column:value ...`")
    groups = next(
        (file for file in (_beside(path, end) for end in ("query", "group")) if file.exists()), None
    )
    by_qid = _by_qid(path, told)
    if groups is not None:
        lines.lengths = _sizes(groups, path, len(told))
        if by_qid is not None and by_qid != lines.lengths:
            raise ExamplesError(
                f"{groups}: its groups are not those of the qids in {path}, expected one of the two"
            )
    elif by_qid is not None:
        lines.lengths = by_qid
    else:
        raise ExamplesError(
            f"{path}: no qid in its lines and no {_beside(path, 'query').name}; what is a query here?"
        )
    return lines


def _add(lines: _Lines, words: list[str], where: str) -> str | None:
    """Appends one line, and returns its qid."""
    label = _number(words[0])
    if not 0 <= label <= MAX_LABEL:
        raise ExamplesError(f"{where}: label {words[0]!r}, expected a number from 0 to {MAX_LABEL}")
    qid, first = None, 1
    if len(words) > 1 and words[1].startswith("qid:"):
        qid, first = words[1][4:], 2
    before = -1
    for word in words[first:]:
        name, colon, value = word.partition(":")
        if not colon or not name.isdecimal():
            raise ExamplesError(f"{where}: {word!r}, expected column:value with a whole number as column")
        column, number = int(name), _number(value)
        if column > MAX_COLUMN:
            raise ExamplesError(
                f"{where}: column {column}, expected at most {MAX_COLUMN}: rows are dense here"
            )
        if column <= before:
            raise ExamplesError(f"{where}: column {column} after {before}, expected columns to ascend")
        if math.isnan(number):
            raise ExamplesError(f"{where}: column {column}: {value!r}, expected a number that float32 holds")
        before = column
        lines.columns.append(column)
        lines.values.append(number)
    lines.labels.append(label)
    lines.ends.append(len(lines.columns))
    return qid


def _number(text: str) -> float:
    """NaN where it is no number, or more than float32 holds."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if abs(number) <= LARGEST_FLOAT32 else math.nan


def _beside(path: Path, end: str) -> Path:
    return path.with_name(f"{path.name}.{end}")


def _by_qid(path: Path, told: list[tuple[int, str | None]]) -> list[int] | None:
    """Candidates of each query, or nothing if no line tells a qid."""
    if all(qid is None for _, qid in told):
        return None
    lengths: dict[str, int] = {}
    last = None
    for number, qid in told:
        if qid is None:
            raise ExamplesError(f"{path}:{number}: no qid, expected one as in other lines")
        if qid != last and qid in lengths:
            raise ExamplesError(f"{path}:{number}: qid {qid} again, expected the lines of a query together")
        lengths[qid] = lengths.get(qid, 0) + 1
        last = qid
    return list(lengths.values())


def _sizes(groups: Path, path: Path, n_lines: int) -> list[int]:
    sizes = []
    for number, text in enumerate(groups.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip():
            continue
        if not text.strip().isdecimal() or int(text) == 0:
            raise ExamplesError(f"{groups}:{number}: {text!r}, expected the number of lines of a query")
        sizes.append(int(text))
    if sum(sizes) != n_lines:
        raise ExamplesError(f"{groups}: groups of {sum(sizes)} lines, {path.name} has {n_lines}")
    return sizes


def _n_columns(lines: _Lines) -> int:
    return max(lines.columns, default=0) + 1


def _queries(path: Path, lines: _Lines, n_columns: int) -> Queries:
    labels = np.frombuffer(lines.labels, np.float32)
    n_values = np.diff(np.frombuffer(lines.ends, np.int64), prepend=0)
    columns = np.frombuffer(lines.columns, np.int32) if lines.columns else np.empty(0, np.int32)
    if (largest := columns.max(initial=0)) >= n_columns:
        raise ExamplesError(f"{path}: column {largest}, expected at most {n_columns - 1}")
    rows = np.zeros((len(labels), n_columns), np.float32)
    rows[np.repeat(np.arange(len(labels)), n_values), columns] = lines.values

    lengths = np.array(lines.lengths, np.int64)
    starts = np.cumsum(lengths) - lengths
    wanted = np.maximum.reduceat(labels, starts) > 0
    if not wanted.any():
        raise ExamplesError(f"{path}: no query with a label above 0")
    mine = np.repeat(wanted, lengths)
    lengths = lengths[wanted]
    return Queries(
        rows=rows[mine],
        labels=labels[mine],
        prior=np.zeros(mine.sum(), np.float32),
        oracle=None,
        at=np.zeros(len(lengths), np.int64),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        n_dropped=int((~wanted).sum()),
    )
