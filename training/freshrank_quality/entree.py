"""Entree (UCI, Burke): at which restaurant of Chicago a person of the nineties stopped. Real choices, real restaurants.

A query is asked as a sitting begins: sessions of one visitor that follow each other within six hours are one sitting, as
in offline/src/entree.rs, and the label is where the last of them with a known end stopped. Nothing of the sitting itself
is used: neither where it entered, nor its moves, nor in which order restaurants came up (the last one shown is nearly
always where it stopped). What is used is of before:

- what a restaurant is: its price, decor, food and service, and every other feature that many restaurants have;
- how many sittings, of all visitors, stopped there over the last month and the last year;
- where the visitor's earlier sittings stopped and what they showed, and how alike that is in features and in price.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from freshrank_training.examples import SPLITS, ExamplesError, Queries

# Who is ranked: every restaurant, or those that the session of the stop showed.
CHICAGO, SHOWN = "all of Chicago", "within the session"

SITTING_SECONDS = 6 * 3600
DAY = 86_400.0
# Shares of the sittings by time; what is before the first only tells popularity.
FROM = {"train": 0.10, "valid": 0.70, "test": 0.85}
UNTIL = {"train": 0.70, "valid": 0.85, "test": 1.0}
# Drawn once, as many as there is time for, but all of test; with all of Chicago, every query has 676 rows.
AT_MOST = {"train": 20_000, "valid": 3000}
# Of all Chicago, a query of train has so many others beside its label, drawn evenly.
N_OTHERS = 50

# Restaurants that must have a feature before it is a column; few cuisines do, and rarer ones tell by what is alike.
COMMON = 60
# A stop fades to 1 / e in so many days.
MONTH_DAYS, YEAR_DAYS = 30.0, 365.0
OWN_HALF_LIFE_DAYS = 180.0
GRADES = ("Poor", "Fair", "Good", "Excellent", "Extraordinary", "Near-perfect")
SCALES = {"price": ("below $15", "$15-$30", "$30-$50", "over $50")} | {
    what: tuple(f"{grade} {what.capitalize()}" for grade in GRADES) for what in ("decor", "food", "service")
}


@dataclass(frozen=True)
class Sitting:
    """Sessions of one visitor and one time that stopped somewhere."""

    visitor: str
    starts_at: int
    stops_at: int
    stop: int
    # By the session that stopped and by all of them: numbers of restaurants, ascending, since their order is a leak.
    shown: tuple[int, ...]
    seen: tuple[int, ...]


@dataclass(frozen=True)
class Way:
    """One way of asking: who is ranked."""

    splits: dict[str, Queries]
    # Of each query of test.
    visitors: np.ndarray
    returning: np.ndarray
    # The column that ranks by the visitor's own history alone.
    own_history: int


@dataclass(frozen=True)
class Entree:
    columns: list[str]
    ways: dict[str, Way]
    n_sittings: int
    # Reciprocal rank, of all sessions, of where they stopped among what they showed: by chance, and the last one first.
    random_mrr: float
    shown_last_mrr: float


def read(folder: Path, seed: int = 1) -> Entree:
    """Reads the folder as UCI publishes it, with `sessions.tsv` for its quarterly logs; `seed` draws queries and others."""
    city = _city(folder)
    sittings, controls = _sittings(folder / "sessions.tsv", city.n)
    rng = np.random.default_rng(seed)
    wanted = _choose(sittings, rng)
    asked: dict[tuple[str, str], list[_Asked]] = defaultdict(list)
    past = _Past(city, sittings)
    for i, sitting in enumerate(sittings):
        past.forward(sitting.starts_at)
        for way, split in wanted[i]:
            candidates = _candidates(way, split, sitting, city.n, rng)
            asked[way, split].append(
                _Asked(sitting, candidates, past.rows(sitting, candidates), past.knows(sitting))
            )
        past.add(sitting)
    ways = {way: _way({split: asked[way, split] for split in SPLITS}) for way in (CHICAGO, SHOWN)}
    return Entree([*_Past.COLUMNS, *city.columns], ways, len(sittings), *controls)


@dataclass(frozen=True)
class _Asked:
    sitting: Sitting
    candidates: np.ndarray
    rows: np.ndarray
    returning: bool


def _choose(sittings: list[Sitting], rng: np.random.Generator) -> list[list[tuple[str, str]]]:
    """Of each sitting, what it is asked for."""
    wanted: list[list[tuple[str, str]]] = [[] for _ in sittings]
    for way in (CHICAGO, SHOWN):
        for split in SPLITS:
            span = range(int(FROM[split] * len(sittings)), int(UNTIL[split] * len(sittings)))
            able = [i for i in span if way == CHICAGO or len(sittings[i].shown) > 1]
            for i in rng.permutation(able)[: AT_MOST.get(split)]:
                wanted[i].append((way, split))
    return wanted


def _candidates(way: str, split: str, sitting: Sitting, n: int, rng: np.random.Generator) -> np.ndarray:
    if way == SHOWN:
        return np.array(sitting.shown)
    if split != "train" or n <= N_OTHERS:
        return np.arange(n)
    others = rng.choice(n - 1, N_OTHERS, replace=False)
    return np.sort(np.append(others + (others >= sitting.stop), sitting.stop))


def _way(asked: dict[str, list[_Asked]]) -> Way:
    return Way(
        splits={split: _queries(of_split) for split, of_split in asked.items()},
        visitors=np.array([one.sitting.visitor for one in asked["test"]]),
        returning=np.array([one.returning for one in asked["test"]]),
        own_history=_Past.COLUMNS.index("own_stops"),
    )


def _queries(asked: list[_Asked]) -> Queries:
    lengths = np.array([len(one.candidates) for one in asked])
    rows = np.concatenate([one.rows for one in asked])
    return Queries(
        rows=rows,
        labels=np.concatenate([one.candidates == one.sitting.stop for one in asked]).astype(np.float32),
        # What ranks where nobody has trained anything: what others stopped at.
        prior=rows[:, _Past.COLUMNS.index("log_share_year")],
        oracle=None,
        at=np.array([one.sitting.starts_at for one in asked]),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
        n_dropped=0,
    )


@dataclass(frozen=True)
class _City:
    """Chicago's restaurants."""

    columns: list[str]
    content: np.ndarray  # [restaurants, columns]
    alike: np.ndarray  # [restaurants, restaurants], cosine of features, a rarer one being weightier
    price: np.ndarray  # 1 to 4

    @property
    def n(self) -> int:
        return len(self.price)


