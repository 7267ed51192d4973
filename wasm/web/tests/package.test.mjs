// The package as a program in Node uses it. `FRESHRANK_WEB` names its directory.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { it } from "node:test";
import { fileURLToPath } from "node:url";
import { HELSINKI, area, display, fingerprintHex, hash } from "../../worker/tests/bytes.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGE = process.env.FRESHRANK_WEB ?? join(HERE, "../../../target/modules/web-full");
const { Engine } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));

const LABELS = join(HERE, "../../../models/cuisine-labels.json");
const AREA = area([{ id: "near", north_km: 0.2 }, { id: "far", north_km: 1.5 }, { id: "beyond", north_km: 40 }]);
const ASKED = {
  context: { at: "2026-06-05T09:00:00Z", latitude: HELSINKI.latitude, longitude: HELSINKI.longitude, grade: "exact", seed: 7 },
};
const rank = (engine, request = ASKED) => JSON.parse(engine.rank(JSON.stringify(request)));

it("ranks what it was given", () => {
  const engine = new Engine();
  assert.equal(rank(engine).place.served, false);
  assert.equal(engine.addArea(AREA), HELSINKI.cell);
  assert.equal(engine.addDisplay(display(AREA, [{ id: "near", name: "Near" }])), hash(AREA).toString("hex"));
  const reply = rank(engine, { ...ASKED, display: true });
  assert.equal(reply.hashes.area, hash(AREA).toString("hex"));
  assert.equal(reply.scorer, JSON.parse(engine.about()).scorer);
  const cards = Object.fromEntries(reply.slots.filter((slot) => slot.merchant).map((slot) => [slot.merchant, slot.card?.name]));
  assert.deepEqual(cards, { [fingerprintHex("near")]: "Near", [fingerprintHex("far")]: undefined });

  const brought = rank(new Engine(), { ...ASKED, areas: [AREA.toString("base64url")] });
  assert.deepEqual(brought.slots.map((slot) => slot.score), reply.slots.map((slot) => slot.score), "an area may come along");
});

it("shows the rows behind the scores", () => {
  const engine = new Engine();
  engine.addArea(AREA);
  const { names, rows, scores, ids } = engine.rows(JSON.stringify(ASKED));
  assert.deepEqual(names, JSON.parse(Engine.features()).map((feature) => feature.name));
  assert.ok(rows instanceof Float32Array && scores instanceof Int32Array);
  assert.deepEqual([ids.length, scores.length, rows.length], [2, 2, 2 * names.length]);
  const distance = names.indexOf("distance_km");
  const near = ids.indexOf(fingerprintHex("near"));
  assert.ok(Math.abs(rows[near * names.length + distance] - 0.2) < 0.01);
  const shown = rank(engine).slots.filter((slot) => slot.merchant);
  for (const slot of shown) assert.equal(slot.score, scores[ids.indexOf(slot.merchant)]);
});

it("follows the campaign that a request names", () => {
  const engine = new Engine();
  engine.addArea(AREA);
  const campaign = { id: "lunch", layers: { global: { slots: 1 }, "fi/helsinki": { exclude: ["near"] } } };
  assert.equal(engine.setCampaign(JSON.stringify(campaign)), "lunch");
  const reply = rank(engine, { ...ASKED, campaign: "lunch" });
  assert.deepEqual(reply.slots.map((slot) => slot.merchant), [fingerprintHex("far")]);
  assert.deepEqual(reply.layers, { exclude: "fi/helsinki", "exclude[near]": "fi/helsinki", slots: "global" });
  assert.equal(rank(engine).slots.length, 4, "another request has the default one");
});

it("throws the engine's own words and goes on", () => {
  const engine = new Engine();
  const thrown = (run) => {
    try {
      run();
    } catch (error) {
      assert.ok(error instanceof Error);
      return error.message;
    }
    return assert.fail("nothing was thrown");
  };
  assert.match(thrown(() => engine.addArea(AREA.subarray(0, 100))), /area bundle ends inside the merchants: need \d+ bytes, have 100/);
  assert.match(thrown(() => engine.addDisplay(AREA)), /display block/);
  assert.match(thrown(() => new Engine(new Uint8Array(40))), /model plan/);
  assert.match(thrown(() => engine.setCampaign('{"id": "c", "layers": {"fi": {"slots": 0}}}')), /layer fi: slots: found 0, expected a whole number from 1 to 24/);
  assert.match(thrown(() => engine.rank("{")), /request: EOF/);
  assert.match(thrown(() => rank(engine, { ...ASKED, campaign: "none" })), /no campaign "none" was set/);
  for (let bit = 0; bit < 8 * AREA.length; bit += 5) {
    const damaged = new Uint8Array(AREA);
    damaged[bit >> 3] ^= 1 << (bit & 7);
    assert.match(thrown(() => engine.addArea(damaged)), /area bundle/);
  }
  assert.equal(rank(engine).slots.length, 4);
});

