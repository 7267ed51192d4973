"""From examples to files, on synthetic examples."""

import contextlib
import io
import json
import tempfile
import unittest
from dataclasses import replace
from html import escape
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import freshrank_training  # noqa: F401
import numpy as np
from check import MODELS, check
from freshrank_training import onnx_file
from freshrank_training.examples import read
from freshrank_training.fit import (
    Recipe,
    RecipeError,
    batches,
    fit,
    loss_of,
    masses,
    padded,
    recipe_of,
    toml_of,
)
from freshrank_training.losses import LOSSES
from freshrank_training.metrics import quality
from freshrank_training.network import Layer, Network, initial, normalization
from freshrank_training.quantize import quantize, rounded
from freshrank_training.sweep import sweep
from tests import synthetic
from train import Refused, check_int8, main, train


def network(n_features: int = 9, seed: int = 1) -> tuple[Network, np.ndarray]:
    """A random network and rows for it."""
    rng = np.random.default_rng(seed)
    rows = (rng.normal(size=(200, n_features)) * rng.uniform(0.1, 50, n_features)).astype(np.float32)
    return initial(*normalization(rows), rng), rows


class Numbers(unittest.TestCase):
    def test_no_weight_moves_by_more_than_half_a_step_of_its_output(self):
        weights = np.random.default_rng(1).normal(size=(64, 32)).astype(np.float32) * np.logspace(
            -6, 3, 32, dtype=np.float32
        )
        q = quantize(weights)
        self.assertEqual(q.values.dtype, np.int8)
        self.assertEqual(np.abs(q.values).max(axis=0).tolist(), [127] * 32)
        self.assertTrue((np.abs(q.weights() - weights) <= 0.5001 * q.scales).all())

    def test_an_output_without_weights_stays_without(self):
        self.assertEqual(quantize(np.zeros((3, 2), np.float32)).weights().tolist(), [[0, 0]] * 3)

    def test_a_column_that_never_varied_says_nothing(self):
        mean, scale = normalization(np.array([[1, 1e6], [3, 1e6]], np.float32))
        self.assertEqual((mean.tolist(), scale.tolist()), ([2, 1e6], [1, 0]))

    def test_a_freak_value_is_clipped(self):
        net, rows = network()
        freak, huge = rows[:1].copy(), rows[:1].copy()
        freak[0, 0], huge[0, 0] = 1e9, 1e30
        self.assertEqual(net.score(freak).tolist(), net.score(huge).tolist())


class File(unittest.TestCase):
    def test_onnxruntime_computes_what_numpy_computes(self):
        net, rows = network()
        for int8, own in ((False, net), (True, rounded(net))):
            scores = onnx_file.run(onnx_file.build(net, {}, int8), rows)
            self.assertEqual(scores.shape, (len(rows),))
            self.assertLessEqual(onnx_file.largest_gap(scores, own.score(rows)), onnx_file.TOLERANCE)

    def test_any_number_of_rows_will_do(self):
        net, rows = network()
        onnx_bytes = onnx_file.build(net, {})
        for n in (0, 1, 7):
            self.assertEqual(onnx_file.run(onnx_bytes, rows[:n]).shape, (n,))

    def test_the_file_carries_its_metadata_and_repeats_to_the_byte(self):
        net, _ = network()
        said = {"freshrank.fingerprint": "ab", "freshrank.features": '["x"]'}
        self.assertEqual(onnx_file.metadata(onnx_file.build(net, said)), said)
        self.assertEqual(onnx_file.build(net, said), onnx_file.build(net, said))

    def test_int8_makes_it_smaller(self):
        net, _ = network(33)
        self.assertLess(2 * len(onnx_file.build(net, {})), len(onnx_file.build(net, {}, int8=False)))


