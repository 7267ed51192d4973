"""Send, open, click, retrain, on a simulated market: what a log is worth read as the edge marked it, and as if it were all the same.

    python training/loop.py --freshrank target/release/freshrank --tables TABLES --work DIR

What the market's readers did with messages is written down as the edge's records, and comes back by `freshrank import log`, once as
marked, once with every fetch taken for a look and every scan for a click. Both ways go through `freshrank examples --clicks`, and the same
network learns from what was clicked alone. Every figure here is **simulated**.
"""

import argparse
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import freshrank_training  # noqa: F401  (before numpy: it sets the number of threads)
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from freshrank_training import propensity
from freshrank_training.examples import Examples, Queries, read
from freshrank_training.fit import Recipe, fit
from freshrank_training.metrics import interval, ndcgs

# Few queries are clicked: small steps from the prior, stopped by orders on valid.
RECIPE = Recipe(max_epochs=8, patience=3, learning_rate=3e-4, teacher_share=0.0)
MARKED, ALIKE = "as marked", "all alike"
DRAWS = 1000
# Under this key a file says that it is made up.
SIMULATED = b"freshrank.simulated"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--freshrank", type=Path, required=True, help="the binary")
    parser.add_argument("--tables", type=Path, required=True, help="what `freshrank market` wrote")
    parser.add_argument("--work", type=Path, required=True, help="a folder to write into")
    parser.add_argument("--queries", type=int, help="at most so many orders to measure by")
    wanted = parser.parse_args()
    file = pq.ParquetFile(wanted.tables / "events.parquet")
    said = {SIMULATED: (file.metadata.metadata or {}).get(SIMULATED, b"")}
    market, simulated = file.read().replace_schema_metadata(said), said[SIMULATED].decode()
    if not simulated:
        print(f"error: {wanted.tables}: not a simulated market", file=sys.stderr)
        return 1
    print(f"simulated: {simulated}")

    sent = pc.is_valid(market["message_id"])
    edge = pc.and_(sent, pc.is_in(market["kind"], pa.array(["served", "seen", "click"])))
    records = list(recorded(market.filter(edge).to_pylist()))
    messages = wanted.work / "messages.csv"
    wanted.work.mkdir(parents=True, exist_ok=True)
    write_messages(messages, market.filter(sent))
    events, examples = {}, {}
    for reading, lines in ((MARKED, records), (ALIKE, alike(records))):
        folder = wanted.work / reading.replace(" ", "-")
        log = folder.with_suffix(".ndjson")
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
        tables_without(wanted.tables, market.filter(pc.invert(edge)), folder)
        run(wanted.freshrank, "import", "log", "--log", log, "--messages", messages, "--out", folder)
        events[reading] = pq.read_table(folder / "events.parquet")
        rows = folder / "examples.parquet"
        few = ("--queries", wanted.queries) if wanted.queries else ()
        run(wanted.freshrank, "examples", "--tables", folder, "--clicks", "--out", rows, *few)
        examples[reading] = read(rows, "send-time", "message")
    came_back(market.filter(edge), events[MARKED])
    tell_clicks(events, market.filter(edge))
    tell_models(examples)
    return 0


def recorded(events: list[dict]) -> list[dict]:
    """The market's events as the edge writes them: a record a slate, a record a click."""
    slates: dict[tuple, list[dict]] = {}
    for event in events:
        if event["kind"] != "click":
            slates.setdefault((event["message_id"], event["at"]), []).append(event)
    for (message, at), rows in slates.items():
        # A person's own fetch is one fetch.
        how = "seen" if any(row["kind"] == "seen" for row in rows) else "served"
        slots = [
            {
                "slot": row["slot"] + 1,
                "merchant": merchant(row["merchant_id"]),
                "score": 0.0,
                "propensity": row["propensity"],
            }
            for row in rows
            if row["kind"] == how
        ]
        versions = dict.fromkeys(("model", "columns", "campaign", "policy"), "")
        facts = {"market": "simulated", "step": "own", "seed": 0, "versions": versions}
        yield {
            **head("decision", at, message),
            **facts,
            "how": how,
            "mailbox": rows[0]["mailbox"],
            "slots": slots,
        }
    for event in events:
        if event["kind"] == "click":
            scanner = event["mailbox"] == "scanner"
            yield {
                **head("click", event["at"], event["message_id"]),
                "slot": event["slot"] + 1,
                "merchant_id": merchant(event["merchant_id"]),
                "mailbox": event["mailbox"],
                "scanner": scanner,
                "opened": "merchant",
            }


def head(sort: str, at: datetime, message: str) -> dict:
    digest = hashlib.sha256(message.encode()).digest()[:16].hex()
    return {"type": sort, "at": rfc3339(at), "message": digest, "campaign": "market"}


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merchant(merchant_id: str) -> str:
    """As the engine knows it: the first 8 bytes of SHA-256, as a little-endian number."""
    return hashlib.sha256(merchant_id.encode()).digest()[:8][::-1].hex()


def alike(records: list[dict]) -> list[dict]:
    """What whoever counts pixels and links sees, joined by message and slot: it does not matter to them that a scan comes first."""
    fetched: dict[str, str] = {}
    for record in records:
        if record["type"] == "decision":
            fetched[record["message"]] = max(record["at"], fetched.get(record["message"], ""))
    return [
        {**record, "how": "seen"}
        if record["type"] == "decision"
        else {
            **record,
            "scanner": False,
            "mailbox": "unknown",
            "at": max(record["at"], fetched.get(record["message"], "")),
        }
        for record in records
    ]


