"""What outcomes are worth, and that they are worth it in the right one of two tables."""

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import freshrank_training  # noqa: F401
import numpy as np
from freshrank_training import relevancy
from freshrank_training.examples import Queries
from freshrank_training.metrics import ndcgs
from freshrank_training.relevancy import RelevancyError

FEATURES = ["own_log_orders", "own_recency"]


def queries() -> Queries:
    """One list: a click, a basket, an order, a first order, a return after 100 days, nothing."""
    orders = np.array([0, 0, 1, 0, 1, 0], np.float32)
    recency = np.array([0, 0, 1 / (1 + 3 / 14), 0, 1 / (1 + 100 / 14), 0], np.float32)
    labels = np.array([0, 0, 1, 1, 1, 0], np.float32)
    signals = {
        "click": np.array([1, 1, 1, 1, 0, 0], np.float32),
        "add": np.array([0, 1, 1, 0, 0, 0], np.float32),
    }
    rows = np.stack([orders, recency], axis=1)
    return Queries(rows, labels, labels, None, np.zeros(1), np.array([0]), np.array([6]), 0, signals=signals)


class Worth(unittest.TestCase):
    def test_a_row_is_worth_the_strongest_thing_that_happened(self):
        kinds = relevancy.kinds(queries(), FEATURES, 60.0)
        names = [relevancy.KINDS[kind] if kind >= 0 else "nothing" for kind in kinds]
        self.assertEqual(
            names, ["click", "add", "order", "first_order_at_new_merchant", "reorder_after_long", "nothing"]
        )

    def test_mass_and_gain_are_apart(self):
        table = replace(relevancy.read(), mass=(1, 2, 3, 4, 5), gain=(9, 8, 7, 6, 5))
        self.assertEqual(relevancy.worth(queries(), FEATURES, table, "mass").tolist(), [1, 2, 3, 4, 5, 0])
        self.assertEqual(relevancy.worth(queries(), FEATURES, table, "gain").tolist(), [9, 8, 7, 6, 5, 0])
        weighed = relevancy.with_mass(queries(), FEATURES, table)
        self.assertEqual(weighed.mass.tolist(), [1, 2, 3, 4, 5, 0])
        # What trains cannot change what the fixed gains say.
        scores = np.arange(6.0)
        self.assertEqual(ndcgs(scores, weighed).tolist(), ndcgs(scores, queries()).tolist())

    def test_columns_that_do_not_tell_make_an_order_an_order_of_its_grade(self):
        graded = replace(queries(), labels=np.array([0, 0, 3, 1, 0, 0], np.float32), signals={})
        self.assertEqual(
            relevancy.worth(graded, ["a", "b"], relevancy.read(), "mass").tolist(), [0, 0, 7, 1, 0, 0]
        )


class Files(unittest.TestCase):
    def expect(self, message: str, change):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "relevancy.toml"
            path.write_text(change(relevancy.DEFAULT.read_text()))
            with self.assertRaises(RelevancyError) as caught:
                relevancy.read(path)
        self.assertIn(message, str(caught.exception))
        self.assertIn("relevancy.toml", str(caught.exception))

    def test_a_negative_worth_is_refused_by_key(self):
        self.expect(
            "mass.click: found -0.5, expected a number of at least 0",
            lambda text: text.replace("click = 0.1", "click = -0.5"),
        )

    def test_so_is_what_is_missing_unknown_or_no_number(self):
        for message, old, new in (
            ("mass.add: found None", "add = 0.3", ""),
            ("mass.tap: unknown, expected one of click", "add = 0.3", "add = 0.3\ntap = 1.0"),
            ("mass.click: found nan", "click = 0.1", "click = nan"),
            ("mass.click: found True", "click = 0.1", "click = true"),
            ("gains: unknown, expected mass, gain, kinds", "[gain]", "[gains]"),
        ):
            with self.subTest(message):
                self.expect(message, lambda text: text.replace(old, new, 1))

    def test_a_table_of_zeros_teaches_nothing_and_is_refused(self):
        def zeros(text: str) -> str:
            head, rest = text.split("[gain]")
            lines = [
                f"{line.split('=')[0]}= 0" if "=" in line and line[0] != "#" else line
                for line in head.splitlines()
            ]
            return "\n".join(lines) + "\n[gain]" + rest

        self.expect("mass: found 0 everywhere", zeros)


if __name__ == "__main__":
    unittest.main()
