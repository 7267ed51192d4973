"""Weights in int8, arithmetic in f32.

Each output of a layer has its own scale, symmetric around zero; biases stay f32. Every engine folds this back
into plain f32 weights when it loads the file: it costs nothing at run time, and a quarter of the bytes before.

The last layer stays as it is. It has 32 weights, and of a layer with a single scale onnxruntime (1.31, by
default) quantizes the activations, too: that moved the scores of a random network by 0.02.
"""

from dataclasses import dataclass, replace

import numpy as np

from .network import Layer, Network

# -128 stays unused: the range is the same on both sides of zero.
LARGEST = 127


@dataclass(frozen=True)
class Quantized:
    """int8 weights [inputs, outputs] of which column j stands for `values[:, j] * scales[j]`."""

    values: np.ndarray
    scales: np.ndarray

    def weights(self) -> np.ndarray:
        """The f32 weights these stand for, as ONNX's DequantizeLinear makes them."""
        return self.values.astype(np.float32) * self.scales


def quantize(weights: np.ndarray) -> Quantized:
    """The nearest int8 weights; no weight moves by more than half its column's scale."""
    largest = np.abs(weights).max(axis=0)
    scales = np.where(largest > 0, largest / LARGEST, 1.0).astype(np.float32)
    values = np.clip(np.rint(weights / scales), -LARGEST, LARGEST).astype(np.int8)
    return Quantized(values, scales)


def rounded(network: Network) -> Network:
    """The network with the weights its int8 file stands for."""
    *hidden, last = network.layers
    layers = (Layer(quantize(layer.weights).weights(), layer.biases) for layer in hidden)
    return replace(network, layers=(*layers, last))
