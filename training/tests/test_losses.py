"""Losses: against the literature's own numbers, and what they must prefer."""

import unittest

import freshrank_training  # noqa: F401
import jax
import jax.numpy as jnp
import numpy as np
from freshrank_training.losses import LOSSES, approx_ndcg, softmax
from freshrank_training.metrics import ndcg


class Losses(unittest.TestCase):
    def test_approx_ndcg_is_tensorflow_rankings(self):
        # The example in the documentation of tfr.keras.losses.ApproxNDCGLoss.
        scores, mass = jnp.array([[0.6, 0.8]]), jnp.array([[1.0, 0.0]])
        loss = approx_ndcg(scores, mass, jnp.ones((1, 2), bool), temperature=0.1)
        self.assertAlmostEqual(float(loss[0]), -0.655107, places=5)

    def test_sharp_approximate_ranks_give_ndcg(self):
        rng = np.random.default_rng(1)
        scores, labels = rng.normal(size=(8, 9)), rng.integers(0, 3, (8, 9)).astype(float)
        labels[:, 0] = 1
        gains = np.exp2(labels) - 1
        loss = approx_ndcg(jnp.array(scores), jnp.array(gains), jnp.ones((8, 9), bool), temperature=1e-4)
        wanted = [-gain.sum() * ndcg(s, label) for s, label, gain in zip(scores, labels, gains)]
        np.testing.assert_allclose(loss, wanted, rtol=1e-4)

    def test_softmax_weighs_by_mass(self):
        scores, mass = jnp.array([[1.0, 0.0, -1.0]]), jnp.array([[0.5, 2.0, 0.0]])
        log_share = np.log(np.exp([1.0, 0.0, -1.0]) / np.exp([1.0, 0.0, -1.0]).sum())
        loss = softmax(scores, mass, jnp.ones((1, 3), bool))
        self.assertAlmostEqual(float(loss[0]), -0.5 * log_share[0] - 2.0 * log_share[1], places=5)

    def test_every_loss_pulls_up_what_has_mass_and_forgives_a_query_without(self):
        scores, mass = jnp.zeros((2, 4)), jnp.array([[0.0, 1.0, 0.0, 0.0], [0.0] * 4])
        where = jnp.array([[True, True, True, False]] * 2)
        for name, loss in LOSSES.items():
            with self.subTest(name):
                pull = np.asarray(jax.grad(lambda s: loss(s, mass, where).sum())(scores))
                self.assertLess(pull[0, 1], 0)
                self.assertGreaterEqual(pull[0, 0], 0)
                self.assertEqual((pull[0, 3], np.abs(pull[1]).max()), (0, 0))


if __name__ == "__main__":
    unittest.main()
