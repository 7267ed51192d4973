"""What the peers are asked about, `peers.py SCENE`: forests, the float form of the shipped network, probe rows. Says where the libraries are.

The forests are for their speed: they learn what the shipped network says of made-up rows, which is no ranking. Their scores, by
LightGBM's own Python predictor, are what its C predictor is held against.
"""

import json
import sys
from pathlib import Path

import lightgbm
import numpy
import onnx
import onnxruntime
from onnx import numpy_helper

MODELS = Path(__file__).parents[2] / "models"
FORESTS = [(100, 15), (500, 63)]
N_ROWS, SEED = 20_000, 7


def main(scene: Path) -> None:
    session = onnxruntime.InferenceSession(MODELS / "ltr.onnx", providers=["CPUExecutionProvider"])
    name, (_, width) = session.get_inputs()[0].name, session.get_inputs()[0].shape
    asked = numpy.fromfile(scene / "rows.f32", "<f4").reshape(-1, width)

    rows = numpy.random.default_rng(SEED).uniform(-2, 2, (N_ROWS, width)).astype("<f4")
    labels = session.run(None, {name: rows})[0].ravel()
    for trees, leaves in FORESTS:
        options = {"objective": "regression", "num_leaves": leaves, "seed": SEED, "deterministic": True, "verbose": -1}
        forest = lightgbm.train(options | {"num_threads": 1}, lightgbm.Dataset(rows, labels), trees)
        if forest.num_trees() != trees:
            raise SystemExit(f"LightGBM grew {forest.num_trees()} trees, expected {trees}")
        forest.save_model(scene / f"lightgbm-{trees}x{leaves}.txt")
        forest.predict(asked, raw_score=True).astype("<f4").tofile(scene / f"lightgbm-{trees}x{leaves}.f32")

    onnx.save(in_floats(onnx.load(MODELS / "ltr.onnx")), scene / "ltr-f32.onnx")
    probe = json.loads((MODELS / "ltr.probe.json").read_text())
    numpy.array(probe["rows"], "<f4").tofile(scene / "probe_rows.f32")
    numpy.array(probe["scores"], "<f4").tofile(scene / "probe_scores.f32")

    (library,) = Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*")
    print(f"{library}\n{Path(lightgbm.__file__).parent / 'lib/lib_lightgbm.so'}")


def in_floats(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with its weights written out: byte x scale."""
    graph = model.graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kept = []
    for node in graph.node:
        if node.op_type != "DequantizeLinear":
            kept.append(node)
            continue
        levels, scale = (tensors[name] for name in node.input[:2])
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
        shape = [-1 if i == axis % levels.ndim else 1 for i in range(levels.ndim)]
        weights = levels.astype("<f4") * (scale if scale.ndim == 0 else scale.reshape(shape))
        graph.initializer.append(numpy_helper.from_array(weights.astype("<f4"), node.output[0]))
    del graph.node[:]
    graph.node.extend(kept)
    used = {name for node in kept for name in node.input}
    unused = [tensor for tensor in graph.initializer if tensor.name not in used]
    for tensor in unused:
        graph.initializer.remove(tensor)
    return model


main(Path(sys.argv[1]))
