"""The cuisine map against numpy, scipy and scikit-learn, on real merchants.

Run as `python -m unittest discover --start-directory offline/reference`. FRESHRANK names the binary, default
target/release/freshrank. Sources that are absent are left out of the fit, and the test says so.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import xml.etree.ElementTree as xml

import numpy as np

try:
    from sklearn.cluster import KMeans, kmeans_plusplus
    from sklearn.manifold import TSNE
    from sklearn.metrics import adjusted_rand_score
except ImportError:
    KMeans = None

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "../shared/data"
FRESHRANK = os.environ.get("FRESHRANK", str(ROOT / "target/release/freshrank"))
HELSINKI = ROOT / "target/data/helsinki.osm.pbf"
CHAINS = ROOT / "wasm/node_modules/name-suggestion-index/dist/json/nsi.json"
OTTAWA = "merchant_id=OSM_TYPE+OSM_ID,name=NAME,cuisines=CUISINE,chain_id=BRAND,latitude=LATITUDE,longitude=LONGITUDE"
CITIES = {
    "helsinki": (HELSINKI, ["osm", str(HELSINKI), "--as-of", "2026-10-23"]),
    "ottawa": (DATA / "osm/ottawa.csv", ["csv", str(DATA / "osm/ottawa.csv"), "--map", OTTAWA]),
    "copenhagen": (
        DATA / "osm/copenhagen.geojson",
        ["geojson", str(DATA / "osm/copenhagen.geojson"), "--as-of", "2026-10-23"],
    ),
}


def freshrank(*arguments, stdin=None):
    """Runs the binary; what it prints."""
    done = subprocess.run([FRESHRANK, *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"freshrank {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


class Cuisines(unittest.TestCase):
    """One fit of everything that is here, and what other tools say of it."""

    @classmethod
    def setUpClass(cls):
        if not pathlib.Path(FRESHRANK).exists():
            raise unittest.SkipTest(f"no binary at {FRESHRANK}")
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        at = pathlib.Path(cls.folder.name)
        cls.sources, cls.absent = [], []
        for city, (path, arguments) in CITIES.items():
            if path.exists():
                freshrank("import", *arguments, "--out", at / city)
                cls.sources += ["--tables", at / city]
            else:
                cls.absent.append(str(path))
        for flag, path in [("--chains", CHAINS), ("--entree", DATA / "entree")]:
            if path.exists():
                cls.sources += [flag, path]
            else:
                cls.absent.append(str(path))
        if len(cls.sources) < 4:
            raise unittest.SkipTest(f"too few merchants: {', '.join(cls.absent)} are not here")
        cls.map_path = at / "map.json"
        credit = ["--credit", "© OpenStreetMap contributors (ODbL 1.0)"]
        freshrank("cuisines", "fit", *cls.sources, *credit, "--out", cls.map_path, "--trace", at / "trace.json")
        cls.map = json.loads(cls.map_path.read_text())
        cls.trace = json.loads((at / "trace.json").read_text())
        cls.adjacency = np.array(cls.trace["adjacency"])
        cls.reached = [i for i, row in enumerate(cls.trace["rows"]) if row is not None]
        cls.points = np.array([cls.trace["rows"][i] for i in cls.reached])

    def need_sklearn(self):
        if KMeans is None:
            self.skipTest("scikit-learn is not installed")

    def laplacian(self):
        degree = self.adjacency.sum(axis=1)
        scale = 1 / np.sqrt(degree + self.trace["tau"])
        return scale[:, None] * self.adjacency * scale

    def test_the_matrix_is_that_of_qin_and_rohe(self):
        a = self.adjacency
        self.assertTrue((a == a.T).all() and (np.diag(a) == 0).all() and (a.sum(axis=1) > 0).all())
        self.assertAlmostEqual(self.trace["tau"], a.sum() / len(a), places=12, msg="tau is the mean degree")

    def test_eigenvalues_and_projector_are_numpys(self):
        values, vectors = np.linalg.eigh(self.laplacian())
        ours = np.array(self.trace["eigenvalues"])
        self.assertLess(np.abs(ours - values[::-1]).max(), 1e-9)
        leading = np.array(self.trace["eigenvectors"])
        k = len(leading)
        self.assertGreaterEqual(k, self.map["n_clusters"])
        theirs = vectors[:, ::-1][:, :k]
        self.assertLess(np.abs(leading.T @ leading - theirs @ theirs.T).max(), 1e-7)
        for vector in leading:
            self.assertGreater(vector[np.abs(vector).argmax()], 0, "the largest component is positive")

    def test_rows_are_directions_and_nothing_is_divided_by_nothing(self):
        raw = np.array(self.trace["eigenvectors"]).T
        length = np.linalg.norm(raw, axis=1)
        for i, row in enumerate(self.trace["rows"]):
            if row is None:
                self.assertLess(length[i], 1e-7)
            else:
                np.testing.assert_allclose(row, raw[i] / length[i], atol=1e-12)

    def test_lloyd_from_scikit_learns_centroids_gives_its_labels(self):
        self.need_sklearn()
        k = self.map["n_clusters"]
        starts = [kmeans_plusplus(self.points, k, random_state=seed)[0] for seed in range(50)]
        task = {"points": self.points.tolist(), "starts": [start.tolist() for start in starts]}
        answer = json.loads(freshrank("cuisines", "lloyd", stdin=json.dumps(task)))
        first = np.array(answer["runs"][0]["cluster"])
        for seed, (start, run, index) in enumerate(zip(starts, answer["runs"], answer["ari_to_first"])):
            model = KMeans(k, init=start, n_init=1, tol=0, max_iter=300, algorithm="lloyd").fit(self.points)
            self.assertEqual(run["cluster"], model.labels_.tolist(), f"start {seed}")
            self.assertAlmostEqual(run["inertia"], model.inertia_, places=9)
            self.assertAlmostEqual(index, adjusted_rand_score(first, model.labels_), places=12)

    def test_the_best_of_200_starts_is_as_good_as_scikit_learns(self):
        self.need_sklearn()
        self.assertEqual(self.trace["n_starts"], 200)
        best = KMeans(self.map["n_clusters"], n_init=200, tol=0, random_state=0).fit(self.points)
        ours = self.trace["k_means"]["inertia"]
        print(f"\nk-means inertia, best of 200: ours {ours:.6f}, scikit-learn's {best.inertia_:.6f}")
        self.assertLessEqual(ours, 1.001 * best.inertia_)

    def test_the_map_says_what_the_partition_says(self):
        cluster = dict(zip((self.trace["labels"][i] for i in self.reached), self.trace["k_means"]["cluster"]))
        named = {}
        for label, weights in zip(self.map["labels"], self.map["weights"]):
            if label in cluster:
                named.setdefault(cluster[label], set()).add(weights[0][0])
        self.assertEqual(sorted(len(to) for to in named.values()), [1] * self.map["n_clusters"])

    def test_a_label_without_company_is_attached_or_unplaced_and_never_clustered(self):
        linked, unplaced = set(self.trace["labels"]), set(self.map["unplaced"])
        weights = dict(zip(self.map["labels"], self.map["weights"]))
        alone = [label for label in self.map["labels"] if label not in linked]
        self.assertGreater(len(alone), 20)
        for label in alone:
            parent = self.map["parents"].get(label)
            if parent is None:
                self.assertIn(label, unplaced)
                self.assertEqual(weights[label], [])
            else:
                self.assertIn(parent, linked)
                self.assertEqual(weights[label], weights[parent])

    def test_the_number_of_clusters_follows_from_its_evidence(self):
        choice = self.map["choice"]
        best = max(choice["candidates"], key=lambda c: c["held_out_gain"])
        least = best["held_out_gain"] - best["held_out_se"]
        admitted = [c for c in choice["candidates"] if c["held_out_gain"] >= least]
        chosen = max(admitted, key=lambda c: (c["bootstrap_ari"], -c["n_clusters"]))
        self.assertEqual(self.map["n_clusters"], chosen["n_clusters"])
        self.assertLessEqual(self.map["n_clusters"], len(self.map["labels"]) // 10)
        gaps = -np.diff(self.trace["eigenvalues"])[1 : len(choice["candidates"]) + 1]
        self.assertEqual(choice["eigengap"], int(gaps.argmax()) + 2)

    def test_similarity_is_the_cosine_of_the_projection(self):
        rows = [np.array(row) for row in self.map["projection"]]
        for i, near in enumerate(self.map["similarity"]):
            self.assertEqual(near[0], [i, 1.0])
            for j, value in near[1:]:
                self.assertAlmostEqual(value, min(1.0, rows[i] @ rows[j]), delta=1e-4)

    def test_the_shipped_map_is_what_these_merchants_say(self):
        if self.absent:
            self.skipTest(f"{', '.join(self.absent)} are not here")
        shipped = (ROOT / "models/cuisine-map.json").read_text()
        self.assertEqual(shipped, self.map_path.read_text(), "models/cuisine-map.json is not current")

    def test_the_drawing_is_tsne_and_its_names_do_not_overlap(self):
        self.need_sklearn()
        picture = pathlib.Path(self.folder.name) / "map.svg"
        freshrank("cuisines", "show", self.map_path, "--svg", picture)
        again = picture.read_text()
        freshrank("cuisines", "show", self.map_path, "--svg", picture)
        self.assertEqual(again, picture.read_text(), "a seed is a picture")
        tree = xml.parse(picture)
        boxes = []
        for text in tree.iter("{http://www.w3.org/2000/svg}text"):
            if "textLength" in text.attrib:
                left, size = float(text.get("x")), float(text.get("font-size"))
                # From the height of capitals to half of what g and p need, which no neighbour's capitals reach.
                top, bottom = float(text.get("y")) - 0.72 * size, float(text.get("y")) + 0.1 * size
                boxes.append((left, top, left + float(text.get("textLength")), bottom, text.text))
        placed = len(self.map["labels"]) - len(self.map["unplaced"])
        self.assertEqual(len(boxes), placed, "every placed cuisine is named")
        for i, a in enumerate(boxes):
            for b in boxes[:i]:
                apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
                self.assertTrue(apart, f"{a[4]} and {b[4]}")

        points = {
            mark.get("data-label"): (float(mark.get("data-x")), float(mark.get("data-y")))
            for mark in tree.iter("{http://www.w3.org/2000/svg}circle")
            if mark.get("data-label")
        }
        rows = {label: np.array(row) for label, row in zip(self.map["labels"], self.map["projection"]) if row}
        self.assertEqual(set(points), set(rows))
        x = np.array([rows[label] / np.linalg.norm(rows[label]) for label in points])
        model = TSNE(perplexity=12, init="random", method="exact", random_state=0, learning_rate=50)
        theirs = model.fit(x).kl_divergence_
        ours = float(re.search(r'data-divergence="([0-9.]+)"', again).group(1))
        print(f"\nt-SNE divergence: ours {ours:.4f}, scikit-learn's {theirs:.4f}")
        self.assertLessEqual(ours, 1.05 * theirs)


if __name__ == "__main__":
    unittest.main()