class Run(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.directory = Path(directory.name)
        cls.examples = read(synthetic.write(cls.directory / "examples.parquet"))
        # The prior of these examples is mostly noise.
        cls.recipe = Recipe(start="random", average=0.0, max_epochs=6, queries_per_step=32)

    def trained(self, name: str) -> tuple[dict, Path]:
        out = self.directory / name
        with contextlib.redirect_stdout(io.StringIO()):
            return train(self.examples, self.recipe, out).document, out

    def test_the_loss_falls(self):
        losses = []
        fit(
            self.examples.splits["train"],
            self.examples.splits["valid"],
            self.recipe,
            lambda line: losses.append(float(line.split()[3])),
        )
        self.assertLess(losses[-1], 0.8 * losses[0])

    def test_padding_changes_no_loss(self):
        queries = self.examples.splits["train"]
        net, _ = network(30)
        x, mass = net.normalize(queries.rows), masses(queries, "mass")
        # No teacher's, but any distribution will do.
        lesson = (1.0 / np.repeat(queries.lengths, queries.lengths)).astype(np.float32)
        parameters = [{"w": layer.weights, "b": layer.biases} for layer in net.layers]
        chosen = np.array([0, 5, 7])
        index, where = padded(queries, chosen)
        for loss in LOSSES:
            alone = []
            for query in chosen:
                rows = slice(queries.starts[query], queries.starts[query] + queries.lengths[query])
                there = np.ones((1, queries.lengths[query]), bool)
                alone.append(
                    loss_of(parameters, x[None, rows], mass[None, rows], lesson[None, rows], there, loss, 0.3)
                )
            together = loss_of(parameters, x[index], mass[index], lesson[index], where, loss, 0.3)
            self.assertAlmostEqual(float(together), float(np.mean(alone)), places=4, msg=loss)

    def test_every_loss_learns_and_so_does_the_average_of_the_weights(self):
        splits = self.examples.splits
        chance = quality(np.zeros(len(splits["valid"].rows)), splits["valid"]).ndcg_at_10
        for changed in (
            {"loss": "approx_ndcg"},
            {"loss": "lambdarank"},
            {"average": 0.95},
            {"transform": "quantiles"},
        ):
            with self.subTest(changed):
                fitted = fit(splits["train"], splits["valid"], replace(self.recipe, **changed))
                self.assertGreater(fitted.curve[-1].valid_ndcg_at_10, chance + 0.05)

    def test_training_starts_where_a_linear_prior_is(self):
        splits = {
            name: replace(q, prior=q.rows[:, 0] - 2 * q.rows[:, 7])
            for name, q in self.examples.splits.items()
        }
        start = fit(splits["train"], splits["valid"], Recipe(max_epochs=1)).curve[0]
        prior = quality(splits["valid"].prior, splits["valid"])
        self.assertAlmostEqual(start.valid_ndcg_at_10, prior.ndcg_at_10, places=2)

    def test_a_teacher_is_fitted_once_and_taught(self):
        splits = self.examples.splits
        recipe = replace(self.recipe, teacher_share=0.5, max_epochs=2)
        fitted = fit(splits["train"], splits["valid"], recipe)
        of_query = np.add.reduceat(fitted.teacher.probabilities(splits["valid"]), splits["valid"].starts)
        np.testing.assert_allclose(of_query, 1.0, rtol=1e-4)
        again = fit(splits["train"], splits["valid"], recipe, taught_by=fitted.teacher)
        self.assertEqual(fitted.curve, again.curve)

    def test_a_sweep_chooses_by_valid_and_repeats(self):
        splits = self.examples.splits
        one, two = (sweep(splits["train"], splits["valid"], self.recipe, 3) for _ in range(2))
        self.assertEqual(one, two)
        self.assertEqual(max(trial.ndcg_at_10 for trial in one), one[-1].ndcg_at_10)
        self.assertEqual((one[-1].recipe.max_epochs, one[-1].recipe.patience), (6, self.recipe.patience))

    def test_every_query_is_in_an_epoch(self):
        queries = self.examples.splits["train"]
        self.assertEqual(
            set(batches(queries, 32, np.random.default_rng(1)).ravel()), set(range(len(queries)))
        )

    def test_the_same_examples_give_the_same_bytes(self):
        (_, one), (_, two) = self.trained("one"), self.trained("two")
        for path in sorted(one.iterdir()):
            self.assertEqual(path.read_bytes(), (two / path.name).read_bytes(), path.name)

    def test_the_card_says_what_the_model_is_and_its_check_passes(self):
        card, out = self.trained("card")
        self.assertEqual(check(out), [])
        self.assertEqual(card, json.loads((out / "ltr.card.json").read_text()))
        self.assertEqual(card["simulated"], synthetic.SIMULATED)
        self.assertIn("simulated market", " ".join(card["limits"]))
        self.assertGreater(
            card["metrics"]["valid"]["model"]["ndcg_at_10"], card["metrics"]["valid"]["random"]["ndcg_at_10"]
        )

    def test_files_of_two_runs_do_not_pass_for_one(self):
        _, out = self.trained("mixed")
        probe = json.loads((out / "ltr.probe.json").read_text())
        probe["scores"][3] += 0.001
        (out / "ltr.probe.json").write_text(json.dumps(probe))
        self.assertIn("onnxruntime's scores differ", check(out)[0])
        (out / "ltr.plan").write_bytes(b"FRLP" + bytes(60))
        self.assertIn(f"ltr.plan: model {'00' * 16}, expected", check(out)[0])
        (out / "ltr.onnx").write_bytes(onnx_file.build(network(30)[0], {}))
        self.assertIn("ltr.card.json: onnx.sha256", check(out)[0])

    def test_a_file_that_int8_ruins_is_refused(self):
        # Almost all of the first layer hides below half a step of one huge weight nobody uses.
        valid = self.examples.splits["valid"]
        weights = np.zeros((30, 1), np.float32)
        weights[:5, 0] = [2.0, -1.5, 1.0, 0.5, 0.5]
        weights[-1, 0] = 1e4  # the column that never varies
        mean, scale = normalization(valid.rows)
        net = Network(
            mean,
            scale,
            (
                Layer(weights, np.full(1, 100, np.float32)),
                Layer(np.ones((1, 1), np.float32), np.zeros(1, np.float32)),
            ),
        )
        self.assertGreater(quality(net.score(valid.rows), valid).ndcg_at_10, 0.6)
        with self.assertRaisesRegex(Refused, "int8 costs"):
            check_int8(net, rounded(net), valid)

    def test_the_report_says_everything_about_the_run(self):
        with contextlib.redirect_stdout(io.StringIO()):
            page = train(self.examples, replace(self.recipe, max_epochs=2), self.directory / "report").page
        for said in (
            escape(synthetic.SIMULATED),
            "Learning curves",
            "Calibration",
            "Importance of columns",
            "feature_0",
            "oracle",
        ):
            self.assertIn(said, page)
        self.assertNotIn("http", page, "a page that needs nothing beside it")


class Impressions(unittest.TestCase):
    def test_logged_clicks_are_corrected_and_stand_beside_clicks_as_they_are(self):
        def slots(query_of_row):
            first = np.flatnonzero(np.diff(query_of_row, prepend=-1))
            place = np.arange(len(query_of_row)) - np.repeat(first, np.diff(first, append=len(query_of_row)))
            return np.where(place < 5, place + 1, 0).astype(np.float32)

        def clicks(query_of_row):
            looked = 1.0 / np.maximum(slots(query_of_row), 1)
            return (
                (np.random.default_rng(1).random(len(looked)) < looked) & (slots(query_of_row) > 0)
            ).astype(np.float32)

        with tempfile.TemporaryDirectory() as directory:
            path = synthetic.write(
                Path(directory) / "logged.parquet", position=("query_id", slots), click=("query_id", clicks)
            )
            with contextlib.redirect_stdout(io.StringIO()):
                recipe = Recipe(start="random", average=0.0, max_epochs=2, queries_per_step=32)
                trained = train(read(path), recipe, Path(directory) / "out")
        looks = trained.document["looks"]
        self.assertEqual((len(looks), looks[0]), (5, 1.0))
        self.assertLess(looks[4], 0.5)
        self.assertIn("model, clicks as they are", trained.document["metrics"]["test"])
        self.assertIn("regression EM", trained.page)


@unittest.skipUnless(find_spec("freshrank_training.letor"), "freshrank_training/letor.py is not there")
class Letor(unittest.TestCase):
    def test_a_letor_file_trains_and_says_how_good_it_is(self):
        rng = np.random.default_rng(1)
        lines = [
            f"{int(x > 0.5) + int(x > 1.2)} qid:{q} 1:{x:.4f} 2:{rng.normal():.4f}"
            for q in range(40)
            for x in rng.normal(size=9)
        ]
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "some.svm"
            path.write_text("\n".join(lines) + "\n")
            asked = ["train.py", "--letor", str(path), "--max-epochs", "8", "--out", f"{directory}/out"]
            with contextlib.redirect_stdout(io.StringIO()) as said, mock.patch("sys.argv", asked):
                self.assertEqual(main(), 0)
            card = json.loads((Path(directory) / "out" / "ltr.card.json").read_text())
        valid = card["metrics"]["valid"]
        self.assertGreater(valid["model"]["ndcg_at_10"], valid["random"]["ndcg_at_10"] + 0.1)
        self.assertIn("configured gains", said.getvalue())


class RecipeFiles(unittest.TestCase):
    def read(self, text: str, **changed) -> Recipe:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "recipe.toml"
            path.write_text(text)
            return recipe_of(path, **changed)

    def test_a_recipe_survives_its_file(self):
        recipe = Recipe(seed=3, loss="lambdarank", widths=(32, 16), average=0.99)
        self.assertEqual(self.read(toml_of(recipe)), recipe)
        self.assertEqual(self.read("clip = 3.0", seed=9), Recipe(clip=3.0, seed=9))

    def test_a_recipe_nobody_can_follow_is_refused_by_name(self):
        for text, message in (
            ("los = 'softmax'", "los: unknown"),
            ("loss = 'hinge'", "loss: found 'hinge', expected one of softmax"),
            ("average = 1.5", "average: found 1.5, expected 0 to"),
            ("max_epochs = 'many'", "max_epochs: found 'many'"),
            ("widths = []", "widths: found \\[\\]"),
            ("loss = ", "recipe.toml: "),
        ):
            with self.subTest(text), self.assertRaisesRegex(RecipeError, message):
                self.read(text)


class Committed(unittest.TestCase):
    @unittest.skipUnless((MODELS / "ltr.onnx").exists(), "models/ltr.onnx is not there yet")
    def test_the_committed_model_still_scores_its_probe(self):
        self.assertEqual(check(MODELS), [])


if __name__ == "__main__":
    unittest.main()
