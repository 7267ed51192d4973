"""The table a person reads, as text and as Markdown, and the rows a program reads."""

import json
from dataclasses import dataclass, field

from .ablate import Without
from .compare import ALL, ORACLE, PRIOR, Compared, Judged
from .measure import MARGIN, RESAMPLES, Interval
from .rankers import LAMBDAMART, OURS, OURS_FLOAT

SIMULATED = (
    "Market figures are of **simulated** orders: they show what holds where the truth is known, not how good a ranker is "
    "with people."
)
NDCG = "ndcg@10"


@dataclass
class Report:
    """Gathers what was found, in the order in which it is told."""

    compared: list[Compared] = field(default_factory=list)
    # Rankers of one market on the other's test.
    crossed: list[Judged] = field(default_factory=list)
    # By title of the set.
    ablated: dict[str, list[Without]] = field(default_factory=dict)

    @property
    def judged(self) -> list[Judged]:
        return [*(one.judged for one in self.compared), *self.crossed]

    def table(self) -> str:
        """For a terminal."""
        figures = [row for judged in self.judged for row in _figures(judged)]
        verdicts = [row for judged in self.judged for row in _verdicts(judged)]
        gaps = [row for judged in self.judged for row in _gaps(judged)]
        ablated = [row for title, of_set in self.ablated.items() for row in _ablated(title, of_set)]
        parts = [_columns(FIGURES, figures), _columns(VERDICTS, verdicts)]
        parts += [_columns(GAPS, gaps)] if gaps else []
        parts += [_columns(ABLATED, ablated)] if ablated else []
        return "\n".join(parts)

    def markdown(self) -> str:
        lines = ["# Ranking quality", ""]
        if any(judged.data.simulated for judged in self.judged):
            lines += [SIMULATED, ""]
        lines += [
            f"{OURS} and {OURS_FLOAT} are the network that `training/` makes; {LAMBDAMART} is LightGBM's. Both had the same "
            "rows and the same number of trials, their defaults first, chosen by NDCG@10 on valid; test was scored once. Ties "
            f"score their expectation. Intervals are 95 %, paired, from {RESAMPLES} draws of the readers (of the queries, where "
            "nobody knows the readers); they do not tell what another seed of training would change.",
            "",
        ]
        for one in self.compared:
            lines += [f"## {one.judged.title}", "", one.judged.data.about, ""]
            lines += _pipes(FIGURES[1:], [row[1:] for row in _figures(one.judged)])
            lines += _pipes(TRIALS, _trials(one))
        if self.crossed:
            lines += ["## Trained on one market, tested on the other (simulated)", ""]
            lines += _pipes(FIGURES, [row for judged in self.crossed for row in _figures(judged)])
        lines += ["## As good as LambdaMART?", ""]
        lines += [
            f"Passed where the interval of the difference in NDCG@10 lies above -{100 * MARGIN:.1f} % of LambdaMART's.",
            "",
            *_pipes(VERDICTS, [row for judged in self.judged for row in _verdicts(judged)]),
        ]
        gaps = [row for judged in self.judged for row in _gaps(judged)]
        if gaps:
            lines += ["## The gap from the prior to the truth (simulated)", ""]
            lines += _pipes(GAPS, gaps)
        for title, of_set in self.ablated.items():
            lines += [f"## {title}: what each group of columns is worth", ""]
            lines += _pipes(ABLATED[1:], [row[1:] for row in _ablated(title, of_set)])
        return "\n".join(lines)

    def json(self) -> str:
        """An array of {name, target, value, unit, against?, ratio?}."""
        rows = [row for judged in self.judged for row in _rows(judged)]
        for title, of_set in self.ablated.items():
            for without in of_set:
                rows += _interval(f"without {without.group} - {OURS}", title, without.difference, NDCG)
        return "[\n" + ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in rows) + "\n]\n"


FIGURES = ("set", "queries", "ranker", "NDCG@10", "MRR", f"of {LAMBDAMART}")
VERDICTS = ("set", "queries", f"{OURS} - {LAMBDAMART}, NDCG@10", "must exceed", "verdict")
GAPS = ("set", "queries", "ranker", "share of the gap closed, NDCG@10")
ABLATED = ("set", "without", "NDCG@10", "difference")
TRIALS = ("ranker", "NDCG@10 on valid", "epochs or trees", "setting")


