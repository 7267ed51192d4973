"""What is read from svmlight and LETOR files, and what a bad one is answered with."""

import tempfile
import unittest
from pathlib import Path

import freshrank_training  # noqa: F401
from freshrank_training import letor
from freshrank_training.examples import ExamplesError

LETOR = """\
2 qid:10 1:0.5 3:-2 # docid = GX001
0 qid:10 2:1e-3

0 qid:11 1:1
1 qid:12 3:4 # inc = 1
0 qid:12
"""
# The same, as LightGBM writes it.
SVMLIGHT = "2 1:0.5 3:-2\n0 2:1e-3\n0 1:1\n1 3:4\n0\n"
LIGHTGBM = Path(__file__).parents[3] / "shared/data/lightgbm_lambdarank"


class Reading(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "rank.train"

    def file(self, text: str, groups: str | None = None) -> Path:
        self.path.write_text(text)
        if groups is not None:
            self.path.with_name("rank.train.query").write_text(groups)
        return self.path

    def expect(self, message: str, text: str, groups: str | None = None):
        with self.assertRaises(ExamplesError) as caught:
            letor.read_splits(self.file(text, groups))
        self.assertIn(message, str(caught.exception))
        self.assertIn(str(self.path), str(caught.exception))

    def test_a_line_is_a_candidate_and_what_it_leaves_out_is_0(self):
        queries = letor.read(self.file(LETOR))
        self.assertEqual(
            queries.rows.tolist(),
            [[0, 0.5, 0, -2], [0, 0, 0.0010000000474974513, 0], [0, 0, 0, 4], [0, 0, 0, 0]],
        )
        self.assertEqual(queries.labels.tolist(), [2, 0, 1, 0])
        self.assertEqual((queries.starts.tolist(), queries.lengths.tolist()), ([0, 2], [2, 2]))
        self.assertEqual(queries.n_dropped, 1)
        self.assertIsNone(queries.oracle)

    def test_group_sizes_beside_the_file_are_worth_a_qid(self):
        by_qid = letor.read(self.file(LETOR))
        by_size = letor.read(self.file(SVMLIGHT, "2\n1\n2\n"))
        for name in ("rows", "labels", "starts", "lengths", "prior", "at"):
            self.assertEqual(getattr(by_qid, name).tolist(), getattr(by_size, name).tolist(), name)

    def test_splits_share_their_columns_and_the_last_fifth_is_valid(self):
        lines = [f"{label} qid:{query} 1:{query}\n" for query in range(9) for label in (1, 0)]
        train = self.file("".join(lines))
        test = train.with_name("rank.test")
        test.write_text("1 qid:1 7:1\n0 qid:1 1:2\n")
        examples = letor.read_splits(train, test=test)
        self.assertEqual(
            {name: len(q) for name, q in examples.splits.items()}, {"train": 7, "valid": 2, "test": 1}
        )
        self.assertEqual({q.rows.shape[1] for q in examples.splits.values()}, {8})
        self.assertEqual(examples.splits["valid"].rows[:, 1].tolist(), [7, 7, 8, 8])
        self.assertEqual(examples.splits["valid"].starts.tolist(), [0, 2])
        self.assertEqual(len(examples.features), 8)
        self.assertEqual(set(letor.read_splits(train, valid=test).splits), {"train", "valid"})

    def test_what_is_no_number_is_named_by_line_and_column(self):
        self.expect(":2: column 3: 'x', expected a number that float32 holds", "1 qid:1 1:2\n0 qid:1 3:x\n")
        self.expect(":1: column 3: '1e39', expected a number that float32 holds", "1 qid:1 3:1e39\n")
        self.expect(":1: label 'good', expected a number from 0 to 30", "good qid:1 1:2\n")
        self.expect(":1: label '-1', expected a number from 0 to 30", "-1 qid:1 1:2\n")
        self.expect(":1: 'a:1', expected column:value", "1 qid:1 a:1\n")

    def test_columns_that_do_not_ascend_or_are_words_are_refused(self):
        self.expect(":1: column 2 after 2, expected columns to ascend", "1 qid:1 2:1 2:1\n")
        self.expect(":1: column 10000, expected at most 9999: rows are dense here", "1 qid:1 10000:1\n")

    def test_a_file_must_say_what_a_query_is(self):
        self.expect("no qid in its lines and no rank.train.query", SVMLIGHT)
        self.expect(":2: no qid, expected one as in other lines", "1 qid:1 1:1\n0 1:1\n")
        self.expect(":3: qid 1 again, expected the lines of a query together", "1 qid:1\n0 qid:2\n0 qid:1\n")

    def test_group_sizes_must_fit(self):
        self.expect("rank.train.query: groups of 4 lines, rank.train has 5", SVMLIGHT, "2\n2\n")
        self.expect(
            "rank.train.query:2: 'two', expected the number of lines of a query", SVMLIGHT, "2\ntwo\n"
        )
        self.expect("its groups are not those of the qids", LETOR, "3\n2\n")

    def test_a_file_without_anything_to_learn_is_refused(self):
        self.expect("no line", "# nothing\n")
        self.expect("no query with a label above 0", "0 qid:1 1:1\n")
        self.expect("1 query with a label above 0, expected two", "1 qid:1 1:1\n")

    def test_a_file_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(ExamplesError, "rank.train"):
            letor.read(self.path)

    @unittest.skipUnless(LIGHTGBM.exists(), f"{LIGHTGBM} is not there")
    def test_lightgbm_s_own_example_has_50_test_queries(self):
        examples = letor.read_splits(LIGHTGBM / "rank.train", test=LIGHTGBM / "rank.test")
        counts = {name: len(q) + q.n_dropped for name, q in examples.splits.items()}
        self.assertEqual((counts["train"] + counts["valid"], counts["test"]), (201, 50))
        self.assertLessEqual(len(examples.splits["test"].labels), 768)


if __name__ == "__main__":
    unittest.main()
