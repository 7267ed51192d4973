"""Listwise losses of scores [queries, list] given masses [queries, list]; one number a query.

Each is scaled by the masses of its query, so that a query with more to find pulls more.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import rax

Loss = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]

# Of approximate ranks; scores of this network differ by several units, and below 0.5 gradients vanish.
TEMPERATURE = 1.0


def softmax(scores: jax.Array, mass: jax.Array, where: jax.Array) -> jax.Array:
    """Cross entropy of the masses and the softmax of the scores (Cao et al. 2007, as rax has it)."""
    return rax.softmax_loss(scores, mass, where=where, reduce_fn=None)


def approx_ndcg(
    scores: jax.Array, mass: jax.Array, where: jax.Array, temperature: float = TEMPERATURE
) -> jax.Array:
    """Minus NDCG over ranks made smooth by sigmoids (Qin, Liu and Li 2010). rax's `approx_t12n` needs a jax of before 0.6."""
    above = jax.nn.sigmoid((scores[:, None, :] - scores[:, :, None]) / temperature)
    others = where[:, None, :] & ~jnp.eye(scores.shape[1], dtype=bool)
    ranks = 1.0 + jnp.sum(jnp.where(others, above, 0.0), axis=-1)
    dcg = jnp.sum(jnp.where(where, mass / jnp.log2(1.0 + ranks), 0.0), axis=-1)
    return -jnp.sum(mass, axis=-1) * dcg / _ideal(mass)


def lambdarank(scores: jax.Array, mass: jax.Array, where: jax.Array) -> jax.Array:
    """Pairwise logistic loss, each pair weighed by the NDCG its swap would move (Burges 2010, as a loss by Wang et al. 2018)."""
    order = jnp.argsort(jnp.where(where, -scores, jnp.inf), axis=-1)
    discounts = 1.0 / jnp.log2(2.0 + jnp.argsort(order, axis=-1))
    swap = jnp.abs(mass[:, :, None] - mass[:, None, :]) * jnp.abs(
        discounts[:, :, None] - discounts[:, None, :]
    )
    better = (mass[:, :, None] > mass[:, None, :]) & where[:, :, None] & where[:, None, :]
    pairs = jax.nn.softplus(scores[:, None, :] - scores[:, :, None])
    weights = jax.lax.stop_gradient(jnp.where(better, swap, 0.0))
    return jnp.sum(mass, axis=-1) * jnp.sum(weights * pairs, axis=(-2, -1)) / _ideal(mass)


LOSSES: dict[str, Loss] = {"softmax": softmax, "approx_ndcg": approx_ndcg, "lambdarank": lambdarank}


def _ideal(mass: jax.Array) -> jax.Array:
    best = -jnp.sort(-mass, axis=-1)
    ideal = jnp.sum(best / jnp.log2(2.0 + jnp.arange(mass.shape[1])), axis=-1)
    # A query without mass has a loss of 0, not of 0 / 0.
    return jnp.where(ideal > 0, ideal, 1.0)
