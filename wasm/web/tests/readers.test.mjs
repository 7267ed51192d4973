// The package calls a reader as the command line and any backend's HMAC does.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-full");
const { reader } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));
const VECTORS = JSON.parse(readFileSync(join(ROOT, "tests/readers.json"), "utf8"));

it("calls a reader by the first 16 digits of their HMAC-SHA-256", () => {
  assert.ok(VECTORS.length > 5);
  for (const { secret, user_id, reader: expected } of VECTORS) {
    assert.equal(reader(secret, user_id), expected);
    assert.equal(createHmac("sha256", secret).update(user_id).digest("hex").slice(0, 16), expected, "a backend in one line");
  }
});
