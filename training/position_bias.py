"""Checks the correction of position bias on simulated clicks: `python training/position_bias.py --examples FILE.parquet`.

Clicks are drawn from what each candidate is truly worth (the file's `utility`, or a made-up taste without a file), so that the
looks each slot gets are known, and so is what a ranking is worth. Everything printed here is simulated.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import freshrank_training  # noqa: F401  (before numpy: it sets the number of threads)
from freshrank_training import simulated_clicks
from freshrank_training.examples import Examples, ExamplesError, read
from freshrank_training.fit import Recipe
from tests import synthetic

N_QUERIES = 3000
# The prior here is the logging ranker; nobody starts from it.
RECIPE = Recipe(start="random", max_epochs=25, patience=5)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=Path, help="rows of a simulated market; else a made-up taste")
    parser.add_argument(
        "--severity",
        type=float,
        nargs="+",
        default=[0.5, 1.0, 1.5],
        help="slot k is looked at with k^-severity",
    )
    parser.add_argument("--queries", type=int, default=N_QUERIES, help="messages to learn from, at most")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    try:
        examples = examples_of(wanted.examples)
    except ExamplesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    splits = {name: q.sample(wanted.queries, wanted.seed) for name, q in examples.splits.items()}
    if any(queries.oracle is None for queries in splits.values()):
        print(f"error: {wanted.examples}: no utility, expected rows of a simulated market", file=sys.stderr)
        return 1
    print(f"simulated clicks on {len(splits['train'])} messages; {examples.simulated}")
    for severity in wanted.severity:
        outcome = simulated_clicks.check(
            splits["train"],
            splits["valid"],
            splits["test"],
            severity,
            replace(RECIPE, seed=wanted.seed),
            wanted.seed,
        )
        print(f"\nslot k is looked at with probability k^-{severity:g}")
        for name, looks in (("true looks", outcome.true_looks), ("estimated", outcome.estimated_looks)):
            print(f"{name:28}{' '.join(f'{looked:.2f}' for looked in looks)}")
        print(f"{'learnt from':28}{'ndcg@10 by true worth':>22}")
        for name, ndcg in outcome.ndcg_at_10.items():
            print(f"{name:28}{ndcg:22.4f}")
    return 0


def examples_of(path: Path | None) -> Examples:
    """What clicks are drawn over; the logging ranker is the nearest, which is not what is liked."""
    if path is None:
        with tempfile.TemporaryDirectory() as directory:
            examples = read(
                synthetic.write(
                    Path(directory) / "taste.parquet", n_queries=5 * N_QUERIES // 3, n_features=8, longest=30
                )
            )
        return logged_by(examples, "feature_1", 1)
    examples = read(path)
    return logged_by(examples, "distance_km", -1)


def logged_by(examples: Examples, column: str, sign: int) -> Examples:
    """Messages were filled by one column."""
    j = examples.features.index(column)
    splits = {name: replace(q, prior=sign * q.rows[:, j]) for name, q in examples.splits.items()}
    return replace(examples, splits=splits)


if __name__ == "__main__":
    sys.exit(main())
