"""Metrics: by hand, and against every permutation of the ties."""

import unittest
from dataclasses import replace
from functools import partial
from itertools import permutations

import freshrank_training  # noqa: F401
import numpy as np
from freshrank_training.examples import Queries
from freshrank_training.metrics import interval, ndcg, ndcg_of_gains, ndcgs, overlap_at_10, reciprocal_rank


def without_ties(metric, scores, labels):
    """The mean of a metric over all orders of the candidates that the scores allow."""
    n = len(scores)
    orders = [o for o in permutations(range(n)) if all(scores[a] >= scores[b] for a, b in zip(o, o[1:]))]
    distinct = np.arange(n, 0, -1).astype(np.float32)
    return np.mean([metric(distinct, labels[list(order)]) for order in orders])


class Ranking(unittest.TestCase):
    def test_the_third_of_three_is_a_third(self):
        scores, labels = np.array([3.0, 2.0, 1.0]), np.array([0.0, 0.0, 1.0])
        self.assertAlmostEqual(reciprocal_rank(scores, labels), 1 / 3)
        self.assertAlmostEqual(ndcg(scores, labels), 1 / np.log2(4))

    def test_the_first_of_three_is_perfect(self):
        scores, labels = np.array([3.0, 2.0, 1.0]), np.array([1.0, 0.0, 0.0])
        self.assertEqual(reciprocal_rank(scores, labels), 1.0)
        self.assertEqual(ndcg(scores, labels), 1.0)

    def test_a_ranker_that_says_nothing_is_worth_what_chance_is_worth(self):
        labels = np.array([0.0, 1.0, 0.0, 0.0])
        self.assertAlmostEqual(reciprocal_rank(np.zeros(4), labels), np.mean([1, 1 / 2, 1 / 3, 1 / 4]))

    def test_ties_score_the_mean_over_their_permutations(self):
        rng = np.random.default_rng(1)
        for _ in range(60):
            scores = rng.integers(0, 3, 5).astype(np.float32)
            labels = rng.integers(0, 3, 5).astype(np.float32)
            for metric in (reciprocal_rank, partial(ndcg, k=3)):
                with self.subTest(scores=scores, labels=labels):
                    self.assertAlmostEqual(metric(scores, labels), without_ties(metric, scores, labels))

    def test_beyond_the_tenth_place_ndcg_sees_nothing(self):
        labels = np.zeros(12)
        labels[10] = 1.0
        scores = np.arange(12, 0, -1)
        self.assertEqual(ndcg(scores, labels), 0.0)
        self.assertAlmostEqual(reciprocal_rank(scores, labels), 1 / 11)

    def test_a_query_without_an_order_is_worth_nothing(self):
        self.assertEqual(
            (reciprocal_rank(np.ones(2), np.zeros(2)), ndcg(np.ones(2), np.zeros(2))), (0.0, 0.0)
        )


class Lists(unittest.TestCase):
    def setUp(self):
        starts, lengths = np.array([0, 3]), np.array([3, 12])
        rows, labels = np.zeros((15, 1), np.float32), np.zeros(15, np.float32)
        labels[[1, 14]] = 1.0
        self.queries = Queries(rows, labels, labels, None, np.zeros(2), starts, lengths, 0)

    def test_the_ten_best_overlap_by_their_number(self):
        scores = np.arange(15, dtype=np.float32)
        others = scores.copy()
        # The worst but one of the second list takes the place of its tenth best.
        others[4], others[5] = scores[5], scores[4]
        self.assertEqual(overlap_at_10(scores, scores, self.queries), 1.0)
        self.assertAlmostEqual(overlap_at_10(scores, others, self.queries), (1.0 + 0.9) / 2)

    def test_gains_of_ones_own_leave_the_fixed_ones_as_they_are(self):
        scores = -np.arange(15, dtype=np.float32)
        fixed = ndcgs(scores, self.queries)
        np.testing.assert_allclose(fixed, [1 / np.log2(3), 0.0])
        # Of the second query nothing is worth anything now; of the first, everything.
        gains = np.where(np.arange(15) < 3, 1.0, 0.0)
        self.assertEqual(ndcg_of_gains(scores, self.queries, gains), 1.0)
        np.testing.assert_allclose(ndcgs(scores, self.queries), fixed)

    def test_one_reader_is_one_witness(self):
        rng = np.random.default_rng(1)
        effect = np.repeat(rng.normal(size=20), 50)
        rows = np.zeros((1000, 1), np.float32)
        alone = Queries(
            rows, rows[:, 0], rows[:, 0], None, rows[:, 0], np.arange(1000), np.ones(1000, int), 0
        )
        low, high = interval(effect, alone)
        of_readers_low, of_readers_high = interval(
            effect, replace(alone, reader=np.repeat(np.arange(20), 50))
        )
        self.assertGreater(of_readers_high - of_readers_low, 4 * (high - low))


if __name__ == "__main__":
    unittest.main()
