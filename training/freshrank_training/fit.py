"""Fits the network: a listwise loss, Adam with decoupled weight decay, the running average of the weights."""

import tomllib
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import rax

from . import teacher as lambdamart
from .examples import Queries
from .losses import LOSSES
from .metrics import quality
from .network import CLIP, TRANSFORMS, WIDTHS, Layer, Network, initial, normalization, started_from
from .progress import Progress

Parameters = list[dict[str, jax.Array]]

# Train queries that the learning curve is drawn of, beside valid.
N_CURVE = 1000
# Rows that a linear prior is read off from.
N_PRIOR_ROWS = 20_000


class RecipeError(Exception):
    """Names the file, the field, what stands there and what was expected."""


@dataclass(frozen=True)
class Recipe:
    """Everything that shapes the result, apart from the examples."""

    seed: int = 1
    loss: str = "softmax"
    # Hidden layers.
    widths: tuple[int, ...] = WIDTHS
    # "prior" starts where the linear prior is, where the examples tell one; "random" does not.
    start: str = "prior"
    transform: str = "moments"
    clip: float = CLIP
    queries_per_step: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.1
    # Share of the average that a step keeps; 0 takes the weights as they are.
    average: float = 0.998
    # What a query weighs: the masses of its rows together, or all the same ("query").
    weigh_by: str = "mass"
    # Of the loss, taught by a LambdaMART of so many queries; the rest by the labels.
    teacher_share: float = 0.0
    teacher_queries: int = 8000
    max_epochs: int = 60
    # Epochs without a better NDCG@10 on valid before it stops.
    patience: int = 4

    def __post_init__(self):
        for name, wanted in (
            ("loss", tuple(LOSSES)),
            ("start", ("prior", "random")),
            ("transform", TRANSFORMS),
            ("weigh_by", ("mass", "query")),
        ):
            if getattr(self, name) not in wanted:
                raise RecipeError(
                    f"{name}: found {getattr(self, name)!r}, expected one of {', '.join(wanted)}"
                )
        for name, low, high in (
            ("average", 0.0, 0.9999),
            ("teacher_share", 0.0, 1.0),
            ("clip", 0.1, 1e3),
            ("learning_rate", 1e-9, 1.0),
            ("weight_decay", 0.0, 1.0),
            ("queries_per_step", 1, 1e6),
            ("teacher_queries", 1, 1e9),
            ("max_epochs", 1, 1e6),
            ("patience", 1, 1e6),
        ):
            if not low <= getattr(self, name) <= high:
                raise RecipeError(f"{name}: found {getattr(self, name)}, expected {low:g} to {high:g}")
        if not self.widths or not all(1 <= width <= 1024 for width in self.widths) or len(self.widths) > 7:
            raise RecipeError(f"widths: found {list(self.widths)}, expected 1 to 7 layers of 1 to 1024")

    def card(self) -> dict[str, object]:
        """For the model card."""
        return {"optimizer": "optax.adamw", **asdict(self), "widths": list(self.widths)}


def recipe_of(path: Path, **changed: object) -> Recipe:
    """A TOML file of Recipe's fields; what it does not say stays as it is. `changed` has the last word."""
    try:
        said = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RecipeError(f"{path}: {error}") from error
    known = {field.name: field.default for field in fields(Recipe)}
    for name, value in said.items():
        if name not in known:
            raise RecipeError(f"{path}: {name}: unknown, expected one of {', '.join(known)}")
        wanted = {int: int, float: (int, float), str: str, tuple: list}[type(known[name])]
        if not isinstance(value, wanted) or isinstance(value, bool):
            raise RecipeError(f"{path}: {name}: found {value!r}, expected something like {known[name]!r}")
    said = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    try:
        return Recipe(**{**said, **changed})
    except (RecipeError, TypeError) as error:
        raise RecipeError(f"{path}: {error}") from error


