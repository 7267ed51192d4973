"""One page about a training run: HTML that needs nothing beside it."""

from dataclasses import dataclass
from html import escape

import numpy as np

from . import svg
from .baselines import segments
from .examples import Examples, Queries
from .fit import Fitted
from .metrics import interval, ndcgs
from .network import Network
from .progress import Progress
from .relevancy import KINDS, NOTHING, Relevancy, kinds
from .teacher import softmax

N_IMPORTANCE_QUERIES, N_SHUFFLES = 500, 2
N_BINS = 10
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2321; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p { max-width: 46rem; } .simulated { background: #fff3d6; padding: .5rem .8rem; border-left: 4px solid #d99b00; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; } th, td { padding: .2rem .8rem .2rem 0; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid #1c2321; font-weight: 600; } th:first-child, td:first-child { text-align: left; white-space: normal; } tr.ours { font-weight: 600; }
svg { width: 100%; max-width: 40rem; height: auto; display: block; font: 12px system-ui, sans-serif; fill: #1c2321; }
svg .grid { stroke: #dfe3e1; } svg .mark { stroke: #1c2321; stroke-dasharray: 2 4; }
"""


@dataclass(frozen=True)
class Bin:
    """Rows of similar probability."""

    predicted: float
    observed: float
    n_rows: int


def html(
    examples: Examples,
    document: dict,
    fitted: Fitted,
    network: Network,
    rankers: dict[str, dict[str, np.ndarray]],
    relevancy: Relevancy,
) -> str:
    """The page; `document` is the card, `network` what the file holds, `rankers` scores by split and name."""
    split = "test" if "test" in examples.splits else "valid"
    queries = examples.splits[split]
    parts = [
        f"<h1>Training of the ranker</h1><p>{len(examples.features)} columns, protocol {escape(examples.protocol)}, "
        f"{', '.join(f'{len(q)} {name}' for name, q in examples.splits.items())} queries.</p>",
        f'<p class="simulated">{escape(examples.simulated)}. What follows shows that the parts fit together, not how good '
        "the model is with people.</p>"
        if examples.simulated
        else "",
        _comparison(examples, document, rankers),
        _curves(fitted),
        _segments(queries, split, examples.features, rankers[split]),
        _calibration(queries, split, rankers[split]["model"]),
        _importance(examples, network),
        _relevancy(examples, relevancy),
        _positions(document),
        _quantization(document),
        _recipe(document),
    ]
    title = "Training of the ranker"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<body>{''.join(parts)}</body></html>\n"
    )


def calibration(scores: np.ndarray, queries: Queries, n_bins: int = N_BINS) -> list[Bin]:
    """The softmax of a query's scores beside what was ordered, in bins that each expect the same number of orders."""
    probability = softmax(scores.astype(np.float64), queries)
    order = np.argsort(probability, kind="stable")
    expected = np.cumsum(probability[order])
    which = np.minimum((expected / expected[-1] * n_bins).astype(int), n_bins - 1)
    ordered = (queries.labels > 0)[order] / np.repeat(
        np.add.reduceat(queries.labels > 0, queries.starts, dtype=np.int64), queries.lengths
    )[order]
    n_rows = np.bincount(which, minlength=n_bins)
    predicted, observed = (np.bincount(which, values, n_bins) for values in (probability[order], ordered))
    return [Bin(p / n, o / n, int(n)) for p, o, n in zip(predicted, observed, n_rows) if n]


def importance(network: Network, queries: Queries, features: list[str], seed: int = 1) -> dict[str, float]:
    """NDCG@10 lost when a column is shuffled over all rows, the largest first."""
    rng = np.random.default_rng(seed)
    whole = float(ndcgs(network.score(queries.rows), queries).mean())
    lost = {}
    bar = Progress("importance of columns", len(features))
    for j, name in enumerate(features):
        values = []
        for _ in range(N_SHUFFLES):
            rows = queries.rows.copy()
            rows[:, j] = rng.permutation(rows[:, j])
            values.append(whole - float(ndcgs(network.score(rows), queries).mean()))
        lost[name] = float(np.mean(values))
        bar.advance()
    bar.end()
    return dict(sorted(lost.items(), key=lambda entry: -entry[1]))


def _comparison(examples: Examples, document: dict, rankers: dict[str, dict[str, np.ndarray]]) -> str:
    parts = [
        "<h2>Beside other rankers</h2><p>All rank the same candidates. NDCG@10 counts an order 1 and all else 0 and is what "
        "the model was chosen by, on valid; the second one has the gains of relevancy.toml. The interval is the model's "
        "NDCG@10 less the other's, 95 %, readers drawn anew. Test chose nothing.</p>"
    ]
    for split, by_name in rankers.items():
        queries = examples.splits[split]
        own = ndcgs(by_name["model"], queries)
        rows = []
        for name, q in document["metrics"][split].items():
            apart = own - ndcgs(by_name[name], queries)
            low, high = interval(apart, queries)
            differs = "" if name == "model" else f"{apart.mean():+.4f} ({low:+.4f} to {high:+.4f})"
            numbers = (f"{q['ndcg_at_10']:.4f}", f"{q['ndcg_at_10_configured']:.4f}", f"{q['mrr']:.4f}")
            rows.append((name, *numbers, differs))
        head = (split, "NDCG@10", "NDCG@10, configured gains", "MRR", "model less it")
        parts.append(_table(head, rows, ours="model"))
    return "".join(parts)


def _curves(fitted: Fitted) -> str:
    series = {
        "valid": [(i, e.valid_ndcg_at_10) for i, e in enumerate(fitted.curve)],
        "train (a sample)": [(i, e.train_ndcg_at_10) for i, e in enumerate(fitted.curve)],
    }
    loss = {"train loss": [(i, e.loss) for i, e in enumerate(fitted.curve) if e.loss is not None]}
    return (
        f"<h2>Learning curves</h2><p>Epoch {fitted.best_epoch} of {fitted.n_epochs} (dotted) had the best NDCG@10 on valid.</p>"
        f"{svg.lines(series, 'epoch', 'NDCG@10', fitted.best_epoch)}{svg.lines(loss, 'epoch', 'loss', fitted.best_epoch)}"
    )


def _segments(queries: Queries, split: str, features: list[str], by_name: dict[str, np.ndarray]) -> str:
    shown = [name for name in ("model", "prior", "popularity in the cell", "random") if name in by_name]
    rows = []
    for segment, (some, chosen) in segments(queries, features).items():
        values = {name: ndcgs(by_name[name][chosen], some) for name in shown}
        apart = values["model"] - values[shown[1]]
        low, high = interval(apart, some)
        means = (f"{values[name].mean():.4f}" for name in shown)
        rows.append((segment, len(some), *means, f"{apart.mean():+.4f} ({low:+.4f} to {high:+.4f})"))
    if not rows:
        return ""
    head = (f"{split}, NDCG@10", "queries", *shown, f"model less {shown[1]}")
    return (
        "<h2>Segments</h2><p>A ranker that puts a reader's own merchants first must lose where the order went to a new one. The "
        "last line asks only among merchants that are new to the reader (as far as their profile knows).</p>"
        + _table(head, rows)
    )


def _calibration(queries: Queries, split: str, scores: np.ndarray) -> str:
    bins = calibration(scores, queries)
    rows = [(f"{b.predicted:.4f}", f"{b.observed:.4f}", b.n_rows) for b in bins]
    points = {
        "orders": [(b.predicted, b.observed) for b in bins],
        "calibrated": [(b.predicted, b.predicted) for b in bins],
    }
    return (
        f"<h2>Calibration</h2><p>Softmax of the scores within a query, beside the share that was ordered; {split}. Each bin expects "
        "the same number of orders. Probabilities are among the candidates of the file, which may be a sample: the reader's "
        "next order need not be among them.</p>"
        f"{svg.lines(points, 'probability by the model', 'share ordered')}{_table(('probability', 'ordered', 'rows'), rows)}"
    )


def _importance(examples: Examples, network: Network) -> str:
    some = examples.splits["valid"].sample(N_IMPORTANCE_QUERIES, 1)
    lost = importance(network, some, examples.features)
    top = dict(list(lost.items())[:40])
    return (
        f"<h2>Importance of columns</h2><p>NDCG@10 lost on {len(some)} valid queries when one column is shuffled over all rows. Columns that "
        f"say the same stand in for each other: a small loss here is not a useless column.</p>{svg.bars(top, 'NDCG@10 lost')}"
    )


def _relevancy(examples: Examples, relevancy: Relevancy) -> str:
    kind = kinds(examples.splits["train"], examples.features, relevancy.long_days)
    counts = np.bincount(kind[kind != NOTHING], minlength=len(KINDS))
    rows = [
        (name.replace("_", " "), int(n), f"{mass:g}", f"{gain:g}")
        for name, n, mass, gain in zip(KINDS, counts, relevancy.mass, relevancy.gain)
    ]
    return "<h2>Relevancy</h2>" + _table(
        ("what happened", "rows of train", "mass in training", "gain in NDCG"), rows
    )


def _positions(document: dict) -> str:
    looks = document.get("looks")
    if looks is None:
        return (
            "<h2>Position bias</h2><p>The file logs no impressions: nothing was corrected. "
            "<code>training/position_bias.py</code> shows the correction on simulated clicks.</p>"
        )
    rows = [(slot, f"{looked:.3f}") for slot, looked in enumerate(looks, 1)]
    return (
        "<h2>Position bias</h2><p>How often a slot is looked at, against the first, by regression EM; clicks weigh by its "
        "inverse. The table above has the same network on clicks as they are.</p>"
        + _table(("slot", "looked at"), rows)
    )


def _quantization(document: dict) -> str:
    q = document["quantization"]
    return "<h2>int8 against float</h2>" + _table(
        ("on all of valid", ""), [(name.replace("_", " "), f"{value:g}") for name, value in q.items()]
    )


def _recipe(document: dict) -> str:
    rows = [(name, str(value)) for name, value in document["training"].items()]
    return "<h2>Recipe</h2>" + _table(("field", ""), rows)


def _table(head: tuple, rows: list[tuple], ours: str | None = None) -> str:
    def line(row: tuple, tag: str) -> str:
        mark = ' class="ours"' if row[0] == ours else ""
        return f"<tr{mark}>{''.join(f'<{tag}>{escape(str(cell))}</{tag}>' for cell in row)}</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
