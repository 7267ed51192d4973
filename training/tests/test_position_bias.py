"""The correction of position bias, on simulated clicks whose truth is known."""

import unittest
from dataclasses import replace

import freshrank_training  # noqa: F401
import numpy as np
from freshrank_training import simulated_clicks
from freshrank_training.propensity import MAX_WEIGHT, Looks, weighed
from position_bias import RECIPE, examples_of

SEVERITY = 1.0


class Clicks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        splits = {name: q.sample(1500, 1) for name, q in examples_of(None).splits.items()}
        cls.outcome = simulated_clicks.check(
            splits["train"], splits["valid"], splits["test"], SEVERITY, replace(RECIPE, max_epochs=12)
        )

    def test_looks_are_found_again(self):
        true, estimated = self.outcome.true_looks, self.outcome.estimated_looks
        gap = np.abs(true - estimated).max()
        self.assertLess(gap, 0.25, f"{estimated.round(2)} for {true.round(2)}")
        # Clicks alone would say this much of the last slot.
        self.assertLess(estimated[-1], 0.35)

    def test_the_correction_beats_naive_clicks_and_full_information_beats_both(self):
        ndcg = self.outcome.ndcg_at_10
        self.assertGreater(ndcg["clicks, looks estimated"], ndcg["naive clicks"], ndcg)
        self.assertGreater(ndcg["full information"], ndcg["clicks, looks estimated"], ndcg)
        self.assertGreater(ndcg["naive clicks"], ndcg["logging ranker"], ndcg)


class Weights(unittest.TestCase):
    def test_a_click_weighs_the_inverse_of_a_look_an_order_and_what_was_not_shown_do_not(self):
        queries = examples_of(None).splits["train"].take(np.array([0]))
        n = len(queries.rows)
        position, click, labels = (np.zeros(n, np.float32) for _ in range(3))
        position[:3], click[:4], labels[2] = [1, 2, 3], 1, 1
        logged = replace(queries, labels=labels, signals={"position": position, "click": click}, mass=click)
        mass = weighed(logged, Looks(np.array([1.0, 0.25, 0.001]))).mass
        self.assertEqual(mass[:5].tolist(), [1, 4, 1, 1, 0])
        self.assertEqual(Looks(np.array([1.0, 0.001])).weights(np.array([2, 0])).tolist(), [MAX_WEIGHT, 0])


if __name__ == "__main__":
    unittest.main()