it("ranks by the prior where there is no model, and says so", () => {
  const engine = Engine.withoutModel();
  engine.addArea(AREA);
  const reply = rank(engine);
  assert.deepEqual([reply.scorer, reply.model_error], ["prior", "no model"]);
  assert.equal(reply.slots.filter((slot) => slot.merchant).length, 2);
});

const ONNX = readFileSync(join(HERE, "../../../models/ltr.onnx"));
const IS_FULL = JSON.parse(new Engine().about()).module === "full";

it("says in the lite module that an ONNX ranker is for the full one", { skip: IS_FULL && "the full module runs it" }, () => {
  assert.throws(() => Engine.fromOnnx(ONNX), /lite module has no tract: compile the ranker .* or take the full module/);
});

it("runs a graph by tract that dense refuses", { skip: !IS_FULL && "the lite module has no tract" }, () => {
  const engine = Engine.fromOnnx(Buffer.from(ONNX.toString("latin1").replaceAll("Relu", "Tanh"), "latin1"));
  engine.addArea(AREA);
  const reply = rank(engine);
  assert.deepEqual([reply.scorer, reply.model_error ?? null], ["tract", null]);
  assert.equal(reply.slots.filter((slot) => slot.merchant).length, 2);
});

it("runs an ONNX ranker by tract, which agrees with dense", { skip: !IS_FULL && "the lite module has no tract" }, () => {
  const [dense, tract] = [new Engine(), Engine.fromOnnx(ONNX)];
  for (const engine of [dense, tract]) engine.addArea(AREA);
  assert.deepEqual([rank(dense).scorer, rank(tract).scorer], ["dense", "tract"]);
  const scores = (engine) => [...engine.rows(JSON.stringify(ASKED)).scores].map((score) => score / 65536);
  scores(dense).forEach((score, i) => {
    const difference = Math.abs(score - scores(tract)[i]);
    assert.ok(difference <= 1e-5 * Math.max(1, Math.abs(score)) + 1 / 65536, `${difference} apart at row ${i}`);
  });
  assert.throws(() => Engine.fromOnnx(new Uint8Array(100)), /model/);
});

it("asks its surroundings for the clock and nothing else", () => {
  const module = new WebAssembly.Module(readFileSync(join(PACKAGE, "nodejs/freshrank_bg.wasm")));
  const names = WebAssembly.Module.imports(module).map(({ name }) => name.replace(/^__wbg_|_[0-9a-f]{16}$/g, ""));
  const glue = /^(_{0,2}wbindgen_\w+|Error|new|stack|error)$/;
  assert.deepEqual(names.filter((name) => !glue.test(name)), ["now"]);
});

it("has types that a program can be checked against", () => {
  const dir = mkdtempSync(join(tmpdir(), "freshrank-types-"));
  const types = join(PACKAGE, "web/freshrank.d.ts").replace(/\.d\.ts$/, "");
  writeFileSync(
    join(dir, "program.ts"),
    `import { Engine, type Request, type Reply, type Campaign, type About } from "${types}";
     const request: Request = { context: { latitude: 60.17, longitude: 24.94, grade: "exact", mailbox: "unknown", seed: 7 } };
     const campaign: Campaign = { id: "lunch", layers: { fi: { slots: 4, unknown_hours: "keep" } } };
     export function names(engine: Engine): (string | undefined)[] {
       engine.setCampaign(JSON.stringify(campaign));
       const about: About = JSON.parse(engine.about());
       const reply: Reply = JSON.parse(engine.rank(JSON.stringify(request)));
       return about.module === "lite" ? [] : reply.slots.map((slot) => slot.card?.name);
     }
     // @ts-expect-error a grade is one of a few words
     export const wrong: Request = { context: { grade: "rough" } };\n`,
  );
  const tsc = join(HERE, "../../node_modules/.bin/tsc");
  const options = ["--noEmit", "--strict", "--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler", "--lib", "es2022,dom,esnext.disposable"];
  try {
    execFileSync(tsc, [...options, join(dir, "program.ts")], { encoding: "utf8" });
  } catch (error) {
    assert.fail(error.stdout);
  }
});

