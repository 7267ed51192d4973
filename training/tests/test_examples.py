"""What a bad examples file is answered with."""

import tempfile
import unittest
from pathlib import Path

import freshrank_training  # noqa: F401
import numpy as np
from freshrank_training.examples import ExamplesError, read, with_more
from tests import synthetic


def with_first(value):
    """A change of a column's first row."""

    def change(values):
        values = values.copy()
        values[0] = value
        return values

    return change


class Reading(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "examples.parquet"

    def read(self, **changed):
        return read(synthetic.write(self.path, n_queries=30, n_features=6, **changed))

    def expect(self, message: str, **changed):
        with self.assertRaises(ExamplesError) as caught:
            self.read(**changed)
        self.assertIn(message, str(caught.exception))
        self.assertIn(str(self.path), str(caught.exception))

    def test_every_query_keeps_its_own_rows(self):
        examples = self.read()
        self.assertEqual(
            {name: len(q) for name, q in examples.splits.items()}, {"train": 18, "valid": 6, "test": 6}
        )
        self.assertEqual(
            (examples.fingerprint, examples.simulated), (synthetic.FINGERPRINT, synthetic.SIMULATED)
        )
        for queries in examples.splits.values():
            self.assertEqual(queries.lengths.sum(), len(queries.rows))
            for start, length in zip(queries.starts, queries.lengths):
                self.assertEqual(queries.labels[start : start + length].sum(), 1.0)

    def test_neither_oracle_nor_prior_is_a_feature(self):
        examples = self.read()
        self.assertFalse({"utility", "prior", "label"} & set(examples.features))
        self.assertEqual(examples.splits["train"].rows.shape[1], 6)

    def test_other_markets_train_and_choose_and_are_never_tested_on(self):
        first = self.read()
        other = self.path.with_name("other.parquet")
        theirs = read(synthetic.write(other, n_queries=36, n_features=6, longest=12, seed=2)).splits
        more = with_more(first, [other])
        self.assertIs(more.splits["test"], first.splits["test"])
        begin = {split: first.splits[split].at.min() for split in ("valid", "test")}
        for split, end in (("train", begin["valid"]), ("valid", begin["test"])):
            mine, all_ = first.splits[split], more.splits[split]
            at = theirs[split].at
            within = np.flatnonzero((at >= begin.get(split, 0)) & (at < end))
            self.assertTrue(0 < len(within) < len(theirs[split]), split)
            self.assertEqual(len(all_), len(mine) + len(within))
            self.assertLess(all_.at.max(), end)
            kept = all_.take(np.arange(len(mine), len(all_)))
            np.testing.assert_array_equal(kept.rows, theirs[split].take(within).rows)
            self.assertFalse(set(all_.reader[: len(mine)]) & set(kept.reader))
        self.assertNotEqual(more.sha256, first.sha256)

    def test_another_engines_rows_are_refused(self):
        other = self.path.with_name("other.parquet")
        synthetic.write(other, n_queries=30, n_features=7)
        with self.assertRaises(ExamplesError) as caught:
            with_more(self.read(), [other])
        self.assertIn("make both by one engine", str(caught.exception))

    def test_a_query_without_an_order_is_dropped_and_counted(self):
        before = self.read().splits["train"]
        # The first 1 is the only one of the first query.
        after = self.read(
            label=lambda labels: np.where(np.arange(len(labels)) == labels.argmax(), 0, labels)
        ).splits["train"]
        self.assertEqual((before.n_dropped, after.n_dropped), (0, 1))
        self.assertEqual(after.rows.tolist(), before.rows[before.lengths[0] :].tolist())

    def test_a_cancelled_order_is_no_order(self):
        def cancelled(labels):
            return np.where(np.arange(len(labels)) == labels.argmax(), 1, 0).astype(np.float32)

        self.assertEqual(self.read(cancelled=("label", cancelled)).splits["train"].n_dropped, 1)

    def test_clicks_and_slots_come_along_and_a_click_alone_trains(self):
        no_orders = lambda labels: labels * (np.arange(len(labels)) > 60)  # noqa: E731
        clicks = lambda labels: (np.arange(len(labels)) % 2 == 0).astype(np.float32)  # noqa: E731
        train = self.read(label=no_orders, click=("label", clicks), position=("label", clicks)).splits[
            "train"
        ]
        self.assertEqual((len(train), train.n_dropped, set(train.signals)), (18, 0, {"click", "position"}))
        self.assertEqual(train.signals["click"].tolist(), train.signals["position"].tolist())

    def test_a_signal_beyond_its_range_is_named(self):
        self.expect("row 0: click 2.0, expected 0 to 1", click=("label", with_first(np.float32(2))))

    def test_some_of_the_queries_keep_their_own_rows(self):
        train = self.read().splits["train"]
        some, left = train.take(np.array([4, 2])), train.keep(train.labels > 0)
        rows = slice(train.starts[2], train.starts[2] + train.lengths[2])
        self.assertEqual(some.rows[some.starts[1] :].tolist(), train.rows[rows].tolist())
        self.assertEqual(some.at.tolist(), [train.at[4], train.at[2]])
        self.assertEqual((left.lengths.tolist(), left.labels.tolist()), ([1] * 18, [1] * 18))
        self.assertEqual(len(train.sample(5, 1)), 5)

    def test_a_number_that_is_none_is_named_by_row_and_column(self):
        self.expect("row 0: feature_2 nan, expected a finite number", feature_2=with_first(np.float32("nan")))

    def test_splits_that_overlap_in_time_are_refused(self):
        self.expect("splits follow each other in time", at=lambda at: at[::-1].max() + at[0] - at)

    def test_a_query_of_two_splits_is_refused(self):
        self.expect("row 1: split train, the query's first row has valid", split=with_first("valid"))

    def test_a_query_in_two_places_is_refused(self):
        self.expect("rows of one query_id stand apart", query_id=lambda ids: ids % 29)

    def test_other_protocols_are_not_mixed_in(self):
        self.expect(
            "no row of protocol send-time", protocol=lambda values: np.full(len(values), "known-place")
        )

    def test_a_file_that_does_not_say_its_features_is_refused(self):
        self.expect("metadata has no freshrank.features", metadata={"other": "x"})

    def test_a_file_that_is_not_there_or_not_parquet_is_named(self):
        for content in (None, b"not parquet"):
            if content:
                self.path.write_bytes(content)
            with self.assertRaises(ExamplesError) as caught:
                read(self.path)
            self.assertIn(str(self.path), str(caught.exception))


if __name__ == "__main__":
    unittest.main()
