"""A merchant's share of the orders to a cell, recomputed from the tables with numpy and h3.

`freshrank areas show` counts as orders come and shrinks level by level; here every order is weighed at once, cells,
neighbours and parents come from h3's own C library, and the shares are unrolled from the formula.
"""

import json
import os
import subprocess
import tempfile
import unittest
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

try:
    import h3
except ImportError:
    h3 = None

ROOT = Path(__file__).resolve().parents[2]
FRESHRANK = os.environ.get("FRESHRANK", str(ROOT / "target/release/freshrank"))
OTTAWA = ROOT / "../shared/data/osm/ottawa.csv"
EARTH_RADIUS_KM = 6371.0088
AS_OF = "2026-09-01T12:34:56Z"


def run(*arguments):
    done = subprocess.run([FRESHRANK, *map(str, arguments)], capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout


def distance_km(a, b):
    """Haversine between (latitude, longitude) pairs in degrees."""
    a, b = np.radians(a), np.radians(b)
    half = np.sin((b - a) / 2.0) ** 2
    h = half[..., 0] + np.cos(a[..., 0]) * np.cos(b[..., 0]) * half[..., 1]
    return 2.0 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(h, 1.0)))


class Shares(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if h3 is None:
            raise unittest.SkipTest("the package h3 is not installed")
        if not OTTAWA.exists():
            raise unittest.SkipTest(f"{OTTAWA} is absent")
        cls.folder = tempfile.TemporaryDirectory()
        cls.tables = Path(cls.folder.name) / "tables"
        merchants = Path(cls.folder.name) / "merchants"
        names = "merchant_id=OSM_TYPE+OSM_ID,name=NAME,latitude=LATITUDE,longitude=LONGITUDE,cuisines=CUISINE,chain_id=BRAND"
        run("import", "csv", OTTAWA, "--map", names, "--out", merchants)
        run("market", "--merchants", merchants, "--market", "ca/ottawa", "--users", 1500, "--out", cls.tables)
        orders = pq.read_table(cls.tables / "orders.parquet").to_pylist()
        places = pq.read_table(cls.tables / "places.parquet").to_pylist()
        where = {(p["user_id"], p["place_id"]): (p["latitude"], p["longitude"]) for p in places}
        as_of = datetime.fromisoformat(AS_OF)
        cls.orders = []
        for order in orders:
            own = (order.get("latitude"), order.get("longitude"))
            to = own if None not in own else where.get((order["user_id"], order["place_id"]))
            if order["ordered_at"] < as_of and order["status"] == "completed" and to is not None:
                days = (as_of - order["ordered_at"]).total_seconds() / 86400.0
                cls.orders.append((order["merchant_id"], to, days))

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "folder"):
            cls.folder.cleanup()

    def reference(self, shown):
        """Shares by level [city, resolution 6, ring, cell] of the merchants that `shown` names."""
        index = {m["merchant_id"]: i for i, m in enumerate(shown["merchants"])}
        cell = shown["cell"]
        orders = [(index[m], to, days) for m, to, days in self.orders if m in index]
        merchant = np.array([m for m, _, _ in orders])
        to = np.array([to for _, to, _ in orders])
        faded = 0.5 ** (np.array([days for _, _, days in orders]) / shown["half_life_days"])
        cells = np.array([h3.latlng_to_cell(*point, 7) for point in to])
        disk = h3.grid_disk(cell, 1)
        near = 0.5 ** (distance_km(to, np.array(h3.cell_to_latlng(cell))) / shown["half_distance_km"])
        wide = np.array([h3.cell_to_parent(c, 6) for c in cells]) == h3.cell_to_parent(cell, 6)
        weights = [faded, faded * wide, faded * near * np.isin(cells, disk), faded * (cells == cell)]
        counts = [np.bincount(merchant, w, len(index)) for w in weights]
        shares, parent = [], np.full(len(index), 1.0 / len(index))
        for n, k in zip(counts, shown["strength"]):
            parent = (n + k * parent) / (n.sum() + k)
            shares.append(parent)
        return np.array(counts).T, np.array(shares).T

    def test_counts_and_shares_of_busy_and_quiet_cells_agree(self):
        busiest = json.loads(run("areas", "show", "--tables", self.tables, "--as-of", AS_OF, "--json"))
        self.assertIn("simulated", busiest["simulated"])
        # A neighbour at the rim of the ring's ring is quieter, and shares its parents only in part.
        quiet = sorted(h3.grid_ring(busiest["cell"], 2))[0]
        show = ["areas", "show", "--tables", self.tables, "--as-of", AS_OF, "--json", "--cell"]
        for shown in (busiest, json.loads(run(*show, quiet))):
            counts, shares = self.reference(shown)
            own_counts = np.array([m["counts"] for m in shown["merchants"]])
            own_shares = np.array([m["shares"] for m in shown["merchants"]])
            self.assertGreater(counts[:, 0].sum(), 100.0)
            # An order is counted in steps of 2^-32, so that partitions add up to the same bits.
            np.testing.assert_allclose(own_counts, counts, rtol=1e-9, atol=1e-8)
            np.testing.assert_allclose(own_shares, shares, rtol=1e-8, atol=1e-10)
            np.testing.assert_allclose(own_shares.sum(axis=0), 1.0, rtol=1e-12)

    def test_a_cell_that_shrinks_otherwise_would_be_found_out(self):
        shown = json.loads(run("areas", "show", "--tables", self.tables, "--as-of", AS_OF, "--json"))
        own = np.array([m["shares"] for m in shown["merchants"]])
        shown["strength"] = [k * 1.01 for k in shown["strength"]]
        _, other = self.reference(shown)
        self.assertGreater(np.abs(own / other - 1.0).max(), 1e-4)


if __name__ == "__main__":
    unittest.main()
