// The Worker under workerd, and the command line beside it, answer every case with the native bytes.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { CASES, FAKE, ROOT } from "../../web/tests/cases.mjs";
import { startWorker } from "./workerd.mjs";

const NO_PLAN = "models/ltr.plan was not there when the cases ran";
const run = promisify(execFile);

for (const module of ["full", "lite"]) {
  describe(`the ${module} worker answers as natively`, () => {
    let worker;
    // Without the registry: some cases are about campaigns that it would refuse, and that readers must be answered with all the same.
    before(async () => (worker = await startWorker({ module, registry: false })));
    after(async () => {
      const log = worker.log();
      await worker.stop();
      assert.doesNotMatch(log, /Critical|panic/);
    });

    for (const { name, request, campaign, answers } of CASES) {
      it(name, { skip: answers.ltr ? false : NO_PLAN }, async () => {
        const published = await worker.put(`/v1/campaigns/${name}`, campaign);
        assert.equal(published.status, 200, await published.text());
        const response = await worker.rank(request);
        assert.equal(await response.text(), answers.ltr.reply);
        assert.equal(response.status, 200);
      });
      if (answers.own) it(`${name}, own model`, { skip: FAKE });
    }

    it("answers all of them in one batch", { skip: CASES[0].answers.ltr ? false : NO_PLAN }, async () => {
      const lines = CASES.map(({ request }) => request).join("\n");
      const replies = (await (await worker.rank(lines, "/v1/rank/batch")).text()).trimEnd().split("\n");
      assert.deepEqual(replies, CASES.map(({ answers }) => answers.ltr.reply));
    });
  });
}

const CLI = process.env.FRESHRANK_CLI ?? join(ROOT, "target/release/freshrank");

describe("the command line answers as natively", { skip: existsSync(CLI) ? false : `no ${CLI}` }, () => {
  let dir;
  before(() => (dir = mkdtempSync(join(tmpdir(), "freshrank-parity-"))));
  after(() => rmSync(dir, { recursive: true }));

  for (const { name, request, campaign, answers } of CASES) {
    const models = { prior: "none", ltr: join(ROOT, "models/ltr.plan") };
    for (const [scorer, model] of Object.entries(models)) {
      it(`${name}, ${scorer}`, { skip: answers[scorer] ? false : NO_PLAN }, async () => {
        writeFileSync(join(dir, "request.json"), request);
        writeFileSync(join(dir, "campaign.json"), campaign);
        const flags = ["rank", "--json", "--bundles", dir, "--campaign", join(dir, "campaign.json"), "--model", model];
        const { stdout } = await run(CLI, [...flags, join(dir, "request.json")], { maxBuffer: 1 << 24 });
        assert.equal(stdout, `${answers[scorer].reply}\n`);
      });
    }
  }
});
