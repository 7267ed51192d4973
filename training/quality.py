"""How good the ranker is beside LightGBM's LambdaMART: `python training/quality.py --out target/report [--entree DIR] ...`.

Prints one table, and writes quality.json and quality.md. What `cargo xtask quality` runs.
"""

import argparse
import sys
from pathlib import Path

import freshrank_quality  # noqa: F401  (before numpy: it sets the number of threads)
from freshrank_quality import ablate, compare, sets
from freshrank_quality.compare import DataSet
from freshrank_quality.rankers import OURS, Budget, score
from freshrank_quality.report import Report
from freshrank_training.examples import ExamplesError


def main() -> int:
    arguments = _arguments()
    report = Report()
    try:
        _measure(arguments, report)
    except ExamplesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not report.compared:
        print("error: nothing to measure on; name --entree, --lightgbm, --letor or --market", file=sys.stderr)
        return 1
    print(f"\n{report.table()}")
    if arguments.market:
        print(
            "market figures are of simulated orders: they show what holds where the truth is known, no more\n"
        )
    print(f"written to {arguments.out / 'quality.json'} and {arguments.out / 'quality.md'}")
    return 0


def _measure(arguments: argparse.Namespace, report: Report) -> None:
    """Fills the report, and writes it after every set: whoever stops it has what was found so far."""
    budget = Budget(trials=arguments.trials, seed=arguments.seed)
    for data in _plain(arguments):
        report.compared.append(compare.compare(data, budget, _say))
        _write(report, arguments.out)
    markets = [sets.of_market(*_named(text)) for text in arguments.market]
    homes = []
    for data in markets:
        homes.append(compare.compare(data, budget, _say))
        report.compared.append(homes[-1])
        _write(report, arguments.out)
    for home, compared in zip(markets, homes):
        for away in markets:
            if away is not home:
                title = f"trained on {home.title}, tested on {away.title}"
                report.crossed.append(compare.judge(title, away, compared.scorers))
    if markets and not arguments.no_ablation:
        data, best = markets[0], homes[0].ours
        whole = score(best.scorers[OURS], data.splits["test"])
        report.ablated[data.title] = ablate.ablate(data, best.setting, whole, _say)
    if report.compared:
        _write(report, arguments.out)


def _write(report: Report, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "quality.json").write_text(report.json())
    (out / "quality.md").write_text(report.markdown())


def _plain(arguments: argparse.Namespace) -> list[DataSet]:
    """Everything but the markets."""
    data = sets.of_entree(arguments.entree) if arguments.entree else []
    if arguments.lightgbm:
        folder = arguments.lightgbm
        data.append(sets.of_letor("LightGBM's example", folder / "rank.train", None, folder / "rank.test"))
    for text in arguments.letor:
        train, *valid, test = map(Path, text.split(","))
        data.append(sets.of_letor(train.name, train, *(valid or [None]), test))
    return data


def _named(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    return name, Path(path)


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="directory to write to, usually target/report"
    )
    parser.add_argument("--entree", type=Path, help="UCI's Entree folder")
    parser.add_argument("--lightgbm", type=Path, help="folder of LightGBM's lambdarank example")
    files = "TRAIN[,VALID],TEST"
    parser.add_argument(
        "--letor", action="append", default=[], metavar=files, help="svmlight files; may be said again"
    )
    parser.add_argument(
        "--market",
        action="append",
        default=[],
        type=_market,
        metavar="NAME=FILE",
        help="rows of `freshrank examples`; said again, each is tested on the others, too; the first is ablated",
    )
    parser.add_argument("--no-ablation", action="store_true")
    parser.add_argument("--trials", type=int, default=Budget.trials, help="of each ranker on each set")
    parser.add_argument("--seed", type=int, default=Budget.seed)
    arguments = parser.parse_args()
    for text in arguments.letor:
        if not 2 <= len(text.split(",")) <= 3:
            parser.error(f"--letor {text}: expected {files}")
    if arguments.trials < 1:
        parser.error(f"--trials {arguments.trials}: expected at least 1")
    return arguments


def _market(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text}: expected NAME=FILE")
    return text


if __name__ == "__main__":
    sys.exit(main())