def toml_of(recipe: Recipe) -> str:
    """What `recipe_of` reads."""

    def said(value: object) -> str:
        return (
            f'"{value}"'
            if isinstance(value, str)
            else str(list(value) if isinstance(value, tuple) else value)
        )

    return "".join(f"{name} = {said(value)}\n" for name, value in asdict(recipe).items())


@dataclass(frozen=True)
class Epoch:
    """One point of the learning curve; the first is before any step, and has no loss."""

    loss: float | None
    train_ndcg_at_10: float  # of some of the train queries
    valid_ndcg_at_10: float
    valid_mrr: float


@dataclass(frozen=True)
class Fitted:
    """The network as it was after its best epoch."""

    network: Network
    best_epoch: int  # 0 where no step made it better
    n_epochs: int
    curve: tuple[Epoch, ...] = ()
    teacher: lambdamart.Teacher | None = None


def fit(
    train: Queries,
    valid: Queries,
    recipe: Recipe,
    report: Callable[[str], None] = lambda line: None,
    taught_by: lambdamart.Teacher | None = None,
) -> Fitted:
    """Trains until valid stops improving; says a line per epoch to `report`. Never sees a test query.

    `taught_by` spares the fitting of a teacher, where the recipe wants one.
    """
    if recipe.teacher_share > 0 and taught_by is None:
        taught_by = lambdamart.fit(train, valid, recipe.teacher_queries, recipe.seed)
        report(f"teacher: {taught_by.booster.best_iteration} trees, temperature {taught_by.temperature:.2f}")
    rng = np.random.default_rng(recipe.seed)
    mean, scale = normalization(train.rows, recipe.transform)
    best = network = initial(mean, scale, rng, recipe.widths, recipe.clip)
    x = network.normalize(train.rows)
    if recipe.start == "prior" and train.prior.any():
        best = network = started_from(network, _prior(x, train))
    mass = masses(train, recipe.weigh_by)
    lesson = taught_by.probabilities(train) if recipe.teacher_share > 0 else np.zeros_like(mass)
    some = train.sample(N_CURVE, recipe.seed)
    parameters: Parameters = [
        {"w": jnp.array(layer.weights), "b": jnp.array(layer.biases)} for layer in network.layers
    ]
    optimizer, step = _compiled(recipe.loss, recipe.teacher_share, recipe.learning_rate, recipe.weight_decay)
    average, state = parameters, optimizer.init(parameters)

    def point(loss: float | None) -> Epoch:
        now, seen = (quality(network.score(queries.rows), queries) for queries in (valid, some))
        return Epoch(loss, seen.ndcg_at_10, now.ndcg_at_10, now.mrr)

    curve, best_epoch, n_steps = [point(None)], 0, 0
    for epoch in range(1, recipe.max_epochs + 1):
        losses = []
        drawn = batches(train, recipe.queries_per_step, rng)
        bar = Progress(f"epoch {epoch}", len(drawn))
        for batch in drawn:
            index, where = padded(train, batch)
            parameters, state, loss = step(parameters, state, x[index], mass[index], lesson[index], where)
            n_steps += 1
            average = _averaged(average, parameters, min(recipe.average, n_steps / (n_steps + 10)))
            losses.append(loss)
            bar.advance()
        bar.end()
        network = _network(network, average)
        now = point(float(np.mean(losses)))
        curve.append(now)
        report(
            f"epoch {epoch:3}  loss {now.loss:.4f}  valid ndcg@10 {now.valid_ndcg_at_10:.4f}  mrr {now.valid_mrr:.4f}"
            f"  (train {now.train_ndcg_at_10:.4f})"
        )
        if now.valid_ndcg_at_10 > curve[best_epoch].valid_ndcg_at_10:
            best, best_epoch = network, epoch
        if epoch - best_epoch >= recipe.patience:
            break
    return Fitted(best, best_epoch, epoch, tuple(curve), taught_by)


