// How long a module takes in a cold V8 from its bytes to the first decision, and what memory many decisions leave behind.
// Prints `{start: milliseconds, first: bytes, last: bytes}`. `node benches/start.mjs PACKAGE SCENE`, a process a start.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [FIRST, LAST] = [100, 10_000];

const [directory, scene] = process.argv.slice(2).map((path) => resolve(path));
const text = (name) => readFileSync(join(scene, name), "utf8");
const [area, campaign, request] = [readFileSync(join(scene, "area.frab")), text("campaign.json"), text("request.json")];
const require = createRequire(import.meta.url);

// The only instance of the process is the module's: its memory is found where it is made.
let memory;
const { Instance } = WebAssembly;
WebAssembly.Instance = class extends Instance {
  constructor(...of) {
    super(...of);
    memory = this.exports.memory;
  }
};

const began = performance.now();
const { Engine } = require(join(directory, "nodejs/freshrank.js"));
const engine = new Engine();
engine.addArea(area);
engine.setCampaign(campaign);
const reply = engine.rank(request);
const start = performance.now() - began;

const { kept, scorer } = JSON.parse(reply);
if (kept !== 200 || scorer !== "dense") throw new Error(`not the decision that is asked for: ${reply}`);
const bytes = {};
for (let n = 1; n <= LAST; n += 1) {
  if (engine.rank(request) !== reply) throw new Error("the same request, another reply");
  if (n === FIRST || n === LAST) bytes[n] = memory.buffer.byteLength;
}
console.log(JSON.stringify({ start, first: bytes[FIRST], last: bytes[LAST] }));
