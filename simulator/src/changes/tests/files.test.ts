// What leaves the page, and what comes in: patches that git and patch take, and logs.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { it } from "node:test";
import { fingerprint, index, load, replayed } from "../log.js";
import { patch } from "../patch.js";
import { random } from "../random.js";

/** Applies to a fresh folder what it says, by git and by patch; gives the files' new contents. */
function applied(before: Record<string, string>, diff: string, by: "git" | "patch"): (path: string) => string {
  const dir = mkdtempSync(join(tmpdir(), "changes-"));
  for (const [path, content] of Object.entries(before)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  const [program, ...options] = by === "git" ? ["git", "apply", "-"] : ["patch", "-p1", "--quiet", "--no-backup-if-mismatch"];
  if (by === "git") execFileSync("git", ["init", "--quiet"], { cwd: dir });
  execFileSync(program, options, { cwd: dir, input: diff });
  return (path) => readFileSync(join(dir, path), "utf8");
}

it("a patch of a real layer is taken by git and by patch", () => {
  const path = "campaigns/lunch/fi/helsinki.yaml";
  const before = readFileSync(join(process.env.FRESHRANK_ROOT as string, path), "utf8");
  const after = `${before.replace("slots: 5", "slots: 6")}boosts:\n  - { id: harbour, merchant: osm-1, factor: 1.2 }\n`;
  const made = "campaigns/lunch/fi/espoo.yaml";
  const diff = patch([{ path, before, after }, { path: "same", before, after: before }, { path: made, before: null, after: "slots: 3\n" }]);
  for (const by of ["git", "patch"] as const) {
    const read = applied({ [path]: before }, diff, by);
    assert.equal(read(path), after);
    assert.equal(read(made), "slots: 3\n");
  }
});

it("any edit comes back, with and without a last newline", () => {
  const draw = random(3);
  for (let run = 0; run < 40; run++) {
    const text = (n: number) => Array.from({ length: n }, () => ["a", "b", "c: {}", "  - d", ""][Math.floor(draw() * 5)]).join("\n") + (draw() < 0.5 ? "\n" : "");
    const before = text(1 + Math.floor(draw() * 30));
    let after = before.split("\n").flatMap((line) => (draw() < 0.15 ? [] : draw() < 0.15 ? [line, "new"] : [line])).join("\n");
    if (after === "" || after === before) after = "whole\n";
    assert.equal(applied({ file: before }, patch([{ path: "file", before, after }]), "git")("file"), after, JSON.stringify({ before, after }));
  }
});

const READERS = new Map(["ada", "bea"].map((id) => [id, { id, request: { profile: id, context: { mailbox: "gmail" } } }]));
const record = (message: string) => createHash("sha256").update(message).digest("hex").slice(0, 32);
const decision = (message: string, more: object = {}) => JSON.stringify({
  type: "decision", at: "2026-11-20T10:00:00Z", message: record(message), campaign: "lunch", market: "fi", how: "seen", mailbox: "direct", step: "full", seed: 9,
  slots: [{ slot: 2, merchant_id: "osm-2", score: 1, propensity: 0.25 }, { slot: 1, merchant_id: "osm-1", score: 2, propensity: 0.5 }], ...more,
});
const click = (message: string, slot: number, scanner: boolean) => JSON.stringify({ type: "click", at: "2026-11-20T11:00:00Z", message: record(message), campaign: "lunch", slot, mailbox: "direct", scanner, opened: "merchant" });

it("a log becomes messages with their readers, seeds, propensities and people's clicks", async () => {
  const find = await index("message_id,user_id\nm/1,ada\nm/2,bea\nm/3,bea\nm/5,ada\n", READERS);
  const log = [
    decision("m/1"), decision("m/1", { at: "2026-11-20T12:00:00Z" }), click("m/1", 2, false), click("m/1", 1, true), decision("m/2"), "no json",
    decision("m/3", { how: "served" }), decision("m/4"), decision("m/5", { slots: [{ slot: 1, merchant_id: "osm-1" }] }), decision("x", { campaign: "dinner" }),
  ].join("\n");
  const { tasks, units, left_out } = await load(log, "lunch", find);
  assert.equal(tasks.length, 2);
  assert.deepEqual(tasks[0], {
    reader: { id: record("m/1"), request: { profile: "ada", context: { mailbox: "gmail", at: "2026-11-20T10:00:00Z", seed: 9 } } },
    sent: { merchants: [await fingerprint("osm-1"), await fingerprint("osm-2")], propensities: [0.5, 0.25], clicks: [0, 1] },
  });
  assert.deepEqual([...units.values()], ["ada", "bea"]);
  assert.deepEqual(left_out, [
    "1 lines are no records", "1 records are of other campaigns", "1 clicks are a scanner's", "1 messages were fetched, but nobody is known to have seen them",
    "1 messages are of readers that the list does not name", "1 messages tell no propensity: they were sent before the campaign explored",
  ]);
  await assert.rejects(index("message;user\n", READERS), /expected columns message_id and user_id/);
  assert.equal(replayed([[0.5, 1], [0.5]], [[0.5, 1], [0.4]]), 0.5);
});