it("says how likely any message is, to the bit what its own draws say", () => {
  const engine = new Engine();
  engine.addArea(AREA);
  engine.addDisplay(display(AREA, [{ id: "near", name: "Near" }]));
  assert.deepEqual(Object.values(JSON.parse(engine.cards())).map(({ name }) => name), ["Near"]);
  engine.setCampaign(JSON.stringify({ id: "curious", layers: { global: { slots: 2, explore: { share: 0.4, among: 2 } } } }));
  engine.setCampaign(JSON.stringify({ id: "sure", layers: { global: { slots: 2, exclude: ["far"] } } }));
  const ask = (campaign, shown) => JSON.parse(engine.chances(JSON.stringify({ ...ASKED, campaign }), shown && JSON.stringify(shown)));
  const every = JSON.parse(engine.everyMessage(JSON.stringify({ ...ASKED, campaign: "curious" }), 10));
  assert.equal(every.length, 2, "two merchants have two orders");
  assert.ok(Math.abs(every.reduce((sum, { propensity }) => sum + propensity, 0) - 1) < 1e-15);
  for (const { merchants, propensity } of every) {
    const { slots } = ask("curious", merchants);
    assert.equal(slots.reduce((product, slot) => product * slot.propensity, 1), propensity);
    for (const slot of slots) assert.ok(Math.abs(slot.options.reduce((sum, [, likely]) => sum + likely, 0) - 1) < 1e-15);
  }
  const reply = rank(engine, { ...ASKED, campaign: "curious" });
  assert.deepEqual(ask("curious").slots.map((slot) => [slot.merchant, slot.propensity]), reply.slots.map((slot) => [slot.merchant, slot.draw.propensity]));
  const [near, far] = ["near", "far"].map(fingerprintHex);
  assert.deepEqual(ask("sure", [far, near]).slots.map((slot) => slot.propensity), [0, 1], "who is excluded could not have been shown; after it, near is sure");
  assert.deepEqual(ask("sure", [near, null]).slots.map((slot) => slot.propensity), [1, 1], "nobody is left: the campaign's own card is sure");
  assert.equal(JSON.parse(engine.everyMessage(JSON.stringify({ ...ASKED, campaign: "curious" }), 1)), null, "more than asked for");
  assert.throws(() => ask("sure", ["near"]), /expected 16 hexadecimal digits/);
});

it("tells a page what stands around a decision, and what a draft of a layer comes to", () => {
  const engine = new Engine();
  const cell = engine.addArea(AREA);
  engine.addDisplay(display(AREA, [{ id: "near", name: "Near" }]));
  const merchants = JSON.parse(engine.merchants());
  assert.deepEqual(merchants.map(({ id, card, cells }) => [id, card?.name, cells.join()]).sort(), [["near", "Near"], ["far"], ["beyond"]].map(([id, name]) => [fingerprintHex(id), name, cell]).sort());
  assert.deepEqual(JSON.parse(engine.areas()).map((area) => [area.cell, area.merchants]), [[cell, 3]]);
  const reply = rank(engine, ASKED);
  const scene = JSON.parse(engine.scene(JSON.stringify(ASKED)));
  assert.deepEqual(scene.shown, reply.slots.map((slot) => slot.merchant ?? null), "a map shows what the message shows");
  assert.equal(scene.kept.length + scene.dropped.length, 3);
  const place = JSON.parse(engine.placeOf(JSON.stringify(ASKED)));
  assert.deepEqual([place.cell, place.source], [reply.place.cell, reply.place.source]);

  const campaign = JSON.stringify({ id: "lunch", layers: { global: { slots: 3, lock: ["slots"] }, fi: { title: "Lounas" } } });
  const check = (...map) => JSON.parse(Engine.checkLayer(campaign, "fi", JSON.stringify([1, 1, { map }]), readFileSync(LABELS, "utf8")));
  const good = check([1, 1, "title", [1, 8, "Ravintolat"]]);
  assert.deepEqual([good.problems, JSON.parse(good.document).layers.fi.title], [[], "Ravintolat"]);
  const merged = JSON.parse(engine.mergedAt(good.document, "fi"));
  assert.deepEqual(merged.leaves.find(({ key }) => key === "title"), { key: "title", value: '"Ravintolat"', layer: "fi", line: 1 });
  assert.deepEqual(merged.locks, [{ key: "slots", layer: "global", line: 0 }]);
  const [unknown] = check([7, 3, "titel", [7, 10, "?"]]).problems;
  assert.deepEqual([unknown.line, unknown.column, unknown.hint], [7, 3, "did you mean title?"]);
  const locked = check([1, 1, "title", [1, 8, "Ravintolat"]], [2, 1, "slots", [2, 8, 5]]);
  assert.deepEqual([locked.document ?? null, locked.problems[0].line, locked.problems[0].hint], [null, 2, "the locked value holds; take this out"]);
});
