// The package mints and opens the bytes that the command line does, and Node's own cryptography agrees.

import assert from "node:assert/strict";
import { createDecipheriv, createHmac } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-full");
const { mintToken, openToken } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));

const read = (folder) => {
  const names = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".json"));
  return names.map((name) => ({ name, ...JSON.parse(readFileSync(join(ROOT, folder, name), "utf8")) }));
};
const CASES = read("tests/tokens");
const RELEASED = read("tests/tokens/released");

/** What a case comes to: the reply and what its token says, or an error. */
const outcome = ({ keys, request, open_at }) => {
  try {
    const reply = JSON.parse(mintToken(keys, JSON.stringify(request)));
    const open = (personal) => JSON.parse(openToken(keys, reply.token, open_at, personal));
    return { reply, opened: open(false), personal: open(true) };
  } catch (error) {
    assert.ok(error instanceof Error);
    return { error: error.message };
  }
};

describe("the package mints as natively", () => {
  for (const { name, expect, ...asked } of CASES) it(name, () => assert.deepEqual(outcome(asked), expect));
});

it("opens what released versions minted", () => {
  assert.ok(RELEASED.length > 0);
  for (const { keys, token, at, opened } of RELEASED) assert.deepEqual(JSON.parse(openToken(keys, token, at, true)), opened);
});

it("has a clock of its own where nobody brings a time", () => {
  const { keys } = RELEASED[0];
  const request = { campaign: "lunch", market: "fi/helsinki", slots: 4, message_id: "m", consent: true };
  const { token, minted_at } = JSON.parse(mintToken(keys, JSON.stringify(request)));
  assert.ok(Math.abs(Date.parse(minted_at) - Date.now()) < 10_000);
  assert.equal(JSON.parse(openToken(keys, token)).verdict, "valid");
  assert.throws(() => openToken(keys, token.slice(1)), /token/);
});

// XChaCha20-Poly1305 is ChaCha20-Poly1305 with a key that HChaCha20 makes of the nonce's first 16 bytes
// (draft-irtf-cfrg-xchacha, section 2.3).
function hchacha20(key, nonce) {
  const words = (bytes) => Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32LE(4 * i));
  const s = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, ...words(key), ...words(nonce)];
  const turn = (d, a, b, n) => {
    const x = s[d] ^ (s[a] = (s[a] + s[b]) | 0);
    s[d] = (x << n) | (x >>> (32 - n));
  };
  const quarter = (a, b, c, d) => [[d, a, b, 16], [b, c, d, 12], [d, a, b, 8], [b, c, d, 7]].forEach((step) => turn(...step));
  for (let i = 0; i < 10; i += 1) {
    for (let j = 0; j < 4; j += 1) quarter(j, 4 + j, 8 + j, 12 + j);
    for (let j = 0; j < 4; j += 1) quarter(j, 4 + ((j + 1) % 4), 8 + ((j + 2) % 4), 12 + ((j + 3) % 4));
  }
  const derived = Buffer.alloc(32);
  [...s.slice(0, 4), ...s.slice(12)].forEach((word, i) => derived.writeInt32LE(word | 0, 4 * i));
  return derived;
}

it("is opened by Node's own cryptography, nonce and all", () => {
  const hmac = (key, ...parts) => parts.reduce((mac, part) => mac.update(part), createHmac("sha256", key)).digest();
  for (const { name, keys, expect } of CASES.filter(({ expect }) => expect.reply)) {
    const bytes = Buffer.from(expect.reply.token, "base64url");
    const [header, nonce, sealed, tag] = [bytes.subarray(0, 5), bytes.subarray(5, 29), bytes.subarray(29, -16), bytes.subarray(-16)];
    const key = Object.fromEntries(keys.split("\n").map((line) => line.split(" ")))[expect.reply.key];
    const derived = (usage) => hmac(Buffer.from(key, "base64url"), `freshrank token 1: ${usage}`);
    const subkey = hchacha20(derived("encryption"), nonce.subarray(0, 16));
    const cipher = createDecipheriv("chacha20-poly1305", subkey, Buffer.concat([Buffer.alloc(4), nonce.subarray(16)]), { authTagLength: 16 });
    cipher.setAAD(header, { plaintextLength: sealed.length });
    cipher.setAuthTag(tag);
    const plain = Buffer.concat([cipher.update(sealed), cipher.final()]);
    assert.deepEqual(nonce, hmac(derived("nonce"), header, plain).subarray(0, 24), name);
    assert.equal(plain[0] & 31, expect.opened.slots, name);
    assert.equal(plain.readUInt32LE(1), Date.parse(expect.reply.minted_at) / 1000, name);
  }
});
