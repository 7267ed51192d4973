"""Trains the ranker: `python training/train.py --examples FILE.parquet --out models/`.

Writes ltr.onnx, ltr.card.json and ltr.probe.json; the same examples give the same bytes.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import freshrank_training  # noqa: F401  (before numpy: it sets the number of threads)
import numpy as np
from freshrank_training import card, onnx_file
from freshrank_training.examples import Examples, ExamplesError, Queries, read
from freshrank_training.fit import Recipe, fit
from freshrank_training.metrics import Quality, quality
from freshrank_training.network import Network
from freshrank_training.quantize import rounded

# NDCG@10 on valid that int8 may cost; a worse file is not written.
MAX_NDCG_LOSS = 0.002
N_PROBE = 32


class Refused(Exception):
    """The trained model is not fit to be written; says which check failed, by how much."""


def train(examples: Examples, recipe: Recipe, out: Path) -> dict:
    """Fits, quantizes, checks and writes; returns the card."""
    train_, valid = examples.splits["train"], examples.splits["valid"]
    fitted = fit(train_, valid, recipe, report=print)
    network = rounded(fitted.network)
    quantization = check_int8(fitted.network, network, valid)

    metrics = {split: table(network, examples.splits[split]) for split in ("valid", "test")}
    document = card.card(examples, recipe, fitted, quantization, metrics)
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
    return document


def check_int8(network: Network, int8: Network, valid: Queries) -> dict[str, float]:
    """What int8 costs, as onnxruntime runs both files; raises Refused where that is too much."""
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
    return {
        "ndcg_at_10_loss_on_valid": loss,
        "largest_score_gap_on_valid": float(np.abs(scores_f32 - scores_int8).max()),
    }


def table(network: Network, queries: Queries) -> dict[str, Quality]:
    """The model among those it must be compared with."""
    rankers = {
        "model": network.score(queries.rows),
        "prior": queries.prior,
        # All candidates tied: what chance is worth.
        "random": np.zeros_like(queries.prior),
    }
    if queries.oracle is not None:
        rankers["oracle (simulated)"] = queries.oracle
    return {name: quality(scores, queries) for name, scores in rankers.items()}


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


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=Path, required=True, help="what `freshrank examples` wrote")
    parser.add_argument("--out", type=Path, required=True, help="directory to write to, usually models/")
    parser.add_argument("--protocol", default="send-time", choices=["send-time", "known-place"])
    parser.add_argument("--also", choices=["known-place"], help="train on these queries, too; figures stay with --protocol")
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--max-epochs", type=int, default=Recipe.max_epochs)
    arguments = parser.parse_args()
    try:
        examples = read(arguments.examples, arguments.protocol, arguments.also)
        print(f"{arguments.examples}: {len(examples.features)} features, protocol {examples.protocol}")
        print(f"simulated: {examples.simulated}" if examples.simulated else "not simulated")
        for name, queries in examples.splits.items():
            dropped = f", {queries.n_dropped} without an order dropped" if queries.n_dropped else ""
            print(f"{name}: {len(queries)} queries, {len(queries.rows)} candidates{dropped}")
        document = train(
            examples, Recipe(seed=arguments.seed, max_epochs=arguments.max_epochs), arguments.out
        )
    except (ExamplesError, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1

    simulated = " (simulated)" if examples.simulated else ""
    print(f"\nbest epoch {document['training']['best_epoch']}; int8 costs {document['quantization']}")
    print(f"\n{'split' + simulated:20}{'ranker':20}{'mrr':>8}{'ndcg@10':>9}")
    for split, rankers in document["metrics"].items():
        for name, q in rankers.items():
            print(f"{split:20}{name:20}{q['mrr']:8.4f}{q['ndcg_at_10']:9.4f}")
    print(
        f"\n{arguments.out / 'ltr.onnx'}: {document['onnx']['bytes']} bytes, sha256 {document['onnx']['sha256']}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
