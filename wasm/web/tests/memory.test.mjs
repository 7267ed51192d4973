// A module that answers for days: what many decisions leave behind in its memory is nothing.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { it } from "node:test";
import { CASES, ROOT } from "./cases.mjs";

const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-full");

// The only instance of the process is the module's: its memory is found where it is made.
let memory;
const { Instance } = WebAssembly;
WebAssembly.Instance = class extends Instance {
  constructor(...of) {
    super(...of);
    memory = this.exports.memory;
  }
};
const { Engine } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));

it("ten thousand decisions need no more memory than a hundred", () => {
  const engine = new Engine();
  const asked = CASES.slice(0, 10);
  const answer = (n) => {
    for (let i = 0; i < n; i += 1) {
      const { campaign, request } = asked[i % asked.length];
      engine.setCampaign(campaign);
      engine.rank(request);
    }
    return memory.buffer.byteLength;
  };
  const first = answer(100);
  assert.equal(answer(10_000 - 100), first);
});
