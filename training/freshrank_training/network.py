"""The ranker itself: a plain feed-forward network, in numpy.

x = clip((row - mean) * scale)
x = relu(x W + b)   for every layer but the last, which has no relu
"""

from dataclasses import dataclass, replace

import numpy as np

# Of the hidden layers.
WIDTHS = (64, 64, 32)
# In standard deviations: far enough to keep every usual value, near enough that a freak one cannot run away.
CLIP = 8.0
# How a column's centre and spread are found; either is frozen into the file as one subtraction and one multiplication.
TRANSFORMS = ("moments", "quantiles")
# Between these, a normal column has 3.29 standard deviations.
TAILS, SPREAD_OF_TAILS = (0.05, 0.95), 3.29


@dataclass(frozen=True)
class Layer:
    """One layer; all float32."""

    weights: np.ndarray  # [inputs, outputs]
    biases: np.ndarray  # [outputs]


@dataclass(frozen=True)
class Network:
    """A ranker: one score a row, the higher the more wanted."""

    mean: np.ndarray  # [features]
    scale: np.ndarray  # [features], multiplied
    layers: tuple[Layer, ...]
    clip: float = CLIP

    def normalize(self, rows: np.ndarray) -> np.ndarray:
        """Rows [n, features] as the first layer sees them."""
        return np.clip((rows - self.mean) * self.scale, -self.clip, self.clip)

    def score(self, rows: np.ndarray) -> np.ndarray:
        """One score a row of [n, features]."""
        x = self.normalize(rows)
        for layer in self.layers[:-1]:
            x = np.maximum(x @ layer.weights + layer.biases, np.float32(0))
        return (x @ self.layers[-1].weights + self.layers[-1].biases)[:, 0]

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return sum(layer.weights.size + layer.biases.size for layer in self.layers)


def normalization(rows: np.ndarray, transform: str = "moments") -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of the columns of [n, features]; of `quantiles`, the median and the distance of the tails.

    Quantiles do not bend to a few freak values. Where the tails coincide (a column that is almost always the same), the
    moments stand. A column that never varied gets the scale 0: nothing was learnt about it, so a new value there says nothing.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    deviation = rows.std(axis=0, dtype=np.float64)
    varies = deviation > 1e-6 * np.maximum(1.0, np.abs(mean))
    if transform == "quantiles":
        low, median, high = np.quantile(rows, (TAILS[0], 0.5, TAILS[1]), axis=0)
        spreads = high - low > 1e-3 * deviation
        mean = np.where(spreads, median, mean)
        deviation = np.where(spreads, (high - low) / SPREAD_OF_TAILS, deviation)
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
    return mean.astype(np.float32), scale.astype(np.float32)


def initial(
    mean: np.ndarray,
    scale: np.ndarray,
    rng: np.random.Generator,
    widths: tuple[int, ...] = WIDTHS,
    clip: float = CLIP,
) -> Network:
    """An untrained network; weights after He et al. 2015, biases 0."""
    layers, n_inputs = [], len(mean)
    for width in (*widths, 1):
        weights = rng.normal(0.0, np.sqrt(2.0 / n_inputs), (n_inputs, width)).astype(np.float32)
        layers.append(Layer(weights, np.zeros(width, np.float32)))
        n_inputs = width
    return Network(mean, scale, tuple(layers), clip)


def started_from(network: Network, weights: np.ndarray) -> Network:
    """The network with its first two units of every hidden layer carrying a linear ranker through, h = relu(h) - relu(-h).

    `weights` are of normalized columns. What the other units say starts at 0, so that training starts where the linear ranker
    is. Networks of a layer narrower than 2 stay as they are.
    """
    if min(layer.weights.shape[1] for layer in network.layers[:-1]) < 2:
        return network
    layers = []
    for i, layer in enumerate(network.layers):
        w = layer.weights.copy()
        if i == 0:
            w[:, :2] = np.stack([weights, -weights], axis=1)
        elif i < len(network.layers) - 1:
            w[:, :2] = 0.0
            w[:2, :2] = np.eye(2)
        else:
            w[:] = 0.0
            w[:2, 0] = [1.0, -1.0]
        layers.append(Layer(w, layer.biases))
    return replace(network, layers=tuple(layers))
