"""Preferences against numpy: posteriors from scratch, states carried from day to day, the tuner's likelihood.

Nothing of the Rust code is used but its binary: vectors are computed here by array over all orders at once, where the
binary adds order by order.
"""

import csv
import datetime
import json
import os
import pathlib
import random
import subprocess
import tempfile
import tomllib
import unittest

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
FRESHRANK = os.environ.get("FRESHRANK", str(ROOT / "target/release/freshrank"))
ENTREE = ROOT / "../shared/data/entree"
DAY = 86_400.0
# A wider mix counts as so many orders, where a narrower one is built upon it.
WIDER = 20.0
UTC = datetime.timezone.utc


def freshrank(*arguments):
    done = subprocess.run([FRESHRANK, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"freshrank {arguments}: {done.stderr}")
    return done.stdout


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def left(fade, ages, later):
    """What is left of one unit, by age in seconds or by how many later orders there are."""
    if fade == "never":
        return np.ones_like(ages)
    half_life, unit = fade.split()
    return np.exp2(-(ages / DAY if unit == "days" else later) / float(half_life))


class Posterior(unittest.TestCase):
    """Made-up tables, every rule of the evidence among them."""

    @classmethod
    def setUpClass(cls):
        cls.map = json.loads((ROOT / "models/cuisine-map.json").read_text())
        cls.labels = cls.map["labels"]
        sensitive = set(cls.map["vocabulary"]["sensitive"])
        cls.told = [not any(f"_{term}_" in f"_{label}_" for term in sensitive) for label in cls.labels]
        dice = random.Random(20261121)
        cls.now = int(datetime.datetime(2026, 11, 1, tzinfo=UTC).timestamp())
        # Sensitive labels come along: no profile may know them.
        cls.menus = [dice.sample(cls.labels, dice.choice([0, 1, 1, 2, 3])) for _ in range(80)]
        hidden = [label for label, told in zip(cls.labels, cls.told) if not told]
        if hidden:
            cls.menus[0] = hidden[:1] + ["pizza"]
        cls.readers = {f"u{i:02}": dice.choice(["fi/helsinki", "ca/ottawa", ""]) for i in range(40)}
        cls.orders = []
        for user in cls.readers:
            for _ in range(dice.choice([1, 1, 2, 3, 10, 60])):
                ago = int(dice.choice([3, 30, 400, 1500]) * dice.random() * DAY) - 2 * 86_400
                cls.orders.append((user, dice.randrange(80), cls.now - ago, dice.random() < 0.1))
        cls.folder = tempfile.TemporaryDirectory()
        cls.write(cls.orders)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, name):
        return pathlib.Path(cls.folder.name) / name

    @classmethod
    def write(cls, orders):
        def table(name, header, rows):
            with open(cls.path(name), "w", newline="") as file:
                csv.writer(file).writerows([header, *rows])

        merchants = ((f"m{i}", f"M {i}", 60.17, 24.94, ";".join(menu)) for i, menu in enumerate(cls.menus))
        table("merchants.csv", ["merchant_id", "name", "latitude", "longitude", "cuisines"], merchants)
        table("readers.csv", ["user_id", "market"], cls.readers.items())
        rows = ((u, f"m{m}", stamp(t), 60.17, 24.94, "cancelled" if c else "completed") for u, m, t, c in orders)
        table("orders.csv", ["user_id", "merchant_id", "ordered_at", "latitude", "longitude", "status"], rows)

    def unit(self, merchant):
        """The vector of one order: its labels share one unit."""
        vector = np.zeros(len(self.labels))
        known = [i for i in map(self.labels.index, self.menus[merchant]) if self.told[i]]
        for i in known:
            vector[i] = 1.0 / len(known)
        return vector

    def evidence(self, user, at, fade):
        mine = sorted((t, f"m{m}", m) for u, m, t, cancelled in self.orders if u == user and not cancelled and t < at)
        if not mine:
            return np.zeros(len(self.labels))
        units = np.array([self.unit(m) for _, _, m in mine])
        ages = np.array([at - t for t, _, _ in mine], dtype=float)
        told = units.sum(axis=1) > 0
        return left(fade, ages, told.sum() - np.cumsum(told)) @ units

    def mixes(self, at):
        def share(vector):
            return vector / vector.sum()

        offered = share(sum(self.unit(m) for m in range(80)))

        def upon(wider, orders):
            known = [self.unit(m) for _, m, t, cancelled in orders if not cancelled and t < at]
            return share(WIDER * wider + sum(known, np.zeros(len(self.labels))))

        all_of_them = upon(offered, self.orders)
        return {
            market: upon(all_of_them, [order for order in self.orders if self.readers[order[0]] == market])
            for market in set(self.readers.values())
        }

    def test_posteriors_are_numpys_to_1e_12(self):
        lines = freshrank("preferences", "show", "--tables", self.folder.name, "--as-of", stamp(self.now), "--json")
        shown = [json.loads(line) for line in lines.splitlines()]
        completed = {user for user, _, _, cancelled in self.orders if not cancelled}
        self.assertEqual({reader["user_id"] for reader in shown}, completed)
        mixes = self.mixes(self.now)
        worst = 0.0
        for reader in shown:
            options = reader["options"]
            strength = options["prior_strength"]
            for vector in ("lifelong", "recent"):
                evidence = self.evidence(reader["user_id"], self.now, options[vector])
                mix = mixes[self.readers[reader["user_id"]]]
                expected = (strength * mix + evidence) / (strength + evidence.sum())
                found = np.array([reader[vector][label] for label in self.labels])
                worst = max(worst, np.abs(found - expected).max())
                self.assertAlmostEqual(found.sum(), 1.0, places=12)
        self.assertLess(worst, 1e-12)

    def test_a_state_carried_over_random_days_is_numpys_to_1e_12(self):
        dice = random.Random(7)
        days = sorted(dice.sample(range(1, 1500), 12), reverse=True)
        state, once = self.path("state.ndjson"), self.path("once.ndjson")
        for i, day in enumerate([*days, 0]):
            at = stamp(self.now - day * 86_400)
            old = [] if i == 0 else ["--state", state]
            freshrank("preferences", "update", "--tables", self.folder.name, "--as-of", at, *old, "--out", state)
        freshrank("preferences", "update", "--tables", self.folder.name, "--as-of", stamp(self.now), "--out", once)
        self.assertEqual(state.read_bytes(), once.read_bytes())

        head, *readers = map(json.loads, state.read_text().splitlines())
        self.assertEqual(len(readers), len({u for u, _, t, cancelled in self.orders if not cancelled and t < self.now}))
        for reader in readers:
            kept = reader["preferences"]
            for vector in ("lifelong", "recent"):
                # Kept at the reader's last order of known cuisine; a second later that order is in it, not faded yet.
                at = kept["as_of"]
                expected = self.evidence(reader["user_id"], at + 1, head[vector])
                expected /= left(head[vector], np.array([1.0]), np.array([0.0]))[0]
                found = np.zeros(len(self.labels))
                for label, value in kept[vector].items():
                    found[int(label)] = value
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


