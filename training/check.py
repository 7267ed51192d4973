"""Checks the committed model: `python training/check.py models/`. Seconds, and no training.

The card, the probe and the file must be of one run, and onnxruntime must still score the probe as it did then.
"""

import hashlib
import json
import sys
from pathlib import Path

import freshrank_training  # noqa: F401  (before numpy: it sets the number of threads)
import numpy as np
from freshrank_training import onnx_file

MODELS = Path(__file__).parent.parent / "models"
FILES = ("ltr.onnx", "ltr.card.json", "ltr.probe.json")
# Where a plan keeps the first bytes of its ONNX file's SHA-256 (src/score/dense.rs).
PLAN_MAGIC, MODEL_IN_PLAN = b"FRLP", slice(26, 42)


def check(models: Path) -> list[str]:
    """What is wrong, a line each."""
    missing = [name for name in FILES if not (models / name).exists()]
    if missing:
        return [f"{name} is not there; `training/train.py` writes {', '.join(FILES)}" for name in missing]
    onnx_bytes = (models / "ltr.onnx").read_bytes()
    card = json.loads((models / "ltr.card.json").read_text())
    probe = json.loads((models / "ltr.probe.json").read_text())
    carried = onnx_file.metadata(onnx_bytes)
    of_run = {key: value for key, value in card.items() if key != "onnx"}
    sha256 = hashlib.sha256(onnx_bytes).hexdigest()
    retrain = "train again, or take all three files from one run"

    wrong = []
    for what, found, expected in (
        ("ltr.card.json: onnx.sha256", card["onnx"]["sha256"], sha256),
        ("ltr.probe.json: onnx_sha256", probe["onnx_sha256"], sha256),
        ("ltr.onnx: freshrank.fingerprint", carried.get("freshrank.fingerprint"), card["fingerprint"]),
        (
            "ltr.onnx: freshrank.features",
            json.loads(carried.get("freshrank.features", "[]")),
            card["features"],
        ),
        ("ltr.onnx: freshrank.card", json.loads(carried.get("freshrank.card", "{}")), of_run),
        ("ltr.probe.json: fingerprint", probe["fingerprint"], card["fingerprint"]),
        ("ltr.probe.json: features", probe["features"], card["features"]),
    ):
        if found != expected:
            wrong.append(f"{what} is {found}, expected {expected}; {retrain}")
    # There is none yet right after training.
    if (models / "ltr.plan").exists():
        plan = (models / "ltr.plan").read_bytes()
        found, expected = plan[MODEL_IN_PLAN].hex(), sha256[:32]
        if plan[:4] != PLAN_MAGIC or found != expected:
            wrong.append(f"ltr.plan: model {found}, expected {expected}; `freshrank model compile`")
    if wrong:
        return wrong

    scores = onnx_file.run(onnx_bytes, np.array(probe["rows"], np.float32))
    gap = onnx_file.largest_gap(scores, np.array(probe["scores"], np.float32))
    if gap > onnx_file.TOLERANCE:
        wrong.append(
            f"ltr.probe.json: onnxruntime's scores differ by {gap:.2g} now, at most {onnx_file.TOLERANCE:.2g} is allowed"
        )
    return wrong


def main() -> int:
    models = Path(sys.argv[1]) if len(sys.argv) > 1 else MODELS
    wrong = check(models)
    for line in wrong:
        print(f"error: {models}/{line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
