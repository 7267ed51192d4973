// Builds the tests of `src/changes` for Node and runs them: node simulator/tests/changes.mjs [NAME...]

import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const SIMULATOR = join(dirname(fileURLToPath(import.meta.url)), "..");
const ROOT = join(SIMULATOR, "..");
const { buildSync } = createRequire(join(ROOT, "wasm/package.json"))("esbuild");

const tests = join(SIMULATOR, "src/changes/tests");
const asked = process.argv.slice(2);
const names = readdirSync(tests).filter((name) => name.endsWith(".test.ts") && (asked.length === 0 || asked.some((part) => name.startsWith(part))));
const out = join(ROOT, "target/tmp/changes-tests");
mkdirSync(out, { recursive: true });
buildSync({
  entryPoints: names.map((name) => join(tests, name)),
  outdir: out, outExtension: { ".js": ".mjs" }, bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "warning",
});
const files = names.map((name) => join(out, name.replace(/\.ts$/, ".mjs")));
process.exit(spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit", env: { ...process.env, FRESHRANK_ROOT: ROOT } }).status ?? 1);