class Entree(unittest.TestCase):
    """The tuner's likelihood on real choices, from the published files on."""

    def setUp(self):
        if not ENTREE.is_dir():
            self.skipTest(f"{ENTREE} is absent: the Entree data of UCI")

    def normalize(self, vocabulary, label):
        words = "".join(c if c.isalnum() else " " for c in label.lower().replace("'", "").replace("\u2019", ""))
        plain = "_".join(words.split())
        if plain in vocabulary["synonyms"]:
            return vocabulary["synonyms"][plain]
        if plain in vocabulary["keep"]:
            return plain
        single = plain
        if not plain.endswith(("ss", "us", "is")):
            if plain.endswith("ies") and len(plain) > 5 and not plain[:-3].endswith(("cook", "smooth", "brown", "vegg")):
                single = plain[:-3] + "y"
            elif plain.endswith("es") and len(plain) > 4 and plain[:-2].endswith(("ch", "sh", "x", "ss")):
                single = plain[:-2]
            elif plain.endswith("s") and len(plain) > 3:
                single = plain[:-1]
        return vocabulary["synonyms"].get(single, single)

    def test_the_gain_of_the_chosen_levers_is_numpys(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "map.json"
            words = ("preferences", "tune", "--entree", ENTREE, "--map-out", path, "--resamples", 1, "--json")
            tuned = json.loads(freshrank(*words))[0]["tuned"]
            cuisines = json.loads(path.read_text())
        vocabulary, labels = cuisines["vocabulary"], cuisines["labels"]
        position = {label: i for i, label in enumerate(labels)}
        sensitive = [f"_{term}_" for term in vocabulary["sensitive"]]
        names = [line.split("\t")[1] for line in (ENTREE / "features.txt").read_text().splitlines()]
        reviewed = set(tomllib.loads((ROOT / "offline/entree.toml").read_text())["cuisines"])

        units, slots = [], []
        for line in (ENTREE / "chicago.txt").read_text().splitlines():
            features = [names[int(i)] for i in line.split("\t")[2].split()]
            menu = dict.fromkeys(self.normalize(vocabulary, name) for name in features if name in reviewed)
            menu = [position[label] for label in menu if not any(term in f"_{label}_" for term in sensitive)]
            slots.append(menu)
            vector = np.zeros(len(labels))
            vector[menu] = 1.0 / max(len(menu), 1)
            units.append(vector)
        units = np.array(units)

        # Sittings: sessions of a visitor within six hours of the one before; the last known end is the order.
        visitors = {}
        for line in (ENTREE / "sessions.tsv").read_text().splitlines()[1:]:
            at, visitor, _, _, end = line.split("\t")
            at = datetime.datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
            visitors.setdefault(visitor, []).append((at, int(end)))
        orders = {}
        for visitor, sessions in visitors.items():
            sessions.sort(key=lambda session: session[0])
            sittings = [[sessions[0]]]
            for before, session in zip(sessions, sessions[1:]):
                if session[0] - before[0] > 6 * 3600:
                    sittings.append([])
                sittings[-1].append(session)
            stops = ([stop for stop in sitting if stop[1] >= 0] for sitting in sittings)
            orders[visitor] = [stop[-1] for stop in stops if stop]
        times = np.array([at for own in orders.values() for at, _ in own])
        ends = np.array([end for own in orders.values() for _, end in own])

        chosen = tuned["chosen"]
        strength, part, share = (chosen[name] for name in ("prior_strength", "smoothing", "recent_share"))
        offered = units.sum(axis=0) / units.sum()
        mixes = {}

        def mix_at(at):
            week = at // (7 * 86_400) * (7 * 86_400)
            if week not in mixes:
                counted = units[ends[times < week]].sum(axis=0)
                wide = WIDER * offered + counted
                narrow = WIDER * wide / wide.sum() + counted
                mixes[week] = narrow / narrow.sum()
            return mixes[week]

        def posterior(own, at, fade, mix, spread):
            ages = np.array([at - t for t, _ in own])
            told = np.array([len(slots[end]) > 0 for _, end in own])
            later = told.sum() - np.cumsum(told)
            evidence = left(fade, ages, later) @ units[[end for _, end in own]]
            evidence = (1.0 - part) * evidence + part * (evidence @ spread)
            return (strength * mix + evidence) / (strength + evidence.sum())

        likeness = np.zeros((len(labels), len(labels)))
        for i, row in enumerate(cuisines["similarity"]):
            for j, value in row:
                likeness[i, j] = value
        start, until = (
            datetime.datetime.fromisoformat(tuned[name].replace("Z", "+00:00")).timestamp() for name in ("from", "until")
        )
        gains, churned = [], []
        for own in orders.values():
            for i, (at, end) in enumerate(own):
                before = [order for order in own[:i] if order[0] < at]
                if not before or not start <= at < until:
                    continue
                mix = mix_at(at)
                known = [label for label in slots[end] if mix[label] > 0]
                if not known:
                    continue
                # None goes where the market has nothing, but for the label itself.
                allowed = likeness * (mix > 0) + np.diag(np.diag(likeness)) * (mix <= 0)
                spread = allowed / allowed.sum(axis=1, keepdims=True)
                both = (1.0 - share) * posterior(before, at, chosen["lifelong"], mix, spread)
                both += share * posterior(before, at, chosen["recent"], mix, spread)
                gain = np.mean(np.log(both[known] / mix[known]))
                (churned if at - before[-1][0] > 90 * 86_400 else gains).append(gain)
        apart = tuned["apart"][-1]
        self.assertEqual((len(gains), len(churned)), (tuned["orders"], apart["orders"]))
        self.assertAlmostEqual(np.mean(gains), tuned["gain"]["value"], places=12)
        self.assertAlmostEqual(np.mean(churned), apart["gain"]["value"], places=12)
        self.assertGreater(np.mean(gains), 0.0, "a taste tells something")


if __name__ == "__main__":
    unittest.main()
