"""Trains the ranker: `python training/train.py --examples FILE.parquet --out models/`.

Writes ltr.onnx, ltr.card.json and ltr.probe.json; the same examples give the same bytes.
"""

import argparse
import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import freshrank_training  # noqa: F401  (before numpy: it sets the number of threads)
import numpy as np
from freshrank_training import card, onnx_file, propensity, relevancy, report, sweep
from freshrank_training.baselines import baselines
from freshrank_training.examples import Examples, ExamplesError, Queries, read, with_more
from freshrank_training.fit import Recipe, RecipeError, fit, recipe_of, toml_of
from freshrank_training.metrics import ndcg_of_gains, overlap_at_10, quality
from freshrank_training.network import Network
from freshrank_training.quantize import rounded
from freshrank_training.relevancy import Relevancy, RelevancyError

# NDCG@10 on valid that int8 may cost; a worse file is not written.
MAX_NDCG_LOSS = 0.002
N_PROBE = 32


class Refused(Exception):
    """The trained model is not fit to be written; says which check failed, by how much."""


@dataclass(frozen=True)
class Trained:
    """What a run came to."""

    document: dict  # the card
    page: str  # the report, HTML
    onnx: bytes
    valid_rows: np.ndarray
    valid_scores: np.ndarray  # onnxruntime's


def train(examples: Examples, recipe: Recipe, out: Path, worth: Relevancy | None = None) -> Trained:
    """Fits, quantizes, checks and writes."""
    worth = worth or relevancy.read()
    train_ = relevancy.with_mass(examples.splits["train"], examples.features, worth)
    valid = examples.splits["valid"]
    looks, others = None, {}
    if propensity.is_logged(train_):
        looks = propensity.estimate(train_, recipe.seed)
        print(
            f"slots are looked at, against the first: {' '.join(f'{looked:.2f}' for looked in looks.looked)}"
        )
        print("clicks as they are:")
        others["model, clicks as they are"] = fit(train_, valid, recipe, report=print).network.score
        print("clicks weighed by inverse propensities:")
        train_ = propensity.weighed(train_, looks)
    fitted = fit(train_, valid, recipe, report=print)
    network = rounded(fitted.network)
    quantization, valid_scores = check_int8(fitted.network, network, valid)

    others |= {"model, float": fitted.network.score}
    if fitted.teacher is not None:
        others["LambdaMART teacher"] = fitted.teacher.score
    measured = {split: queries for split, queries in examples.splits.items() if split != "train"}
    rankers = {
        split: {
            "model": network.score(queries.rows),
            **{name: score(queries.rows) for name, score in others.items()},
            **baselines(queries, examples.features),
        }
        for split, queries in measured.items()
    }
    metrics = {split: table(rankers[split], measured[split], examples.features, worth) for split in measured}
    document = card.card(
        examples, recipe, fitted, worth, None if looks is None else looks.looked, quantization, metrics
    )
    onnx_bytes = onnx_file.build(
        fitted.network,
        {
            "freshrank.fingerprint": examples.fingerprint,
            "freshrank.features": json.dumps(examples.features),
            "freshrank.card": json.dumps(document, ensure_ascii=False),
        },
    )
    document["onnx"] = {"sha256": hashlib.sha256(onnx_bytes).hexdigest(), "bytes": len(onnx_bytes)}

    out.mkdir(parents=True, exist_ok=True)
    (out / "ltr.onnx").write_bytes(onnx_bytes)
    (out / "ltr.card.json").write_text(card.dump(document))
    (out / "ltr.probe.json").write_text(probe(examples, onnx_bytes))
    page = report.html(examples, document, fitted, network, rankers, worth)
    return Trained(document, page, onnx_bytes, valid.rows, valid_scores)


def check_int8(network: Network, int8: Network, valid: Queries) -> tuple[dict[str, float], np.ndarray]:
    """What int8 costs, as onnxruntime runs both files, and its scores; raises Refused where that is too much."""
    scores_f32 = onnx_file.run(onnx_file.build(network, {}, int8=False), valid.rows)
    scores_int8 = onnx_file.run(onnx_file.build(network, {}), valid.rows)
    for name, scores, own in (("f32", scores_f32, network), ("int8", scores_int8, int8)):
        gap = onnx_file.largest_gap(scores, own.score(valid.rows))
        if gap > onnx_file.TOLERANCE:
            raise Refused(
                f"{name} file: onnxruntime and numpy differ by {gap:.2g}, at most {onnx_file.TOLERANCE:.2g} is allowed"
            )
    loss = quality(scores_f32, valid).ndcg_at_10 - quality(scores_int8, valid).ndcg_at_10
    if loss > MAX_NDCG_LOSS:
        raise Refused(f"int8 costs {loss:.4f} NDCG@10 on valid, at most {MAX_NDCG_LOSS} is allowed")
    measured = {
        "ndcg_at_10_loss_on_valid": loss,
        "top_10_overlap_on_valid": overlap_at_10(scores_f32, scores_int8, valid),
        "largest_score_gap_on_valid": float(np.abs(scores_f32 - scores_int8).max()),
    }
    return measured, scores_int8


def table(
    rankers: dict[str, np.ndarray], queries: Queries, features: list[str], worth: Relevancy
) -> dict[str, dict[str, float]]:
    """Figures by ranker; the first NDCG has fixed gains, the second those of the relevancy table."""
    gains = relevancy.worth(queries, features, worth, "gain")
    return {
        name: {
            **asdict(quality(scores, queries)),
            "ndcg_at_10_configured": ndcg_of_gains(scores, queries, gains),
        }
        for name, scores in rankers.items()
    }


