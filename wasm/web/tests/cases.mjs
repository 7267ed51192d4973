// The cases of tests/cases with their native answers, as `cargo test --release -p freshrank --test cases` exports them.

import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const DIRECTORY = join(ROOT, "target/cases");

function read() {
  try {
    return readdirSync(DIRECTORY).filter((file) => file.endsWith(".json")).sort();
  } catch {
    return [];
  }
}

/** `{ name, request, campaign, answers: { prior, ltr?, own? } }`, an answer being `{ reply, rows, scores, totals }`. */
export const CASES = read().map((file) => JSON.parse(readFileSync(join(DIRECTORY, file), "utf8")));
if (CASES.length < 40) {
  throw new Error(`${CASES.length} cases in ${DIRECTORY}: run \`cargo test --release -p freshrank --test cases\` first`);
}

/** Why a case's own answer is not asked for here. */
export const FAKE = "its fake model is code: natively and in tests/cases.rs of this module only";

/** The bits of floats as the export writes them. */
export const bits = (floats) =>
  Array.from(new Uint32Array(floats.buffer, floats.byteOffset, floats.length), (word) =>
    word.toString(16).padStart(8, "0"),
  ).join("");
