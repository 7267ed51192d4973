"""Loaders beside what Python reads of the same files: pyarrow for Parquet, csv and zoneinfo for text.

Samples are made up, in the layouts that the publishers describe; Entree's files are real.
"""

import csv
import datetime
import json
import os
import struct
import subprocess
import tempfile
import unittest
import zoneinfo
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
FRESHRANK = os.environ.get("FRESHRANK", str(ROOT / "target/release/freshrank"))
DATA = ROOT / "../shared/data"
SAMPLES = ROOT / "offline/tests/samples"


def freshrank(*arguments):
    """What the command says with --json."""
    run = subprocess.run([FRESHRANK, *map(str, arguments), "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise AssertionError(run.stderr)
    return json.loads(run.stdout)


def lines(path):
    with open(path, encoding="utf-8", newline="") as file:
        return file.read().splitlines()


def records(path, delimiter=","):
    return list(csv.DictReader(lines(path), delimiter=delimiter))


def rows(folder, table):
    return pq.read_table(Path(folder) / f"{table}.parquet").to_pylist()


class Loaders(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name)

    def test_overture_geoparquet_is_what_pyarrow_wrote(self):
        """The release layout of 2025: structs, lists, WKB, dictionary-coded text, and columns nobody asked for."""
        names = pa.struct([("primary", pa.string()), ("common", pa.map_(pa.string(), pa.string()))])
        categories = pa.struct([("primary", pa.string()), ("alternate", pa.list_(pa.string()))])
        taxonomy = pa.struct(
            [("primary", pa.string()), ("hierarchy", pa.list_(pa.string())), ("alternates", pa.list_(pa.string()))]
        )
        address = pa.struct([("freeform", pa.string()), ("country", pa.string())])
        brand = pa.struct([("wikidata", pa.string()), ("names", names)])
        kinds = ["pizza_restaurant", "cafe", "bank", "sushi_restaurant", "bakery", None]
        n = 600
        points = [(24.9 + i / 7000, 60.1 + i / 9000) for i in range(n)]
        kind = [kinds[i % len(kinds)] for i in range(n)]
        others = [["ramen_restaurant"] if i % 5 == 0 else None for i in range(n)]

        def finer(kind, others):
            """A category that nobody knows, below a known one."""
            below = kind and f"{kind}_of_its_own"
            return {"primary": below, "hierarchy": kind and ["l0", kind, below], "alternates": others}

        table = pa.table(
            {
                "id": pa.array([f"08f{i:013x}" for i in range(n)]),
                "geometry": pa.array([struct.pack("<BIdd", 1, 1, *point) for point in points], pa.binary()),
                "bbox": pa.array([{"xmin": x} for x, _ in points], pa.struct([("xmin", pa.float32())])),
                "names": pa.array([{"primary": f"Made up {i}", "common": [("fi", "x")]} for i in range(n)], names),
                "categories": pa.array(
                    [{"primary": k, "alternate": o} if i % 2 else None for i, (k, o) in enumerate(zip(kind, others))],
                    categories,
                ),
                "taxonomy": pa.array(
                    [None if i % 2 else finer(k, o) for i, (k, o) in enumerate(zip(kind, others))],
                    taxonomy,
                ),
                "confidence": pa.array([i / n for i in range(n)], pa.float64()),
                "websites": pa.array([[f"https://{i}.example/"] if i % 3 else None for i in range(n)], pa.list_(pa.string())),
                "brand": pa.array([{"wikidata": f"Q{i}"} if i % 4 == 0 else None for i in range(n)], brand),
                "addresses": pa.array([[{"country": "FI"}] for _ in range(n)], pa.list_(address)),
                "operating_status": pa.array(["open"] * n).dictionary_encode(),
            }
        )
        pq.write_table(table, self.out / "places.parquet", row_group_size=100)
        report = freshrank("import", "overture", self.out / "places.parquet", "--least-confidence", "0.25", "--out", self.out)
        label = {"pizza_restaurant": "pizza", "cafe": "cafe", "sushi_restaurant": "sushi", "bakery": "bakery"}
        expected = [
            (
                f"08f{i:013x}",
                f"Made up {i}",
                points[i][1],
                points[i][0],
                [label[kind[i]]] + (["ramen"] if others[i] else []),
                f"Q{i}" if i % 4 == 0 else None,
                f"https://{i}.example/" if i % 3 else None,
                "FI",
            )
            for i in range(n)
            if kind[i] in label and i / n >= 0.25
        ]
        keys = ("merchant_id", "name", "latitude", "longitude", "cuisines", "chain_id", "url", "country")
        self.assertEqual([tuple(row[key] for key in keys) for row in rows(self.out, "merchants")], expected)
        self.assertEqual(report["merchants"], len(expected))

    def test_dhrd_is_dated_as_zoneinfo_dates_it(self):
        freshrank("import", "dhrd", SAMPLES / "dhrd", "--start", "2024-02-26", "--out", self.out)
        zone = zoneinfo.ZoneInfo("Asia/Singapore")
        # Day 0 is a Thursday (weekday 4 of most orders less their day, Sunday is 0), the first from that Monday on.
        day_0 = datetime.date(2024, 2, 29)
        seen, expected = set(), []
        vendors = {row["vendor_id"] for row in records(SAMPLES / "dhrd/vendors_sg.txt") if row["geohash"] != "wailo"}
        for name in ("orders_sg_train.txt", "orders_sg_test.txt"):
            for row in records(SAMPLES / "dhrd" / name):
                try:
                    day = datetime.timedelta(days=int(row["order_day"].split()[0]))
                    time = datetime.time.fromisoformat(row["order_time"])
                except ValueError:
                    continue
                if row["order_id"] in seen or row["vendor_id"] not in vendors or row["geohash"] == "aioll":
                    continue
                seen.add(row["order_id"])
                at = datetime.datetime.combine(day_0 + day, time, zone).astimezone(datetime.timezone.utc)
                expected.append((row["customer_id"], row["vendor_id"], at))
        found = [(row["user_id"], row["merchant_id"], row["ordered_at"]) for row in rows(self.out, "orders")]
        self.assertEqual(len(found), 5)
        self.assertEqual(sorted(found), sorted(expected))

    def test_entree_counts_are_those_of_the_files(self):
        folder = DATA / "entree"
        if not folder.is_dir():
            self.skipTest("no ../shared/data/entree")
        report = freshrank("import", "entree", folder, "--out", self.out)
        merchants = rows(self.out, "merchants")
        features = dict(line.split("\t") for line in lines(folder / "features.txt"))
        price = {"below $15": 1, "$15-$30": 2, "$30-$50": 3, "over $50": 4}
        expected = {}
        for path in sorted(folder.glob("*.txt")):
            if path.name == "features.txt":
                continue
            for line in lines(path):
                number, _, codes = line.split("\t")
                bands = [price[features[code]] for code in codes.split() if features[code] in price]
                expected[f"{path.stem}:{int(number)}"] = bands[-1] if bands else None
        self.assertEqual({row["merchant_id"]: row["price_band"] for row in merchants}, expected)
        seen = clicks = 0
        for row in records(folder / "sessions.tsv", delimiter="\t"):
            seen += sum(f"chicago:{int(move[:-1])}" in expected for move in row["moves"].split())
            clicks += f"chicago:{int(row['end'])}" in expected
        events = rows(self.out, "events")
        kinds = [row["kind"] for row in events]
        self.assertEqual((kinds.count("seen"), kinds.count("click")), (seen, clicks))
        print(json.dumps({"restaurants": len(merchants), "seen": seen, "click": clicks, "facts": report["facts"]}))


if __name__ == "__main__":
    unittest.main()