class _Past:
    """What is known before a time; time only goes forward."""

    COLUMNS = (
        *("log_share_month", "log_share_year", "log_trend"),
        *("own_stops", "own_recency", "own_seen", "own_seen_last_time"),
        *("alike_stops", "alike_nearest_stop", "alike_last_stop", "alike_seen", "price_gap"),
        *("visitor_sittings", "visitor_last_days"),
    )

    def __init__(self, city: _City, sittings: list[Sitting]):
        self.city = city
        self.stops = sorted((s.stops_at, s.stop) for s in sittings)
        self.n_told = 0
        self.at = self.stops[0][0]
        # Faded counts, by month and by year.
        self.fades = np.array([MONTH_DAYS, YEAR_DAYS])
        self.counts = np.zeros((2, city.n))
        self.own: dict[str, list[Sitting]] = defaultdict(list)

    def forward(self, to: int) -> None:
        """Everything that had stopped before."""
        while self.n_told < len(self.stops) and self.stops[self.n_told][0] < to:
            at, stop = self.stops[self.n_told]
            self._fade(at)
            self.counts[:, stop] += 1.0
            self.n_told += 1
        self._fade(to)

    def _fade(self, to: int) -> None:
        self.counts *= np.exp((self.at - to) / DAY / self.fades)[:, None]
        self.at = to

    def add(self, sitting: Sitting) -> None:
        """A visitor's sitting, for its later ones: they begin six hours after it or more."""
        self.own[sitting.visitor].append(sitting)

    def knows(self, sitting: Sitting) -> bool:
        return sitting.visitor in self.own

    def rows(self, sitting: Sitting, candidates: np.ndarray) -> np.ndarray:
        """[candidates, columns]; of a visitor nobody knows, the own columns are 0."""
        n = self.city.n
        shares = np.log((self.counts[:, candidates] + 0.5) / (self.counts.sum(axis=1) + 0.5 * n)[:, None])
        rows = np.zeros((len(candidates), len(self.COLUMNS)), np.float32)
        rows[:, 0], rows[:, 1], rows[:, 2] = shares[0], shares[1], shares[0] - shares[1]
        if earlier := self.own.get(sitting.visitor):
            rows[:, 3:] = self._own(sitting.starts_at, earlier)[candidates]
        return np.hstack([rows, self.city.content[candidates]])

    def _own(self, at: int, earlier: list[Sitting]) -> np.ndarray:
        """[restaurants, own columns]"""
        city = self.city
        days = np.array([(at - one.starts_at) / DAY for one in earlier])
        weights = np.exp2(-days / OWN_HALF_LIFE_DAYS)
        stops = np.array([one.stop for one in earlier])
        n_stops, n_seen, recency = np.zeros(city.n), np.zeros(city.n), np.zeros(city.n)
        np.add.at(n_stops, stops, weights)
        np.maximum.at(recency, stops, 1.0 / (1.0 + days / 14.0))
        for one, weight in zip(earlier, weights):
            n_seen[list(one.seen)] += weight
        last = np.zeros(city.n)
        last[list(earlier[-1].seen)] = 1.0
        return np.stack(
            [
                np.log1p(n_stops),
                recency,
                np.log1p(n_seen),
                last,
                city.alike @ n_stops / n_stops.sum(),
                city.alike[:, stops].max(axis=1),
                city.alike[:, stops[-1]],
                city.alike @ n_seen / n_seen.sum(),
                np.abs(city.price - city.price @ n_stops / n_stops.sum()),
                np.full(city.n, math.log1p(len(earlier))),
                np.full(city.n, min(days[-1], 254.0)),
            ],
            axis=1,
        )


