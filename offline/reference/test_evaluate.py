"""`freshrank evaluate` against ranx and numpy: metrics, ties, coverage, intervals, a planted leak, and strangers.

The market is simulated over OpenStreetMap's merchants of Copenhagen; strangers are UCI's.
"""

import hashlib
import json
import math
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ranx import Qrels, Run, evaluate

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("FRESHRANK", ROOT / "target/release/freshrank")).resolve()
DATA = (ROOT / "../shared/data").resolve()
CITY = DATA / "osm/copenhagen.geojson"
STRANGERS = DATA / "uci_restaurant_consumer"
SPLIT = "2026-10-06T08:00:00Z"
TOLERANCE = 1e-9

# Our name, ranx's name.
METRICS = {
    "mrr": "mrr",
    "ndcg_10": "ndcg_burges@10",
    "hit_1": "hit_rate@1",
    "hit_4": "hit_rate@4",
    "hit_10": "hit_rate@10",
    "recall_10": "recall@10",
    "recall_50": "recall@50",
    "recall_100": "recall@100",
}
# A tie of more than so many is judged in closed form, since ranx would have to rank every order of it.
LARGEST_TIE = 24


def freshrank(*arguments, check=True):
    return subprocess.run([BINARY, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=check)


def by_ranx(rankings):
    """Means of every metric, in ranx, over rankings of (documents best first, {relevant: label})."""
    # ranx answers in the order of sorted names.
    name = "{:08}".format
    qrels = {name(i): relevant for i, (_, relevant) in enumerate(rankings)}
    run = {
        name(i): {document: float(len(documents) - place) for place, document in enumerate(documents)} or {"nobody": 1.0}
        for i, (documents, _) in enumerate(rankings)
    }
    # Labels are whole numbers in ranx.
    qrels = {query: {document: int(label) for document, label in of.items()} for query, of in qrels.items()}
    found = evaluate(Qrels(qrels), Run(run), list(METRICS.values()), return_mean=False)
    return {ours: np.asarray(found[theirs], dtype=float) for ours, theirs in METRICS.items()}


def tie_by_hand(first, n):
    """The expectation of one relevant document somewhere in the places first..first + n - 1, from 1."""
    places = np.arange(first, first + n)
    within = lambda depth: float(np.mean(places <= depth))
    return {
        "mrr": float(np.mean(1.0 / places)),
        "ndcg_10": float(np.mean(np.where(places <= 10, 1.0 / np.log2(places + 1.0), 0.0))),
        "hit_1": within(1),
        "hit_4": within(4),
        "hit_10": within(10),
        "recall_10": within(10),
        "recall_50": within(50),
        "recall_100": within(100),
    }


# Seed 3 over Copenhagen, as made before there was a second form of the market.
FIRST_FORM = {
    "merchants": "b209bec103b40bd9",
    "readers": "01677f83a664c340",
    "places": "d3c2768bba93562a",
    "orders": "7557d4f2909221e3",
    "offers": "fd452eefb4d073c6",
    "events": "53859582b370de30",
}


class OnAMarket(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not CITY.exists():
            raise unittest.SkipTest(f"{CITY} is not here")
        cls.folder = tempfile.TemporaryDirectory()
        here = Path(cls.folder.name)
        cls.tables, rankings = here / "tables", here / "rankings.parquet"
        freshrank("import", "geojson", CITY, "--country", "DK", "--as-of", "2026-10-23", "--out", here / "merchants")
        freshrank(
            "market", "--merchants", here / "merchants", "--market", "dk/copenhagen", "--seed", 3, "--users", 1200,
            "--out", cls.tables,
        )  # fmt: skip
        said = freshrank(
            "evaluate", "--tables", cls.tables, "--split", SPLIT, "--resamples", 400, "--rankings", rankings, "--json"
        )
        cls.found = json.loads(said.stdout)
        cls.rows = pq.read_table(rankings).to_pylist()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def figure(self, protocol, scorer, segment="all"):
        of = next(p for p in self.found["protocols"] if p["protocol"] == protocol)
        return next(line for line in of["figures"] if (line["scorer"], line["segment"]) == (scorer, segment))

    def queries(self, protocol, scorer):
        """By query: the candidates with their scores, best first, the merchant ordered from, and the reader."""
        queries = {}
        for row in self.rows:
            if (row["protocol"], row["scorer"]) == (protocol, scorer):
                ranked, relevant, _ = queries.setdefault(row["query_id"], ([], [], row["user_id"]))
                if row["rank"] is not None:
                    ranked.append((row["merchant_id"], row["score"]))
                else:
                    self.assertIsNotNone(row["reason"])
                if row["label"] > 0:
                    relevant.append(row["merchant_id"])
        return queries

    def values(self, protocol, scorer):
        """Every metric of every query, and how many queries ranx itself judged."""
        rankings, weights, owner, closed = [], [], [], {}
        for query, (ranked, relevant, _) in self.queries(protocol, scorer).items():
            (wanted,) = relevant
            score = dict(ranked).get(wanted)
            documents = [document for document, _ in ranked]
            tie = [place for place, (_, other) in enumerate(ranked) if other == score]
            if score is not None and len(tie) > LARGEST_TIE:
                closed[query] = tie_by_hand(tie[0] + 1, len(tie))
                continue
            for place in tie or [None]:
                others = [document for document in documents if document != wanted]
                if place is not None:
                    others.insert(place, wanted)
                rankings.append((others, {wanted: 1}))
                weights.append(1.0 / max(len(tie), 1))
                owner.append(query)
        judged = by_ranx(rankings) if rankings else {name: np.zeros(0) for name in METRICS}
        found = {query: dict(of) for query, of in closed.items()}
        for i, query in enumerate(owner):
            of = found.setdefault(query, dict.fromkeys(METRICS, 0.0))
            for name in METRICS:
                of[name] += weights[i] * judged[name][i]
        return found, len(set(owner))

    def test_every_metric_is_that_of_ranx(self):
        for protocol in ("known-place", "send-time"):
            for scorer in ("oracle", "ltr", "prior", "nearest", "popularity in the cell", "own history", "random"):
                with self.subTest(protocol=protocol, scorer=scorer):
                    found, by_ranx_itself = self.values(protocol, scorer)
                    line = self.figure(protocol, scorer)
                    self.assertEqual(len(found), line["queries"])
                    self.assertGreater(len(found), 100)
                    if scorer == "oracle":
                        self.assertEqual(by_ranx_itself, len(found), "utilities are never equal")
                    for name in METRICS:
                        mean = math.fsum(of[name] for of in found.values()) / len(found)
                        self.assertAlmostEqual(mean, line["by_query"][name]["value"], delta=TOLERANCE, msg=name)

    def test_coverage_and_the_rank_of_those_covered(self):
        for protocol in ("known-place", "send-time"):
            queries = self.queries(protocol, "prior")
            covered = {query for query, (ranked, (wanted,), _) in queries.items() if wanted in dict(ranked)}
            self.assertLess(len(covered), len(queries), "some orders are filtered")
            found, _ = self.values(protocol, "prior")
            line = self.figure(protocol, "prior")["by_query"]
            self.assertAlmostEqual(len(covered) / len(queries), line["coverage"]["value"], delta=TOLERANCE)
            mrr = math.fsum(found[query]["mrr"] for query in covered) / len(covered)
            self.assertAlmostEqual(mrr, line["mrr_covered"]["value"], delta=TOLERANCE)
            for query in queries.keys() - covered:
                self.assertEqual(found[query]["mrr"], 0.0)

    def test_means_by_reader_and_their_intervals(self):
        rng = np.random.default_rng(0)
        for protocol in ("known-place", "send-time"):
            readers = {query: reader for query, (_, _, reader) in self.queries(protocol, "prior").items()}
            values = {scorer: self.values(protocol, scorer)[0] for scorer in ("ltr", "prior")}
            for scorer, of in (("prior", lambda q: values["prior"][q]["mrr"]),
                               ("ltr - prior", lambda q: values["ltr"][q]["mrr"] - values["prior"][q]["mrr"])):  # fmt: skip
                by_reader = {}
                for query, reader in readers.items():
                    by_reader.setdefault(reader, []).append(of(query))
                means = np.array([np.mean(mine) for mine in by_reader.values()])
                interval = self.figure(protocol, scorer)["by_reader"]["mrr"]
                self.assertAlmostEqual(float(means.mean()), interval["value"], delta=TOLERANCE)
                drawn = means[rng.integers(0, len(means), (4000, len(means)))].mean(axis=1)
                low, high = np.percentile(drawn, [2.5, 97.5])
                width = high - low
                self.assertAlmostEqual(interval["low"], low, delta=0.2 * width)
                self.assertAlmostEqual(interval["high"], high, delta=0.2 * width)

    def test_a_log_that_tells_the_answers_early_is_refused(self):
        leaking = Path(self.folder.name) / "leaking"
        leaking.mkdir()
        for file in self.tables.iterdir():
            (leaking / file.name).write_bytes(file.read_bytes())
        orders = pq.read_table(self.tables / "orders.parquet")
        at = orders.column("ordered_at")
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[at.type.unit]
        early = pc.cast(pc.subtract(pc.cast(at, pa.int64()), 2 * 86_400 * per_second), at.type)
        at_column = orders.column_names.index("ordered_at")
        twice = pa.concat_tables([orders, orders.set_column(at_column, orders.schema.field(at_column), early)])
        pq.write_table(twice.replace_schema_metadata(orders.schema.metadata), leaking / "orders.parquet")
        said = freshrank("evaluate", "--tables", leaking, "--split", SPLIT, "--resamples", 20, check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("as if they told the answers", said.stderr)
        said = freshrank(
            "evaluate", "--tables", leaking, "--split", SPLIT, "--resamples", 20, "--allow-leaks", "--json"
        )
        for protocol in json.loads(said.stdout)["protocols"]:
            self.assertTrue(protocol["suspicions"])

    def test_the_first_form_of_the_market_is_what_it_was(self):
        for table, expected in FIRST_FORM.items():
            rows = pq.read_table(self.tables / f"{table}.parquet").to_pylist()
            self.assertEqual(hashlib.sha256(repr(rows).encode()).hexdigest()[:16], expected, table)

    def test_everything_said_of_a_market_says_that_it_is_simulated(self):
        self.assertIn("simulated", self.found["simulated"])
        said = freshrank("evaluate", "--tables", self.tables, "--split", SPLIT, "--resamples", 20, "--late-binding")
        self.assertIn("simulated by", said.stdout)


class OnStrangers(unittest.TestCase):
    def test_graded_labels_are_judged_as_ranx_does(self):
        if not STRANGERS.exists():
            self.skipTest(f"{STRANGERS} is not here")
        with tempfile.TemporaryDirectory() as folder:
            freshrank("import", "uci", STRANGERS, "--out", folder)
            said = freshrank("evaluate", "--tables", folder, "--cold-start", "--resamples", 50, "--json")
            merchants = {m["merchant_id"]: m for m in pq.read_table(Path(folder) / "merchants.parquet").to_pylist()}
            homes = {p["user_id"]: p for p in pq.read_table(Path(folder) / "places.parquet").to_pylist()}
            lines = (Path(folder) / "ratings.csv").read_text().splitlines()[1:]
        found = json.loads(said.stdout)
        rated = {}
        for user, merchant, rating in (line.split(",") for line in lines):
            rated.setdefault(user, {})[merchant] = int(rating)
        rated = {user: own for user, own in rated.items() if 2 in own.values()}
        self.assertEqual((found["readers"], found["ratings"]), (len(rated), 1161))

        def km(home, merchant):
            a, b = (np.radians([p["latitude"], p["longitude"]]) for p in (home, merchant))
            h = math.sin((b[0] - a[0]) / 2) ** 2 + math.cos(a[0]) * math.cos(b[0]) * math.sin((b[1] - a[1]) / 2) ** 2
            return 2 * 6371.0088 * math.asin(math.sqrt(h))

        for segment, everyone in (("all around", True), ("rated ones alone", False)):
            rankings = []
            for user, own in rated.items():
                around = [(km(homes[user], m), i) for i, m in merchants.items() if everyone or i in own]
                order = [i for distance, i in sorted(around) if distance <= 25.0]
                rankings.append((order, {i: rating for i, rating in own.items() if rating > 0}))
            ndcg = by_ranx(rankings)["ndcg_10"]
            figure = next(f for f in found["figures"] if (f["segment"], f["scorer"]) == (segment, "nearest"))
            # A handful of merchants share a doorstep in single precision.
            self.assertAlmostEqual(float(ndcg.mean()), figure["by_query"]["ndcg_10"]["value"], delta=2e-3)


if __name__ == "__main__":
    unittest.main()
