"""The place model beside SciPy and scikit-learn, on the design matrix and the predictions that freshrank exports.

Whether an order goes to a new place is a logit, to which of the known ones if not a conditional logit. Both are concave:
whoever maximises the same likelihood finds the same weights. Demand is simulated.
"""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from scipy.optimize import minimize

ROOT = Path(__file__).resolve().parents[2]
FRESHRANK = Path(os.environ.get("FRESHRANK", ROOT / "target/release/freshrank"))
EXTRACT = ROOT / "target/data/helsinki.osm.pbf"
USERS = "4000"
BINS = 15


def freshrank(*arguments: str, threads: str | None = None) -> str:
    environment = os.environ | ({"RAYON_NUM_THREADS": threads} if threads else {})
    run = subprocess.run([FRESHRANK, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise AssertionError(f"freshrank {' '.join(arguments)}: {run.stderr}")
    return run.stdout


class Places(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        if not FRESHRANK.exists():
            raise unittest.SkipTest(f"{FRESHRANK} is not built: cargo build --release")
        if not EXTRACT.exists():
            raise unittest.SkipTest(f"{EXTRACT} is not there: cargo xtask setup")
        cls.directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.directory.cleanup)
        at = Path(cls.directory.name)
        freshrank("import", "osm", str(EXTRACT), "--country", "FI", "--as-of", "2026-10-23", "--out", str(at / "merchants"))
        market = ["--merchants", str(at / "merchants"), "--market", "fi/helsinki", "--seed", "5", "--users", USERS]
        freshrank("market", *market, "--out", str(at / "tables"))
        source = ["--tables", str(at / "tables"), "--market", "fi/helsinki"]
        model = str(at / "place-model.json")
        freshrank("places", "fit", *source, "--design", str(at / "design.parquet"), "--out", model)
        report = ["--place-model", model, "--ranked", "0", "--resamples", "20", "--predictions", str(at / "said.parquet")]
        cls.report = json.loads(freshrank("places", "report", *source, *report, "--json"))
        cls.model = json.loads((at / "place-model.json").read_text())
        cls.at, cls.source = at, source
        cls.design = parquet.read_table(at / "design.parquet").to_pydict()
        cls.said = parquet.read_table(at / "said.parquet").to_pydict()

    def matrix(self, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of the columns that ship, where each query starts, and whether each row was chosen."""
        names = [c["name"] for c in self.model["columns"] if not c["name"].startswith("fresh_")]
        rows = np.array(self.design["slice"]) == part
        x = np.column_stack([np.array(self.design[name]) for name in names])[rows]
        query = np.array(self.design["query_id"])[rows]
        starts = np.flatnonzero(np.r_[True, query[1:] != query[:-1]])
        return x, starts, np.array(self.design["chosen"])[rows]

    def test_scipy_finds_the_same_weights(self) -> None:
        x, starts, chosen = self.matrix("train")
        ridge = self.model["fitted"]["ridge"]
        self.assertEqual(len(starts), self.model["fitted"]["train_queries"])
        ends = np.r_[starts[1:], len(x)]
        # Of every query a new place against none, and of those that went to a known place the known ones.
        whether = [(np.vstack([np.zeros(x.shape[1]), x[b - 1]]), np.array([not chosen[b - 1], chosen[b - 1]])) for b in ends]
        which = [(x[a : b - 1], chosen[a : b - 1]) for a, b in zip(starts, ends) if not chosen[b - 1]]
        sizes = [len(rows) for rows, _ in whether + which]
        x = np.vstack([rows for rows, _ in whether + which])
        chosen = np.concatenate([one for _, one in whether + which])
        starts = np.r_[0, np.cumsum(sizes)[:-1]]
        query = np.repeat(np.arange(len(starts)), sizes)

        def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
            u = x @ w
            # No utility is far from another here: one shift for all keeps exp in range.
            e = np.exp(u - u.max())
            total = np.add.reduceat(e, starts)
            p = e / total[query]
            value = -(np.log(p[chosen])).sum() + ridge / 2 * (w @ w)
            return value, x.T @ (p - chosen) + ridge * w

        def curvature(w: np.ndarray) -> np.ndarray:
            e = np.exp(x @ w - (x @ w).max())
            p = (e / np.add.reduceat(e, starts)[query])[:, None]
            mean = np.add.reduceat(p * x, starts)
            return x.T @ (p * x) - mean.T @ mean + ridge * np.eye(len(w))

        found = minimize(loss, np.zeros(x.shape[1]), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-9})
        ours = np.array([c["send_time"] for c in self.model["columns"] if not c["name"].startswith("fresh_")])
        self.assertLess(np.abs(loss(ours)[1]).max(), 1e-6, "our weights are where SciPy's gradient is zero")
        np.testing.assert_allclose(ours, found.x, atol=1e-7)

    def predictors(self):
        """Probabilities padded to the most classes, with the class never used before moved to the first column."""
        said = {name: np.array(column) for name, column in self.said.items()}
        for hours in ("send-time", "known-hour"):
            for predictor in dict.fromkeys(said["predictor"]):
                rows = (said["hours"] == hours) & (said["predictor"] == predictor)
                if not rows.any():
                    continue
                query, classes = said["query_id"][rows], said["class"][rows]
                n = query.max() + 1
                last = np.zeros(n, int)
                np.maximum.at(last, query, classes)
                column = np.where(classes == last[query], 0, classes + 1)
                p = np.zeros((n, last.max() + 1))
                p[query, column] = said["probability"][rows]
                label = np.zeros(n, int)
                label[query[said["came"][rows]]] = column[said["came"][rows]]
                raw = [said["probability"][rows][query == q] for q in range(n)]
                came = [int(np.flatnonzero(said["came"][rows][query == q])[0]) for q in range(n)]
                yield hours, predictor, p, label, raw, came

    def line(self, hours: str, predictor: str) -> dict:
        return next(line for line in self.report["figures"]
                    if (line["hours"], line["segment"], line["predictor"]) == (hours, "all", predictor))

    def test_log_loss_and_brier_are_sklearns(self) -> None:
        try:
            from sklearn.metrics import brier_score_loss, log_loss
        except ImportError:
            self.skipTest("scikit-learn is not installed")
        for hours, predictor, p, label, _, _ in self.predictors():
            with self.subTest(hours=hours, predictor=predictor):
                line, labels = self.line(hours, predictor), list(range(p.shape[1]))
                np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-9)
                self.assertAlmostEqual(line["log_loss"]["value"], log_loss(label, p, labels=labels), places=9)
                brier = brier_score_loss(label, p, labels=labels, scale_by_half=False)
                self.assertAlmostEqual(line["brier"]["value"], brier, places=9)

    def test_hits_and_calibration_by_numpy(self) -> None:
        for hours, predictor, _, _, raw, came in self.predictors():
            with self.subTest(hours=hours, predictor=predictor):
                line = self.line(hours, predictor)
                for k, name in ((1, "top_1"), (3, "top_3")):
                    hits = []
                    for p, label in zip(raw, came):
                        better, equal = (p > p[label]).sum(), (p == p[label]).sum()
                        hits.append(min(max((k - better) / equal, 0), 1))
                    self.assertAlmostEqual(line[name]["value"], np.mean(hits), places=9)
                for name, said in (
                    ("calibration_error", [(p.max(), p.argmax() == label) for p, label in zip(raw, came)]),
                    ("new_calibration_error", [(p[-1], label == len(p) - 1) for p, label in zip(raw, came)]),
                ):
                    p, hit = np.array([x for x, _ in said]), np.array([x for _, x in said], float)
                    order = np.argsort(p, kind="stable")
                    edges = [b * len(p) // BINS for b in range(BINS + 1)]
                    off = [abs(p[order[a:b]].mean() - hit[order[a:b]].mean()) * (b - a) for a, b in zip(edges, edges[1:])]
                    self.assertAlmostEqual(line[name], sum(off) / len(p), places=9)

    def test_the_bytes_do_not_depend_on_threads(self) -> None:
        again = self.at / "again.json"
        freshrank("places", "fit", *self.source, "--out", str(again), threads="1")
        self.assertEqual(again.read_bytes(), (self.at / "place-model.json").read_bytes())

    def test_calibration_is_two_parameters_on_later_queries(self) -> None:
        x, starts, chosen = self.matrix("calibrate")
        query = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(x)]))
        w = np.array([c["send_time"] for c in self.model["columns"] if not c["name"].startswith("fresh_")])
        u = x @ w
        new = np.r_[query[1:] != query[:-1], True]
        known = np.where(new, 0.0, np.exp(u))
        rate = 1 / (1 + np.exp(-u[new]))[query]
        u = np.log(np.where(new, rate, (1 - rate) * known / np.add.reduceat(known, starts)[query]))

        def loss(ab: np.ndarray) -> float:
            v = ab[0] * u + ab[1] * new
            return -(v - np.log(np.add.reduceat(np.exp(v), starts))[query])[chosen].sum()

        found = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9})
        ours = next(c for c in self.model["calibration"] if c["of"] == "send_time")
        np.testing.assert_allclose([ours["power"], ours["new"]], found.x, atol=1e-4)


if __name__ == "__main__":
    unittest.main()