def _city(folder: Path) -> _City:
    names = [name for _, name in _lines(folder / "features.txt", 2)]
    file = folder / "chicago.txt"
    has = np.zeros((len(_lines(file, 3)), len(names)), bool)
    for row, (_, _, ids) in enumerate(_lines(file, 3)):
        for text in ids.split():
            if not text.isdecimal() or int(text) >= len(names):
                raise ExamplesError(
                    f"{file}:{row + 1}: feature {text!r}, expected a number below {len(names)}"
                )
            has[row, int(text)] = True
    # Some features stand twice, under two numbers.
    by_name = {name: has[:, [i for i, n in enumerate(names) if n == name]].any(axis=1) for name in names}
    for what, scale in SCALES.items():
        if not any(by_name[name].any() for name in scale if name in by_name):
            raise ExamplesError(f"{file}: no restaurant with {what}, expected one of {', '.join(scale)}")
    graded = {what: _grade(by_name, scale) for what, scale in SCALES.items()}
    of_scales = {name for scale in SCALES.values() for name in scale}
    others = {name: there for name, there in by_name.items() if name not in of_scales and there.any()}
    common = {name: there for name, there in others.items() if there.sum() >= COMMON}
    rarity = np.stack([there * math.log(len(has) / there.sum()) for there in others.values()], axis=1)
    length = np.sqrt((rarity**2).sum(axis=1, keepdims=True))
    unit = np.divide(rarity, length, out=np.zeros_like(rarity), where=length > 0)
    columns = {**graded, **common}
    return _City(
        columns=list(columns),
        content=np.stack(list(columns.values()), axis=1).astype(np.float32),
        alike=unit @ unit.T,
        price=graded["price"],
    )


def _grade(by_name: dict[str, np.ndarray], scale: tuple[str, ...]) -> np.ndarray:
    """From 1; a restaurant without a grade has the middle of the others."""
    there = np.stack([by_name[name] for name in scale if name in by_name], axis=1)
    steps = np.array([i for i, name in enumerate(scale, 1) if name in by_name], float)
    n = there.sum(axis=1)
    grade = there @ steps / np.maximum(n, 1)
    return np.where(n > 0, grade, np.median(grade[n > 0]))


def _sittings(file: Path, n: int) -> tuple[list[Sitting], tuple[float, float]]:
    """In order of their begin, and what chance and the last one shown are worth."""
    by_visitor: dict[str, list[tuple[int, int, list[int], int | None]]] = defaultdict(list)
    random, shown_last = [], []
    for row, (at, visitor, _, moves, end) in enumerate(_lines(file, 5)[1:], 2):
        try:
            seconds = int(datetime.fromisoformat(at).replace(tzinfo=timezone.utc).timestamp())
        except ValueError:
            raise ExamplesError(
                f"{file}:{row}: timestamp {at!r}, expected a time like 1996-09-07T12:17:05"
            ) from None
        shown = list(
            dict.fromkeys(_restaurant(file, row, move.rstrip("LMNPQRS"), n) for move in moves.split())
        )
        stop = None if end == "-1" else _restaurant(file, row, end, n)
        if stop is not None:
            shown = shown if stop in shown else [*shown, stop]
            random.append(np.mean(1.0 / np.arange(1, len(shown) + 1)))
            shown_last.append(1.0 / (len(shown) - shown.index(stop)))
        by_visitor[visitor].append((seconds, row, shown, stop))

    sittings = []
    for visitor, sessions in by_visitor.items():
        # The log is not in order of time; sessions of one second stay in the log's order.
        sessions.sort(key=lambda session: session[:2])
        begins = [
            i for i, (at, *_) in enumerate(sessions) if i == 0 or at - sessions[i - 1][0] > SITTING_SECONDS
        ]
        for a, b in zip(begins, [*begins[1:], len(sessions)]):
            known = [session for session in sessions[a:b] if session[3] is not None]
            if known:
                stops_at, _, shown, stop = known[-1]
                seen = {restaurant for session in sessions[a:b] for restaurant in session[2]}
                sitting = (visitor, sessions[a][0], stops_at, stop, tuple(sorted(shown)), tuple(sorted(seen)))
                sittings.append(Sitting(*sitting))
    sittings.sort(key=lambda sitting: (sitting.starts_at, sitting.visitor))
    return sittings, (float(np.mean(random)), float(np.mean(shown_last)))


def _restaurant(file: Path, row: int, text: str, n: int) -> int:
    if not text.isdecimal() or int(text) >= n:
        raise ExamplesError(f"{file}:{row}: restaurant {text!r}, expected a number below {n}")
    return int(text)


def _lines(file: Path, n_columns: int) -> list[list[str]]:
    try:
        lines = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ExamplesError(f"{file}: {error}") from error
    for row, line in enumerate(lines, 1):
        if len(line) != n_columns:
            raise ExamplesError(f"{file}:{row}: {len(line)} columns, expected {n_columns} between tabs")
    return lines
