"""The quality table, small: a planted truth that both rankers must find, and a verdict that must be able to fail."""

import contextlib
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import freshrank_quality  # noqa: F401
import numpy as np
import quality
from freshrank_quality import entree
from freshrank_quality.ablate import ablate
from freshrank_quality.compare import ALL, ORACLE, PRIOR, RANDOM, DataSet, compare, judge
from freshrank_quality.measure import Interval, Measured, Verdict
from freshrank_quality.rankers import LAMBDAMART, OURS, OURS_FLOAT, Budget
from freshrank_quality.report import Report
from freshrank_training.examples import ExamplesError, Queries
from freshrank_training.fit import Recipe

SMALL = Budget(trials=2, max_epochs=12, max_trees=60)
N_CANDIDATES = 12


def planted(n_queries: int, seed: int) -> Queries:
    """One of twelve is wanted: the first column counts where the second is positive, against where it is not."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_queries * N_CANDIDATES, 6)).astype(np.float32)
    truth = np.where(rows[:, 1] > 0, 3.0, -3.0) * rows[:, 0] + rows[:, 2]
    noisy = (truth + rng.gumbel(size=len(truth))).reshape(n_queries, N_CANDIDATES)
    return Queries(
        rows=rows,
        labels=(noisy == noisy.max(axis=1, keepdims=True)).ravel().astype(np.float32),
        prior=rows[:, 2],
        oracle=truth.astype(np.float32),
        at=np.arange(n_queries),
        starts=np.arange(n_queries) * N_CANDIDATES,
        lengths=np.full(n_queries, N_CANDIDATES),
        n_dropped=0,
    )


def data() -> DataSet:
    splits = {"train": planted(500, 1), "valid": planted(200, 2), "test": planted(400, 3)}
    test = splits["test"]
    beside = {ORACLE: test.oracle, PRIOR: test.prior, RANDOM: np.zeros_like(test.prior)}
    columns = [f"column_{j}" for j in range(6)]
    return DataSet("planted", "made up by a test", "a test", splits, np.arange(400) // 2, beside, {}, columns)


class Comparing(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data = data()
        cls.compared = compare(cls.data, SMALL)
        cls.measured = cls.compared.judged.measured[ALL]

    def test_both_find_what_was_planted_and_nobody_beats_the_truth(self):
        for name in (OURS, OURS_FLOAT, LAMBDAMART):
            gap = self.measured.gap_closed(name, PRIOR, ORACLE)
            self.assertGreater(gap.low, 0.7, f"{name} {gap}")
            self.assertLess(self.measured.difference(name, ORACLE).low, 0.0, name)
        # A linear model cannot: the signs cancel out.
        self.assertLess(self.measured.ndcg_at_10(PRIOR), self.measured.ndcg_at_10(OURS) - 0.2)

    def test_both_had_the_same_number_of_trials_and_the_best_on_valid_was_taken(self):
        for search in (self.compared.ours, self.compared.lambdamart):
            self.assertEqual(len(search.trials), SMALL.trials)
            self.assertEqual(search.best.ndcg_at_10, max(trial.ndcg_at_10 for trial in search.trials))

    def test_the_verdict_flips_when_our_scores_are_scrambled(self):
        scorers = self.compared.scorers
        rng = np.random.default_rng(1)
        passed = judge("", self.data, {**scorers, OURS: scorers[LAMBDAMART]}).verdicts[ALL]
        scrambled = judge("", self.data, {**scorers, OURS: lambda rows: rng.permutation(scorers[OURS](rows))})
        self.assertEqual((str(passed), passed.difference), ("pass", Interval(0.0, 0.0, 0.0)))
        self.assertEqual(str(scrambled.verdicts[ALL]), "fail: inferior")

    def test_the_same_rows_give_the_same_figures(self):
        again = compare(self.data, SMALL).judged.measured[ALL]
        self.assertEqual(self.measured.ndcg.tolist(), again.ndcg.tolist())

    def test_taking_out_what_matters_costs_and_taking_out_noise_does_not(self):
        groups = {"sign": ("column_1",), "noise": ("column_4", "column_5")}
        scorer = self.compared.ours.scorers[OURS]
        with mock.patch("freshrank_quality.ablate.GROUPS", groups):
            found = {
                one.group: one.difference
                for one in ablate(
                    self.data, self.compared.ours.setting, scorer(self.data.splits["test"].rows)
                )
            }
        self.assertLess(found["sign"].high, -0.05)
        self.assertGreater(found["noise"].low, -0.05)
        self.assertEqual(len(found), 3)

    def test_a_group_of_a_column_that_is_gone_is_named(self):
        with self.assertRaisesRegex(ExamplesError, "no column own_log_orders.*facts/src/feature.rs"):
            ablate(self.data, Recipe(), np.zeros(1))

    def test_the_report_says_what_is_simulated_in_every_form(self):
        report = Report(compared=[self.compared])
        for text in (report.table(), report.markdown(), report.json()):
            self.assertIn("planted (simulated)", text)
        for row in json.loads(report.json()):
            self.assertLessEqual({"name", "target", "value", "unit"}, row.keys())
        self.assertIn(f"| {LAMBDAMART} |", report.markdown())


class Intervals(unittest.TestCase):
    def test_queries_of_one_reader_are_drawn_together(self):
        queries = planted(300, 4)
        scores = {"truth": queries.oracle, "chance": np.zeros_like(queries.oracle)}
        alone = Measured.of(queries, np.arange(300), scores).difference("truth", "chance")
        together = Measured.of(queries, np.zeros(300), scores).difference("truth", "chance")
        self.assertEqual(alone.value, together.value)
        for end in (together.low, together.high):
            self.assertAlmostEqual(end, together.value, msg="one reader, drawn again")
        # The mean of 300 independent values.
        one_by_one = Measured.of(queries, np.arange(300), scores)
        spread = np.std(one_by_one.ndcg[0] - one_by_one.ndcg[1]) / np.sqrt(300)
        self.assertAlmostEqual((alone.high - alone.low) / (2 * 1.96 * spread), 1.0, delta=0.1)

    def test_a_margin_is_passed_by_the_whole_interval(self):
        for low, high, says in (
            (0.001, 0.02, "pass, and better"),
            (-0.014, 0.02, "pass"),
            (-0.016, 0.02, "fail: too wide to tell"),
            (-0.02, -0.001, "fail: worse"),
            (-0.05, -0.016, "fail: inferior"),
        ):
            self.assertEqual(str(Verdict(Interval((low + high) / 2, low, high), -0.015)), says)


FEATURES = "000\tThai\n001\tbelow $15\n002\t$15-$30\n003\tPizza\n004\tGood Decor\n005\tGood Food\n006\tFair Service\n"
CHICAGO = "".join(
    f"{i:07}\tPlace {i}\t{'000' if i % 2 else '003'} {'001' if i % 3 else '002'} 004 005 006\n"
    for i in range(8)
)


class Entree(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = Path(directory.name)
        (self.folder / "features.txt").write_text(FEATURES)
        (self.folder / "chicago.txt").write_text(CHICAGO)

    def read(self, sessions: list[str]) -> entree.Entree:
        lines = ["timestamp\tvisitor\tentry\tmoves\tend", *sessions]
        (self.folder / "sessions.tsv").write_text("\n".join(lines) + "\n")
        return entree.read(self.folder)

    def sessions(self, moves: str = "{a}L {b}M {c}N") -> list[str]:
        """Thirty days of four visitors each; the same four every ten days."""
        lines = []
        for i in range(120):
            a, b, c = i % 8, (3 * i + 1) % 8, (5 * i + 2) % 8
            at = f"1997-03-{1 + i // 4:02}T{6 + i % 4:02}:00:00"
            lines.append(f"{at}\tv{i % 40}\t0\t{moves.format(a=a, b=b, c=c)}\t{c}")
        return lines

    def test_the_order_of_moves_their_operators_and_the_entry_are_not_used(self):
        one = self.read(self.sessions())
        other = self.read([line.replace("\t0\t", "\t77C\t") for line in self.sessions("{c}L {b}Q {a}S")])
        for way in one.ways:
            for split, queries in one.ways[way].splits.items():
                self.assertEqual(queries.rows.tolist(), other.ways[way].splits[split].rows.tolist())
        self.assertNotEqual(one.shown_last_mrr, other.shown_last_mrr)

    def test_a_row_knows_nothing_of_its_own_sitting_or_later(self):
        lines = self.sessions()
        # The last 18 of 120 are test, in order; from the 111th on, all stop elsewhere.
        changed = [line if i < 110 else line[: line.rindex("\t")] + "\t7" for i, line in enumerate(lines)]
        before, after = (self.read(of).ways[entree.CHICAGO].splits["test"] for of in (lines, changed))
        rows_before, rows_after = (queries.rows.reshape(18, 8, -1) for queries in (before, after))
        self.assertEqual(rows_before[:9].tolist(), rows_after[:9].tolist())
        self.assertNotEqual(rows_before[9].tolist(), rows_after[9].tolist())
        self.assertNotEqual(before.labels.tolist(), after.labels.tolist())

    def test_a_visitor_who_returns_has_a_history(self):
        way = self.read(self.sessions()).ways[entree.CHICAGO]
        test = way.splits["test"]
        self.assertTrue(way.returning.all())
        # Every visitor stops at one place all the time.
        self.assertEqual((test.rows[:, way.own_history] > 0).tolist(), (test.labels > 0).tolist())

    def test_a_row_out_of_layout_is_named(self):
        for line, message in (
            ("1997-03-01T10:00:00\tv\t0\t9L\t1", "sessions.tsv:2: restaurant '9', expected a number below 8"),
            ("1997-03-01T10:00:00\tv\t0\t1L", "sessions.tsv:2: 4 columns, expected 5 between tabs"),
            ("March\tv\t0\t1L\t1", "sessions.tsv:2: timestamp 'March', expected a time like"),
        ):
            with self.assertRaises(ExamplesError) as caught:
                self.read([line])
            self.assertIn(message, str(caught.exception))


class Command(unittest.TestCase):
    def test_an_svmlight_file_gives_a_table_and_two_files(self):
        with tempfile.TemporaryDirectory() as directory:
            folder = Path(directory)
            for name, n, seed in (("train.txt", 60, 1), ("test.txt", 30, 2)):
                queries = planted(n, seed)
                lines = [
                    f"{label:.0f} qid:{i // N_CANDIDATES} "
                    + " ".join(f"{j}:{v:.4f}" for j, v in enumerate(row, 1))
                    for i, (label, row) in enumerate(zip(queries.labels, queries.rows))
                ]
                (folder / name).write_text("\n".join(lines) + "\n")
            said = io.StringIO()
            words = [
                "quality.py",
                "--out",
                directory,
                "--letor",
                f"{folder}/train.txt,{folder}/test.txt",
                "--trials",
                "1",
            ]
            with contextlib.redirect_stdout(said), mock.patch.object(sys, "argv", words):
                self.assertEqual(quality.main(), 0)
            self.assertIn("30 queries of test.txt", (folder / "quality.md").read_text())
            self.assertIn("a smoke test, no more", (folder / "quality.md").read_text())
            names = {row["name"] for row in json.loads((folder / "quality.json").read_text())}
            self.assertLessEqual({OURS, OURS_FLOAT, LAMBDAMART, RANDOM, "as good as LambdaMART"}, names)
            self.assertIn("train.txt", said.getvalue())

    def test_a_file_that_is_not_there_is_an_error_that_names_it(self):
        said = io.StringIO()
        words = ["quality.py", "--out", "/tmp", "--market", "m=/nowhere.parquet"]
        with contextlib.redirect_stderr(said), mock.patch.object(sys, "argv", words):
            self.assertEqual(quality.main(), 1)
        self.assertIn("/nowhere.parquet", said.getvalue())


if __name__ == "__main__":
    unittest.main()
