"""The ONNX file: the network as a graph that onnxruntime and tract read alike.

rows [n, features] -> Sub -> Mul -> Clip -> (DequantizeLinear -> MatMul -> Add -> Relu) x 3
                   -> MatMul -> Add -> Squeeze -> score [n]
"""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from .network import Network
from .quantize import quantize

OPSET = 17
# The version that came with opset 17: readers older than ours accept it, too.
IR_VERSION = 8
# Where one engine adds in another order than the next.
TOLERANCE = 1e-5


def build(network: Network, metadata: dict[str, str], int8: bool = True) -> bytes:
    """The bytes of the file; the same for the same arguments.

    `int8=False` keeps the weights as they are, to compare with.
    """
    nodes, constants = [], []

    def constant(name: str, value: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(operator: str, inputs: list[str], output: str, **attributes) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    def dequantized(name: str, weights: np.ndarray) -> str:
        q = quantize(weights)
        inputs = [
            constant(f"{name}.int8", q.values),
            constant(f"{name}.scale", q.scales),
            constant(f"{name}.zero", np.zeros(len(q.scales), np.int8)),
        ]
        return node("DequantizeLinear", inputs, name, axis=1)

    limit = np.float32(network.clip)
    x = node("Sub", ["rows", constant("mean", network.mean)], "centred")
    x = node("Mul", [x, constant("scale", network.scale)], "scaled")
    x = node("Clip", [x, constant("clip.min", -limit), constant("clip.max", limit)], "normalized")
    for i, layer in enumerate(network.layers, start=1):
        name, hidden = f"layer{i}", i < len(network.layers)
        weights = (dequantized if int8 and hidden else constant)(f"{name}.weights", layer.weights)
        x = node("MatMul", [x, weights], f"{name}.product")
        x = node("Add", [x, constant(f"{name}.biases", layer.biases)], f"{name}.sum")
        if hidden:
            x = node("Relu", [x], f"{name}.relu")
    node("Squeeze", [x, constant("score.axis", np.array([1], np.int64))], "score")

    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", len(network.mean)])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n"])
    graph = helper.make_graph(nodes, "freshrank-ltr", [rows], [score], constants)
    model = helper.make_model(
        graph,
        producer_name="freshrank",
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def metadata(onnx_bytes: bytes) -> dict[str, str]:
    """The properties the file carries."""
    return {entry.key: entry.value for entry in onnx.load_from_string(onnx_bytes).metadata_props}


def run(onnx_bytes: bytes, rows: np.ndarray) -> np.ndarray:
    """onnxruntime's score of each row of [n, features]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    return session.run(["score"], {"rows": rows})[0]


def largest_gap(scores: np.ndarray, others: np.ndarray) -> float:
    """The largest difference, relative where scores are beyond 1."""
    return float(np.max(np.abs(scores - others) / np.maximum(1.0, np.abs(others)), initial=0.0))
