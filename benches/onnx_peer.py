"""onnxruntime beside `dense`: the same network and rows, one thread; the same scores first. `onnx_peer.py SCENE`"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy
import onnxruntime

ROUNDS, ROUND_SECONDS = 9, 0.02


def main(scene: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = Path(__file__).parents[1] / "models/ltr.onnx"
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    expected = numpy.fromfile(scene / "scores.f32", "<f4")
    rows = numpy.fromfile(scene / "rows.f32", "<f4").reshape(len(expected), -1)

    def run() -> numpy.ndarray:
        return session.run(None, {name: rows})[0].ravel()

    apart = numpy.abs(run() - expected) / numpy.maximum(numpy.abs(expected), 1)
    if apart.max() > 1e-5:
        raise SystemExit(f"onnxruntime and dense are {apart.max()} apart")

    def seconds(times: int) -> float:
        began = time.perf_counter()
        for _ in range(times):
            run()
        return (time.perf_counter() - began) / times

    times = max(1, round(ROUND_SECONDS / seconds(10)))
    found = [seconds(times) for _ in range(ROUNDS)]
    print(json.dumps({f"onnxruntime/{len(rows)}": statistics.median(found) * 1e6}))


main(Path(sys.argv[1]))