def _name(segment: str, n: int) -> str:
    return f"{n} {segment}" if segment != ALL else f"{n}"


def _figures(judged: Judged) -> list[tuple[str, ...]]:
    rows = []
    for segment, measured in judged.measured.items():
        peer = measured.ndcg_at_10(LAMBDAMART)
        for name in measured.names:
            figure = measured.ndcg_at_10(name)
            of_peer = f"{figure / peer:.3f}" if peer > 0 else "-"
            n = _name(segment, len(measured.readers))
            rows.append((judged.title, n, name, f"{figure:.4f}", f"{measured.mrr(name):.4f}", of_peer))
    return rows


def _verdicts(judged: Judged) -> list[tuple[str, ...]]:
    return [
        (
            judged.title,
            _name(segment, len(judged.measured[segment].readers)),
            str(verdict.difference),
            f"{verdict.least:+.4f}",
            str(verdict),
        )
        for segment, verdict in judged.verdicts.items()
    ]


def _gaps(judged: Judged) -> list[tuple[str, ...]]:
    return [
        (
            judged.title,
            _name(segment, len(measured.readers)),
            name,
            str(measured.gap_closed(name, PRIOR, ORACLE)),
        )
        for segment, measured in judged.measured.items()
        if ORACLE in measured.names
        for name in (OURS, OURS_FLOAT, LAMBDAMART)
    ]


def _ablated(title: str, of_set: list[Without]) -> list[tuple[str, ...]]:
    return [(title, one.group, f"{one.ndcg_at_10:.4f}", str(one.difference)) for one in of_set]


def _trials(one: Compared) -> list[tuple[str, ...]]:
    rows = []
    for search in (one.ours, one.lambdamart):
        for trial in search.trials:
            setting = (
                ", ".join(f"{name} {value}" for name, value in trial.setting.items()) or "LightGBM's defaults"
            )
            reached = f"{trial.ndcg_at_10:.4f}" + (" (taken)" if trial is search.best else "")
            rows.append((trial.ranker, reached, str(trial.n_steps), setting))
    return rows


def _rows(judged: Judged) -> list[dict[str, object]]:
    rows = []
    for segment, measured in judged.measured.items():
        target = judged.title if segment == ALL else f"{judged.title}, {segment}"
        peer = measured.ndcg_at_10(LAMBDAMART)
        for name in measured.names:
            figure = measured.ndcg_at_10(name)
            row = {"name": name, "target": target, "value": figure, "unit": NDCG}
            rows.append(row | ({"against": LAMBDAMART, "ratio": figure / peer} if peer > 0 else {}))
            rows.append({"name": name, "target": target, "value": measured.mrr(name), "unit": "mrr"})
        verdict = judged.verdicts[segment]
        rows += _interval(f"{OURS} - {LAMBDAMART}", target, verdict.difference, NDCG)
        rows.append(
            {
                "name": "as good as LambdaMART",
                "target": target,
                "value": int(verdict.passed),
                "unit": "1 is yes",
            }
        )
        if ORACLE in measured.names:
            for name in (OURS, OURS_FLOAT, LAMBDAMART):
                gap = measured.gap_closed(name, PRIOR, ORACLE)
                rows += _interval(f"{name}, gap from prior to oracle closed", target, gap, "share")
    return rows


def _interval(name: str, target: str, interval: Interval, unit: str) -> list[dict[str, object]]:
    values = {name: interval.value, f"{name}, low": interval.low, f"{name}, high": interval.high}
    return [{"name": name, "target": target, "value": value, "unit": unit} for name, value in values.items()]


def _columns(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """What stands above it again stays blank."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines, above = [], ("",) * len(head)
    for row in (head, *rows):
        n_same = next((i for i, (a, b) in enumerate(zip(above, row)) if a != b), len(row))
        shown = [
            " " * width if i < min(n_same, 2) else f"{cell:{width}}"
            for i, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(shown).rstrip())
        above = row
    return "\n".join(lines) + "\n"


def _pipes(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return ["| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows)] + [""]
