"""Fits the network: listwise softmax loss (Cao et al. 2007, as rax has it), Adam with decoupled weight decay."""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
import numpy as np
import optax
import rax

from .examples import Queries
from .metrics import quality
from .network import Layer, Network, initial, normalization

Parameters = list[dict[str, jax.Array]]


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes the result, apart from the examples."""

    seed: int = 1
    queries_per_step: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    max_epochs: int = 60
    # Epochs without a better NDCG@10 on valid before it stops.
    patience: int = 8

    def card(self) -> dict[str, object]:
        """For the model card."""
        return {"loss": "rax.softmax_loss", "optimizer": "optax.adamw", **asdict(self)}


@dataclass(frozen=True)
class Fitted:
    """The network as it was after its best epoch."""

    network: Network
    best_epoch: int
    n_epochs: int


def fit(
    train: Queries, valid: Queries, recipe: Recipe, report: Callable[[str], None] = lambda line: None
) -> Fitted:
    """Trains until valid stops improving; says a line per epoch to `report`. Never sees a test query."""
    rng = np.random.default_rng(recipe.seed)
    best = network = initial(*normalization(train.rows), rng)
    x = network.normalize(train.rows)
    parameters: Parameters = [
        {"w": jnp.array(layer.weights), "b": jnp.array(layer.biases)} for layer in network.layers
    ]
    optimizer = optax.adamw(recipe.learning_rate, weight_decay=recipe.weight_decay, mask=_weights_only)
    state = optimizer.init(parameters)
    step = _step(optimizer)

    best_epoch, best_ndcg = 0, -1.0
    for epoch in range(1, recipe.max_epochs + 1):
        losses = []
        for batch in batches(train, recipe.queries_per_step, rng):
            index, where = padded(train, batch)
            parameters, state, loss = step(parameters, state, x[index], train.labels[index], where)
            losses.append(loss)
        network = _network(network, parameters)
        now = quality(network.score(valid.rows), valid)
        report(
            f"epoch {epoch:3}  loss {np.mean(losses):.4f}  valid ndcg@10 {now.ndcg_at_10:.4f}  mrr {now.mrr:.4f}"
        )
        if now.ndcg_at_10 > best_ndcg:
            best, best_epoch, best_ndcg = network, epoch, now.ndcg_at_10
        if epoch - best_epoch >= recipe.patience:
            break
    return Fitted(best, best_epoch, epoch)


def batches(queries: Queries, size: int, rng: np.random.Generator) -> np.ndarray:
    """All queries in random order, [steps, size]; the last step is filled up with some of the first."""
    n_steps = -(-len(queries) // size)
    return np.resize(rng.permutation(len(queries)), (n_steps, size))


def padded(queries: Queries, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers [queries, longest list], and which of them are there; the others point at the query's first row."""
    position = np.arange(queries.lengths.max())
    where = position < queries.lengths[chosen, None]
    return queries.starts[chosen, None] + np.where(where, position, 0), where


def loss_of(parameters: Parameters, x: jax.Array, labels: jax.Array, where: jax.Array) -> jax.Array:
    """Softmax loss of normalized rows [queries, list, features], a mean over the queries."""
    *hidden, last = parameters
    for layer in hidden:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    scores = (x @ last["w"] + last["b"])[..., 0]
    # A reader with two orders in the window is one reader still.
    return rax.softmax_loss(scores, labels, where=where, label_fn=rax.utils.normalize_probabilities)


def _step(optimizer: optax.GradientTransformation) -> Callable:
    @jax.jit
    def step(parameters, state, x, labels, where):
        loss, gradient = jax.value_and_grad(loss_of)(parameters, x, labels, where)
        updates, state = optimizer.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state, loss

    return step


def _weights_only(parameters: Parameters) -> Parameters:
    return jax.tree.map(lambda value: value.ndim > 1, parameters)


def _network(network: Network, parameters: Parameters) -> Network:
    layers = tuple(Layer(np.asarray(layer["w"]), np.asarray(layer["b"])) for layer in parameters)
    return Network(network.mean, network.scale, layers, network.clip)
