"""Both rankers on one set: trials on train and valid, one look at test."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from freshrank_training.examples import Queries

from .measure import Measured, Verdict
from .rankers import LAMBDAMART, OURS, Budget, Scorer, Search, lambdamart, ours, score

PRIOR, RANDOM, OWN_HISTORY, ORACLE = "prior", "random", "own history", "oracle (simulated)"
ALL = "all"


@dataclass(frozen=True)
class DataSet:
    """Queries to be good at."""

    name: str
    # What it is and what is used, for whoever reads the figures.
    about: str
    simulated: str | None
    splits: dict[str, Queries]
    # Whose each query of test is.
    readers: np.ndarray
    # Scores of test's rows by those who learn nothing.
    beside: dict[str, np.ndarray]
    # Some of test's queries, told of apart.
    segments: dict[str, np.ndarray] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"{self.name} (simulated)" if self.simulated else self.name


@dataclass(frozen=True)
class Judged:
    """Test, seen once."""

    title: str
    data: DataSet
    measured: dict[str, Measured]  # by segment
    verdicts: dict[str, Verdict]


@dataclass(frozen=True)
class Compared:
    """The rankers of one set, with their trials, and what they came to on its test."""

    ours: Search
    lambdamart: Search
    judged: Judged

    @property
    def scorers(self) -> dict[str, Scorer]:
        return {**self.lambdamart.scorers, **self.ours.scorers}


def compare(data: DataSet, budget: Budget, report: Callable[[str], None] = lambda line: None) -> Compared:
    train, valid = data.splits["train"], data.splits["valid"]
    boosted = lambdamart(train, valid, budget, lambda line: report(f"{data.name}: {line}"))
    network = ours(train, valid, budget, lambda line: report(f"{data.name}: {line}"))
    return Compared(network, boosted, judge(data.title, data, {**boosted.scorers, **network.scorers}))


def judge(title: str, data: DataSet, scorers: dict[str, Scorer]) -> Judged:
    """Scores test; the rankers may come from another set of the same columns."""
    test = data.splits["test"]
    scores = {name: score(scorer, test) for name, scorer in scorers.items()}
    whole = Measured.of(test, data.readers, {**scores, **data.beside})
    measured = {
        ALL: whole,
        **{name: whole.only(wanted) for name, wanted in data.segments.items() if wanted.any()},
    }
    verdicts = {name: Verdict.of(of_segment, OURS, LAMBDAMART) for name, of_segment in measured.items()}
    return Judged(title, data, measured, verdicts)