def write_messages(path: Path, sent: pa.Table) -> None:
    whose = dict(zip(sent["message_id"].to_pylist(), sent["user_id"].to_pylist()))
    path.write_text("message_id,user_id\n" + "".join(f"{message},{user}\n" for message, user in whose.items()))


def tables_without(tables: Path, events: pa.Table, folder: Path) -> None:
    """The market before anybody told what became of its messages."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in tables.iterdir():
        if file.stem != "events":
            link = folder / file.name
            link.unlink(missing_ok=True)
            link.symlink_to(file.resolve())
    pq.write_table(events, folder / "events.parquet")


def run(*command: object) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")


def came_back(market: pa.Table, events: pa.Table) -> None:
    """Every look and every click came back as it was, and no other."""

    def told(table: pa.Table, kinds: dict[tuple[str, bool], str]) -> set[tuple]:
        found = set()
        for row in table.to_pylist():
            kind = kinds.get((row["kind"], row["mailbox"] == "scanner"))
            if kind and row["message_id"]:
                found.add((kind, row["message_id"], row["slot"], row["at"], row["merchant_id"]))
        return found

    before = told(market, {("seen", False): "seen", ("click", False): "click", ("click", True): "scan"})
    after = told(events, {("seen", False): "seen", ("click", False): "click", ("scan", True): "scan"})
    if before != after:
        raise SystemExit(f"error: {len(before ^ after)} looks and clicks are not as the market had them")
    print(f"{len(after)} looks, clicks and scans came back from the log as the market had them")


def looks(market: pa.Table) -> dict[str, set[tuple]]:
    """What people truly looked at and clicked, as (reader, message, slot)."""
    person = market.filter(pc.not_equal(market["mailbox"], "scanner"))
    return {kind: cards(person.filter(pc.equal(person["kind"], kind))) for kind in ("seen", "click")}


def cards(events: pa.Table) -> set[tuple]:
    return set(zip(*(events[name].to_pylist() for name in ("user_id", "message_id", "slot"))))


def rate(table: dict[str, set[tuple]]) -> tuple[int, int, float, float, float]:
    """Cards looked at, cards clicked, clicks a look with its interval; the reader is the unit."""
    readers = sorted({card[0] for kind in table.values() for card in kind})
    number = {user: i for i, user in enumerate(readers)}
    seen, clicked = (
        np.bincount([number[card[0]] for card in table[kind]], minlength=len(readers)) for kind in ("seen", "click")
    )
    drawn = np.random.default_rng(1).integers(0, len(readers), (DRAWS, len(readers)))
    low, high = np.quantile(clicked[drawn].sum(axis=1) / seen[drawn].sum(axis=1), (0.025, 0.975))
    return seen.sum(), clicked.sum(), clicked.sum() / seen.sum(), low, high


def tell_clicks(events: dict[str, pa.Table], market: pa.Table) -> None:
    """Clicks a card looked at, of everybody and of readers whose mailbox fetches before they read."""
    truth = looks(market)
    apple = set(market.filter(pc.equal(market["mailbox"], "apple"))["user_id"].to_pylist())
    print(f"\n{'simulated, the log read':28}{'readers':>10}{'looks':>9}{'clicks':>9}{'clicks a look':>15}{'95 %':>20}")
    for whose, mine in (("all", lambda user: True), ("apple", apple.__contains__)):
        told = {"truth": truth} | {
            reading: {kind: cards(table.filter(pc.equal(table["kind"], kind))) for kind in ("seen", "click")}
            for reading, table in events.items()
        }
        for reading, table in told.items():
            some = {kind: {card for card in found if mine(card[0]) and card[1]} for kind, found in table.items()}
            seen, clicks, value, low, high = rate(some)
            print(f"{reading:28}{whose:>10}{seen:9}{clicks:9}{value:15.4f}{f'{low:.4f} to {high:.4f}':>20}")
            if reading == MARKED and some != {kind: {c for c in found if mine(c[0])} for kind, found in truth.items()}:
                raise SystemExit("error: the log as marked tells other looks or clicks than there were")


def clicked(examples: Examples) -> Queries:
    """The messages somebody clicked in, clicks weighed by how likely their slots are looked at."""
    train = examples.splits["train"]
    mine = train.keep(train.signals["position"] > 0)
    mine = replace(mine, mass=mine.signals["click"].astype(np.float32))
    looked = propensity.estimate(mine, RECIPE.seed)
    print(f"{len(mine)} messages clicked; slots looked at: {' '.join(f'{share:.2f}' for share in looked.looked)}")
    mine = propensity.weighed(mine, looked)
    # A grade's gain is 2^grade - 1.
    return replace(mine, labels=np.log2(1 + mine.mass))


def tell_models(examples: dict[str, Examples]) -> None:
    """The same network from each reading's clicks, beside the prior it starts from, by later orders."""
    scores, test = {}, None
    print()
    for reading, read_ in examples.items():
        print(f"{reading}: ", end="")
        learnt = fit(clicked(read_), read_.splits["valid"], RECIPE)
        test = read_.splits["test"]
        scores[reading] = ndcgs(learnt.network.score(test.rows), test)
        scores.setdefault("prior", ndcgs(test.prior, test))
    print(f"\n{f'simulated, {len(test)} later orders':28}{'ndcg@10':>9}{'less all alike':>16}{'95 %':>20}")
    for name in (MARKED, ALIKE, "prior"):
        line = f"{name:28}{scores[name].mean():9.4f}"
        if name != ALIKE:
            difference = scores[name] - scores[ALIKE]
            low, high = interval(difference, test)
            line += f"{difference.mean():+16.4f}{f'{low:+.4f} to {high:+.4f}':>20}"
        print(line)


if __name__ == "__main__":
    sys.exit(main())
