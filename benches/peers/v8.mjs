// Holds the clock of a contest in V8, as src/clock.rs does natively, in the same words: a line asked, a line answered.
// `node v8.mjs LITE FULL RTEN PACKAGES`: the benches' module without tract and with it, rten's, and where onnxruntime-web is installed.
// `cold` counts a module's compilation: what ships is the module.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const [lite, full, rten, packages] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(import.meta.url);
const modules = { tract: full, rten };

const bytes = (path) => new Uint8Array(readFileSync(path));
const numbers = (path) => new Float32Array(bytes(path).buffer);

async function prepare(scorer, model, rows, width) {
  if (scorer === "onnxruntime") return onnxruntime(model, rows, width);
  const { Entry } = require(modules[scorer] ?? lite);
  const entry = new Entry(scorer, model, rows, width);
  return async (times) => entry.run(times);
}

async function onnxruntime(model, rows, width) {
  const { env, InferenceSession, Tensor } = createRequire(join(packages, "package.json"))("onnxruntime-web");
  env.wasm.numThreads = 1;
  const session = await InferenceSession.create(model, { executionProviders: ["wasm"] });
  const [input, output] = [session.inputNames[0], session.outputNames[0]];
  return async (times) => {
    let scores;
    for (let i = 0; i < times; i += 1) {
      const tensor = new Tensor("float32", rows, [rows.length / width, width]);
      ({ [output]: scores } = await session.run({ [input]: tensor }));
    }
    return scores.data;
  };
}

const known = new Map();

async function answer(line) {
  const [verb, scorer, model, rows, width, last] = line.split("\t");
  if (verb === "cold") {
    const [read, given] = [bytes(model), numbers(rows)];
    const began = performance.now();
    const scores = await (await prepare(scorer, read, given, Number(width)))(1);
    const microseconds = (performance.now() - began) * 1000;
    return scores.every(Number.isFinite) ? microseconds : NaN;
  }
  const key = [scorer, model, rows, width].join("\t");
  if (!known.has(key)) {
    const run = await prepare(scorer, bytes(model), numbers(rows), Number(width));
    known.set(key, { run, expected: Float32Array.from(await run(1)) });
  }
  const { run, expected } = known.get(key);
  if (verb === "scores") {
    writeFileSync(last, expected);
    return "written";
  }
  if (verb !== "time") throw new Error(`found the question ${verb}, expected scores, time or cold`);
  const began = performance.now();
  const scores = await run(Number(last));
  const microseconds = ((performance.now() - began) * 1000) / Number(last);
  if (scores.some((score, i) => score !== expected[i])) throw new Error("the same rows, other scores");
  return microseconds;
}

for await (const line of createInterface({ input: process.stdin })) {
  const said = await answer(line).catch((error) => `error: ${error.message ?? error}`);
  console.log(String(said).replaceAll("\n", " "));
}