def probe(examples: Examples, onnx_bytes: bytes) -> str:
    """Rows from valid with onnxruntime's scores, for every other engine to agree with."""
    valid = examples.splits["valid"].rows
    rows = valid[np.linspace(0, len(valid) - 1, N_PROBE).astype(int)]
    lines = {
        "simulated": json.dumps(examples.simulated),
        "fingerprint": json.dumps(examples.fingerprint),
        "onnx_sha256": json.dumps(hashlib.sha256(onnx_bytes).hexdigest()),
        "features": json.dumps(examples.features),
        "rows": "[\n" + ",\n".join(f"    {json.dumps(row)}" for row in rows.tolist()) + "\n  ]",
        "scores": json.dumps(onnx_file.run(onnx_bytes, rows).tolist()),
    }
    return "{\n" + ",\n".join(f'  "{key}": {value}' for key, value in lines.items()) + "\n}\n"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--examples", type=Path, help="what `freshrank examples` wrote")
    source.add_argument("--letor", type=Path, metavar="FILE", help="svmlight or LETOR queries to train on")
    parser.add_argument("--letor-valid", type=Path, metavar="FILE", help="else the last fifth of --letor")
    parser.add_argument("--letor-test", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, help="directory to write to, usually models/")
    parser.add_argument("--protocol", default="send-time", choices=["send-time", "known-place"])
    parser.add_argument(
        "--also",
        nargs="+",
        default=[],
        choices=["known-place", "message"],
        help="train on these queries, too; figures stay with --protocol",
    )
    parser.add_argument(
        "--more",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="another market's train and valid queries of --protocol, too; said again, more of them. Test stays that of --examples",
    )
    parser.add_argument(
        "--recipe", type=Path, metavar="FILE", help="TOML with fields of Recipe (freshrank_training/fit.py)"
    )
    parser.add_argument(
        "--relevancy", type=Path, default=relevancy.DEFAULT, metavar="FILE", help="what outcomes are worth"
    )
    parser.add_argument(
        "--sweep", type=int, default=0, metavar="N", help="try N recipes on a sample first, take valid's best"
    )
    parser.add_argument("--seed", type=int)
    parser.add_argument("--max-epochs", type=int)
    parser.add_argument("--report", type=Path, metavar="FILE", help="one page of HTML about the run")
    parser.add_argument(
        "--rows",
        type=Path,
        metavar="DIR",
        help="all valid rows and onnxruntime's scores, for `freshrank model check`",
    )
    return parser.parse_args()


def main() -> int:
    wanted = arguments()
    try:
        changed = {
            name: value for name in ("seed", "max_epochs") if (value := getattr(wanted, name)) is not None
        }
        recipe = recipe_of(wanted.recipe, **changed) if wanted.recipe else Recipe(**changed)
        worth = relevancy.read(wanted.relevancy)
        if wanted.letor:
            from freshrank_training.letor import read_splits

            examples = read_splits(wanted.letor, wanted.letor_valid, wanted.letor_test)
        else:
            examples = with_more(read(wanted.examples, wanted.protocol, *wanted.also), wanted.more)
        print(
            f"{wanted.letor or wanted.examples}: {len(examples.features)} features, protocol {examples.protocol}"
        )
        print(f"simulated: {examples.simulated}" if examples.simulated else "not simulated")
        for name, queries in examples.splits.items():
            dropped = f", {queries.n_dropped} without an order dropped" if queries.n_dropped else ""
            print(f"{name}: {len(queries)} queries, {len(queries.rows)} candidates{dropped}")
        if wanted.sweep:
            recipe = best_of(examples, recipe, worth, wanted.sweep)
        trained = train(examples, recipe, wanted.out, worth)
    except (ExamplesError, RecipeError, RelevancyError, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1

    document, simulated = trained.document, " (simulated)" if examples.simulated else ""
    print(
        f"\nbest epoch {document['training']['best_epoch']}; int8 against float: {document['quantization']}"
    )
    print(f"\n{'split' + simulated:20}{'ranker':28}{'mrr':>8}{'ndcg@10':>9}{'configured gains':>18}")
    for split, rankers in document["metrics"].items():
        for name, q in rankers.items():
            print(
                f"{split:20}{name:28}{q['mrr']:8.4f}{q['ndcg_at_10']:9.4f}{q['ndcg_at_10_configured']:18.4f}"
            )
    if wanted.rows:
        wanted.rows.mkdir(parents=True, exist_ok=True)
        for name, values in (
            ("valid_rows.f32", trained.valid_rows),
            ("valid_scores.f32", trained.valid_scores),
        ):
            (wanted.rows / name).write_bytes(np.ascontiguousarray(values, "<f4").tobytes())
    if wanted.report:
        wanted.report.parent.mkdir(parents=True, exist_ok=True)
        wanted.report.write_text(trained.page)
        print(f"\n{wanted.report}: curves, importance, calibration, segments")
    print(
        f"\n{wanted.out / 'ltr.onnx'}: {document['onnx']['bytes']} bytes, sha256 {document['onnx']['sha256']}"
    )
    return 0


def best_of(examples: Examples, recipe: Recipe, worth: Relevancy, n: int) -> Recipe:
    """The recipe that did best on valid, of `n`; prints them all."""
    train_ = relevancy.with_mass(examples.splits["train"], examples.features, worth)
    if propensity.is_logged(train_):
        train_ = propensity.weighed(train_, propensity.estimate(train_, recipe.seed))
    print(
        f"\nsweep: {n} recipes on at most {sweep.N_TRAIN} train and {sweep.N_VALID} valid queries; NDCG@10 on valid"
    )
    trials = sweep.sweep(train_, examples.splits["valid"], recipe, n, report=print)
    print(f"\nchosen, as --recipe reads it:\n{toml_of(trials[-1].recipe)}")
    return trials[-1].recipe


if __name__ == "__main__":
    sys.exit(main())