def _prior(x: np.ndarray, train: Queries) -> np.ndarray:
    """The prior as weights of normalized columns, as strong as makes the labels likeliest."""
    some = x[:: max(1, len(x) // N_PRIOR_ROWS)].astype(np.float64)
    prior = train.prior[:: max(1, len(x) // N_PRIOR_ROWS)].astype(np.float64)
    centred = np.concatenate([some, np.ones((len(some), 1))], axis=1)
    weights = np.linalg.lstsq(centred, prior, rcond=None)[0][:-1]
    return (weights / lambdamart.temperature(train.prior.astype(np.float64), train)).astype(np.float32)


def masses(train: Queries, weigh_by: str) -> np.ndarray:
    """[n], scaled so that a query's is 1 on average: a learning rate means the same whatever the table says."""
    mass = train.mass if train.mass is not None else np.exp2(train.labels) - 1.0
    of_query = np.add.reduceat(mass, train.starts)
    if weigh_by == "query":
        mass = mass / np.repeat(np.where(of_query > 0, of_query, 1.0), train.lengths)
        of_query = (of_query > 0).astype(mass.dtype)
    return (mass / of_query.mean()).astype(np.float32)


def batches(queries: Queries, size: int, rng: np.random.Generator) -> np.ndarray:
    """All queries in random order, [steps, size]; the last step is filled up with some of the first."""
    n_steps = -(-len(queries) // size)
    return np.resize(rng.permutation(len(queries)), (n_steps, size))


def padded(queries: Queries, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers [queries, longest list], and which of them are there; the others point at the query's first row."""
    position = np.arange(queries.lengths.max())
    where = position < queries.lengths[chosen, None]
    return queries.starts[chosen, None] + np.where(where, position, 0), where


def loss_of(
    parameters: Parameters,
    x: jax.Array,
    mass: jax.Array,
    lesson: jax.Array,
    where: jax.Array,
    loss: str,
    teacher_share: float,
) -> jax.Array:
    """Loss of normalized rows [queries, list, features], a mean over the queries.

    A teacher's share is a cross entropy with its probabilities; it pulls with the masses of the query it speaks of.
    """
    *hidden, last = parameters
    for layer in hidden:
        x = jax.nn.relu(x @ layer["w"] + layer["b"])
    scores = (x @ last["w"] + last["b"])[..., 0]
    # Padding repeats a row, and with it its mass.
    mass, lesson = jnp.where(where, mass, 0.0), jnp.where(where, lesson, 0.0)
    losses = LOSSES[loss](scores, mass, where)
    if teacher_share > 0:
        taught = rax.softmax_loss(
            scores, lesson * mass.sum(axis=-1, keepdims=True), where=where, reduce_fn=None
        )
        losses = (1.0 - teacher_share) * losses + teacher_share * taught
    return losses.mean()


# Kept, so that many fits of one recipe compile once.
@lru_cache(maxsize=16)
def _compiled(
    loss: str, teacher_share: float, learning_rate: float, weight_decay: float
) -> tuple[optax.GradientTransformation, Callable]:
    optimizer = optax.adamw(learning_rate, weight_decay=weight_decay, mask=_weights_only)

    @jax.jit
    def step(parameters, state, x, mass, lesson, where):
        value, gradient = jax.value_and_grad(loss_of)(parameters, x, mass, lesson, where, loss, teacher_share)
        updates, state = optimizer.update(gradient, state, parameters)
        return optax.apply_updates(parameters, updates), state, value

    return optimizer, step


@jax.jit
def _averaged(average: Parameters, parameters: Parameters, kept: float) -> Parameters:
    return jax.tree.map(lambda old, new: kept * old + (1.0 - kept) * new, average, parameters)


def _weights_only(parameters: Parameters) -> Parameters:
    return jax.tree.map(lambda value: value.ndim > 1, parameters)


def _network(network: Network, parameters: Parameters) -> Network:
    layers = tuple(Layer(np.asarray(layer["w"]), np.asarray(layer["b"])) for layer in parameters)
    return replace(network, layers=layers)
