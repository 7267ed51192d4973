// Holds the clock in V8, as src/main.rs does natively: prints `{name: microseconds}`. `node benches/v8.mjs PACKAGE`

import { createRequire } from "node:module";
import { resolve } from "node:path";

const ROUNDS = 9;
const ROUND_MICROSECONDS = 20_000;

const { Bench } = createRequire(import.meta.url)(resolve(process.argv[2]));
const names = JSON.parse(Bench.questions()).map(([name]) => name);
const benches = names.map((name) => new Bench(name));

// V8 compiles twice: the second, better code is there after some hundred milliseconds.
for (const bench of benches) for (let began = performance.now(); performance.now() - began < 200; ) bench.run(1);
const times = benches.map((bench) => Math.max(1, Math.round(ROUND_MICROSECONDS / perRun(bench, 5))));
const found = names.map(() => []);
for (let round = 0; round < ROUNDS; round += 1) {
  benches.forEach((bench, i) => found[i].push(perRun(bench, times[i])));
}
const median = (rounds) => rounds.sort((a, b) => a - b)[ROUNDS >> 1];
console.log(JSON.stringify(Object.fromEntries(names.map((name, i) => [name, median(found[i])]))));

function perRun(bench, n) {
  const began = performance.now();
  bench.run(n);
  return ((performance.now() - began) * 1000) / n;
}
