// The package decides in V8 as the engine does natively: the same reply bytes, rows and scores.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, it } from "node:test";
import { CASES, FAKE, ROOT, bits } from "./cases.mjs";

const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-full");
const { Engine } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));
const engines = { prior: Engine.withoutModel(), ltr: new Engine() };

describe("the package answers as natively", () => {
  for (const { name, request, campaign, answers } of CASES) {
    for (const [scorer, engine] of Object.entries(engines)) {
      const expected = answers[scorer];
      it(`${name}, ${scorer}`, { skip: expected ? false : "models/ltr.plan was not there when the cases ran" }, () => {
        engine.setCampaign(campaign);
        assert.equal(engine.rank(request), expected.reply);
        const { rows, scores } = engine.rows(request);
        assert.equal(bits(rows), expected.rows);
        assert.deepEqual(Array.from(scores), expected.totals);
      });
    }
    if (answers.own) it(`${name}, own model`, { skip: FAKE });
  }
});
