"""The model card: what a person must know before they trust the file, in JSON."""

import json
import platform
from datetime import datetime, timezone
from importlib.metadata import version

import numpy as np

from .examples import Examples, Queries
from .fit import Fitted, Recipe
from .relevancy import Relevancy

FORMAT = "freshrank-model-card-1"
PACKAGES = ("jax", "jaxlib", "lightgbm", "numpy", "onnx", "onnxruntime", "optax", "pyarrow", "rax")


def card(
    examples: Examples,
    recipe: Recipe,
    fitted: Fitted,
    relevancy: Relevancy,
    looks: np.ndarray | None,
    quantization: dict[str, float],
    metrics: dict[str, dict[str, dict[str, float]]],
) -> dict[str, object]:
    """The card of one training run; no clock in it, so that the same run gives the same card."""
    document = {
        "format": FORMAT,
        "model": "ltr",
        "purpose": "ranks the merchants that deliver to a reader, for one message; the higher, the likelier an order",
        "limits": _limits(examples),
        "simulated": examples.simulated,
        "fingerprint": examples.fingerprint,
        "features": examples.features,
        "examples": {
            "sha256": examples.sha256,
            "protocol": examples.protocol,
            "splits": {name: _split(queries) for name, queries in examples.splits.items()},
        },
        "network": {
            "widths": [len(examples.features), *recipe.widths, 1],
            "activation": "relu",
            "clip": fitted.network.clip,
            "parameters": fitted.network.n_parameters,
            "weights": "int8 per output, symmetric; last layer, biases and arithmetic f32",
        },
        "training": {**recipe.card(), "best_epoch": fitted.best_epoch, "epochs": fitted.n_epochs},
        "relevancy": relevancy.card(),
        "quantization": {name: float(f"{value:.3g}") for name, value in quantization.items()},
        "metrics": {
            split: {ranker: {name: round(value, 6) for name, value in q.items()} for ranker, q in by.items()}
            for split, by in metrics.items()
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }
    if looks is not None:
        document["looks"] = [round(float(looked), 4) for looked in looks]
    return document


def dump(document: dict[str, object]) -> str:
    """JSON with an end of line, the same for the same document."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _split(queries: Queries) -> dict[str, object]:
    return {
        "queries": len(queries),
        "rows": len(queries.rows),
        "dropped_without_order": queries.n_dropped,
        "from": _utc(queries.at.min()),
        "until": _utc(queries.at.max()),
    }


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(int(seconds), timezone.utc).isoformat().replace("+00:00", "Z")


def _limits(examples: Examples) -> list[str]:
    limits = [
        "metrics are of queries whose merchant passed the filters; `freshrank evaluate` counts the others, too"
    ]
    if examples.simulated:
        limits.append(
            "fitted to a simulated market: the metrics show that the mechanics work, not how good it is with people"
        )
    return limits
