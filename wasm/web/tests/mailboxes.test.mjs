// The package judges requests as natively: `cargo test --release -p freshrank --test mailboxes` writes what to compare with.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-full");
const { judgeMailbox } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));
const JUDGED = JSON.parse(readFileSync(join(ROOT, "target/mailboxes.json"), "utf8"));

it("judges every row as natively", () => {
  assert.ok(JUDGED.length >= 50);
  for (const { about, request, reply } of JUDGED) assert.deepEqual(JSON.parse(judgeMailbox(JSON.stringify(request))), reply, about);
});

it("throws only at what is no request", () => {
  assert.throws(() => judgeMailbox("{"), /request: EOF/);
  assert.throws(() => judgeMailbox('{"agent": 1}'), /unknown field/);
  for (const cf of [null, [], "", 7, { asn: {}, latitude: [], country: 7, city: null, asOrganization: "" }]) {
    assert.deepEqual(JSON.parse(judgeMailbox(JSON.stringify({ cf }))), { mailbox: "unknown", grade: "none", seen: false, rules: ["no-network"] });
  }
});
