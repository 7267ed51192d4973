// A folder that knows no Rust: the packed package is installed with all it needs from npm's registry, a few lines say what runs, and a picture
// and a send come of it.
//
// `FRESHRANK_PACKAGE` names what `cargo xtask build package` made, `FRESHRANK_CLI` the data scientist's binary, which draws the cards and
// reads the records; the sender has no need of it.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { createServer as createSocketServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { HELSINKI, area, display, fingerprintHex, profile } from "../../wasm/worker/tests/bytes.mjs";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "../..");
const PACKAGE = process.env.FRESHRANK_PACKAGE ?? join(ROOT, "target/modules/package-full");
const CLI = process.env.FRESHRANK_CLI ?? join(ROOT, "target/release/freshrank");
const FONTS = join(ROOT, "target/fonts");
// Programs of this machine without cargo and rustc: a shell has what npm and node need.
const PATH = [dirname(process.execPath), "/usr/bin", "/bin"].join(":");
const RANK_KEY = "rank-key-of-the-sender";
const PUBLISH_KEY = "publish-key-of-the-sender";
const TOKEN_KEYS = `26q4 ${Buffer.alloc(32, 7).toString("base64url")}`;
const MERCHANTS = [{ id: "forno", north_km: 0.2, popularity: 9 }, { id: "sushi", north_km: 0.9, popularity: 2 }];
const CARDS = { ...Object.fromEntries(MERCHANTS.map(({ id }) => [id, `${fingerprintHex(id)}/none@2x.png`])), fallback: "fallback@2x.png" };
/** Files that the folder has room for: the deployment's own four, and one merchant's. */
const ROOM = 12;
const WRANGLER = "node_modules/wrangler/bin/wrangler.js";
const QUIET = { CI: "1", CLOUDFLARE_CF_FETCH_ENABLED: "false", WRANGLER_SEND_METRICS: "false" };
/** What the README's headline promises. */
const TEN_MINUTES = 600;
const COPY = JSON.parse(readFileSync(join(HERE, "copy.json"), "utf8"));
const PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const RECIPIENTS = readFileSync(join(HERE, "recipients.ndjson"), "utf8").trim().split("\n").map((line) => JSON.parse(line));

const freePort = () =>
  new Promise((resolve) => {
    const server = createSocketServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
/** Does what KV's API does with a file of `wrangler kv bulk put --remote`. With `--local`, wrangler 4.86 takes the bytes of a `base64` value for
 * text, which no picture survives. */
async function putInto(folder, pairs) {
  const { Miniflare } = createRequire(join(folder, "send.mjs"))("miniflare");
  const { id } = /kv_namespaces = .*id = "(?<id>\w+)"/.exec(readFileSync(join(folder, "wrangler.toml"), "utf8")).groups;
  const script = "export default { fetch: () => new Response() }";
  const miniflare = new Miniflare({ modules: true, script, kvNamespaces: { AREAS: id }, kvPersist: join(folder, ".wrangler/state/v3/kv") });
  const kv = await miniflare.getKVNamespace("AREAS");
  for (const { key, value, base64 } of pairs) await kv.put(key, base64 ? new Uint8Array(Buffer.from(value, "base64")) : value);
  await miniflare.dispose();
}
const ndjson = (file) => readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line));

describe("from a folder with no Rust", () => {
  let folder, wrangler, edge, send, mail, cards, beyond;
  let seconds = { install: 0, picture: 0 };
  let said = "";
  const got = [];

  before(async () => {
    assert.ok(existsSync(join(PACKAGE, "worker/index.js")), `no package in ${PACKAGE}: run \`cargo xtask build package\` first`);
    folder = mkdtempSync(join(tmpdir(), "freshrank-sender-"));
    for (const file of readdirSync(HERE).filter((name) => name !== "node_modules")) cpSync(join(HERE, file), join(folder, file), { recursive: true });
    // What the data scientist hands over: areas, and the cards of their merchants.
    const bundle = area(MERCHANTS);
    const blocks = { area: bundle, display: display(bundle, [{ id: "forno", name: "Forno" }, { id: "sushi", name: "Sushi Bar" }]) };
    mkdirSync(join(folder, "bundles/areas"), { recursive: true });
    for (const [kind, bytes] of Object.entries(blocks)) writeFileSync(join(folder, `bundles/areas/${HELSINKI.cell}.${kind}`), bytes);
    const drawn = freshrank("cards", "--bundles", join(folder, "bundles"), "--out", join(folder, "cards"), "--fonts", FONTS, "--kv", join(folder, "cards-kv"), "--max-files", String(ROOM));
    assert.ok(drawn.files_in_kv > 0 && drawn.files - drawn.files_in_kv <= ROOM, JSON.stringify(drawn));
    const bulk = JSON.parse(readFileSync(join(folder, "cards-kv/0001.json"), "utf8"));
    const inKv = (path) => bulk.find(({ key }) => key === `card/${path}`)?.value;
    // Whose card KV alone has, the folder has not.
    beyond = Object.keys(CARDS).filter((name) => inKv(CARDS[name]) && !existsSync(join(folder, "cards", CARDS[name])));
    cards = Object.fromEntries(Object.entries(CARDS).map(([name, path]) => [name, inKv(path) ? Buffer.from(inKv(path), "base64") : readFileSync(join(folder, "cards", path))]));

    const started = performance.now();
    const npm = (...words) => execFileSync("npm", [...words, "--no-audit", "--no-fund", "--loglevel=error"], { cwd: folder, env: { ...process.env, PATH }, encoding: "utf8" });
    npm("pack", PACKAGE, "--pack-destination", folder);
    npm("install", "--prefer-offline");
    seconds.install = (performance.now() - started) / 1000;
    await putInto(folder, bulk);
    const port = await freePort();
    edge = `http://127.0.0.1:${port}`;
    const vars = { RANK_KEY, PUBLISH_KEY, TOKEN_KEYS };
    writeFileSync(join(folder, ".dev.vars"), Object.entries(vars).map(([name, value]) => `${name}="${value}"\n`).join(""));
    wrangler = spawn(process.execPath, [WRANGLER, "dev", "--local", "--ip", "127.0.0.1", "--port", String(port), "--show-interactive-dev-session=false"], {
      cwd: folder,
      env: { ...process.env, ...QUIET, PATH },
      detached: true,
    });
    for (const stream of [wrangler.stdout, wrangler.stderr]) stream.on("data", (text) => (said += text));
    for (let tries = 0; ; tries += 1) {
      const up = await fetch(`${edge}/healthz`).then((response) => response.ok, () => false);
      if (up) break;
      assert.ok(tries < 150 && wrangler.exitCode === null, `wrangler does not answer:\n${said}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const put = async (path, bytes) => {
      const response = await fetch(edge + path, { method: "PUT", headers: { Authorization: `Bearer ${PUBLISH_KEY}` }, body: bytes });
      assert.equal(response.status, 200, await response.text());
    };
    await put(`/v1/areas/${HELSINKI.cell}`, blocks.area);
    await put(`/v1/areas/${HELSINKI.cell}/display`, blocks.display);
    await put("/v1/campaigns/lunch", JSON.stringify({ id: "lunch", layers: { global: { slots: 3 } } }));
    const { mintToken } = createRequire(join(folder, "send.mjs"))("freshrank");
    const { token } = JSON.parse(mintToken(TOKEN_KEYS, JSON.stringify({ campaign: "lunch", market: "fi/helsinki", slots: 3 })));
    assert.equal(await shown(`${edge}/o/${token}/1@2x.png`), "forno");
    seconds.picture = (performance.now() - started) / 1000;

    ({ send } = await import(pathToFileURL(join(folder, "sender.mjs"))));
    const { sink } = await import(pathToFileURL(join(folder, "sink.mjs")));
    mail = await sink((bytes) => got.push(bytes.toString()));
  });

  after(async () => {
    if (wrangler?.pid) process.kill(-wrangler.pid, "SIGTERM");
    await mail?.close();
    if (folder) rmSync(folder, { recursive: true, force: true });
    assert.doesNotMatch(said, /Critical|panicked/);
  });

  const freshrank = (...words) => JSON.parse(execFileSync(CLI, [...words, "--json"], { encoding: "utf8" }));
  /** Whose card stands at an address, as a person's program fetches it. */
  async function shown(url) {
    const bytes = Buffer.from(await (await fetch(url, { headers: { "User-Agent": PERSON } })).arrayBuffer());
    return Object.keys(CARDS).find((name) => cards[name].equals(bytes));
  }

  /** Sends everybody their message into a folder of its own. */
  async function sent(out, changed = {}, recipients = RECIPIENTS) {
    const nodemailer = createRequire(join(folder, "send.mjs"))("nodemailer");
    const transport = nodemailer.createTransport({ host: "127.0.0.1", port: mail.port, ignoreTLS: true });
    const warnings = [];
    const config = {
      ...JSON.parse(readFileSync(join(folder, "sender.config.json"), "utf8")),
      edge,
      rankKey: RANK_KEY,
      tokenKeys: TOKEN_KEYS,
      out: join(folder, out),
      warn: (text) => warnings.push(text),
      ...changed,
    };
    const before = got.length;
    const told = await send(config, COPY, recipients, transport);
    transport.close();
    return { told, warnings, mails: got.slice(before), read: (name) => ndjson(join(config.out, name)) };
  }

  it("twenty lines of configuration run it", () => {
    const lines = readFileSync(join(folder, "wrangler.toml"), "utf8").split("\n").filter((line) => line.trim() && !line.startsWith("#"));
    assert.ok(lines.length <= 20, `${lines.length} lines`);
  });

  it("a picture is there in ten minutes, with all that npm brings", () => {
    console.log(`# npm install took ${seconds.install.toFixed(1)} s, the first picture came after ${seconds.picture.toFixed(1)} s`);
    assert.ok(seconds.picture < TEN_MINUTES, `${seconds.picture} s`);
    const wanted = JSON.parse(readFileSync(join(HERE, "package.json"), "utf8"));
    for (const [name, version] of Object.entries({ ...wanted.dependencies, ...wanted.devDependencies })) {
      const installed = JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8"));
      assert.ok(version.startsWith("file:") || installed.version === version, `${name} ${installed.version}`);
    }
  });

  it("sends email, push and text messages, each with its copy", async () => {
    // Sent an hour ago: who fetches within seconds of the minting is a scanner.
    mkdirSync(join(folder, "first"));
    writeFileSync(join(folder, "first/run.json"), JSON.stringify({ minted_at: `${new Date(Date.now() - 3_600_000).toISOString().slice(0, 19)}Z` }));
    const { told, warnings, mails, read } = await sent("first");
    assert.deepEqual([told, warnings], [{ sent: 4, fallback: 0, before: 0, failed: 0 }, []]);
    assert.equal(mails.length, 2);
    assert.match(mails[0], /Subject: Anna, lunch is open around you/);
    const html = mails[0].replaceAll("=\r\n", "").replaceAll("=3D", "=");
    assert.equal(html.match(/\/o\/[\w-]+\/[123]@2x\.png/g).length, 3);
    assert.equal(html.match(/href="[^"]+\/c\/[\w-]+\/[123]"/g).length, 3);
    // The pictures of the mail, as its reader's program fetches them: real merchants first.
    const pictures = [...html.matchAll(/src="([^"]+\/o\/[^"]+)"/g)].map(([, url]) => url);
    assert.deepEqual(await Promise.all(pictures.map(shown)), ["forno", "sushi", "fallback"]);
    assert.equal(beyond.length, 1, "one of them is in KV alone");
    const clicked = await fetch(html.match(/href="([^"]+\/c\/[^"]+\/2)"/)[1], { redirect: "manual", headers: { "User-Agent": PERSON } });
    assert.equal(clicked.headers.get("location"), "https://shop.example/sushi", "the click opens what the picture showed");
    const [push] = read("push.ndjson");
    assert.match(push.title, /^Forno is open/);
    assert.match(push.deep_link, /\/c\/[\w-]{40,480}\/1$/);
    assert.match(push.image, /\/o\/[\w-]+\/1@2x\.png$/);
    const [text] = read("sms.ndjson");
    assert.match(text.text, /^Kaupunki: Forno is open/);
    assert.ok(text.text.length <= 160, text.text);
    const code = /\/s\/(\S+)$/.exec(text.text)[1];
    assert.ok(code.length <= 25, code);
    const click = await fetch(`${edge}/s/${code}`, { redirect: "manual" });
    assert.match(click.headers.get("location"), /^\/c\/[\w-]{40,480}\/1$/);
    // Nobody is named where others read along.
    const urls = [...html.matchAll(/https?:\/\/[^"\s]+/g)].map(([url]) => url).concat(push.deep_link, push.image, `${edge}/s/${code}`);
    for (const word of ["anna", "bert", "cleo", "2026-11-20", "358401234567", "device-2"]) {
      assert.ok(!urls.some((url) => url.includes(word)), word);
    }
    const whose = readFileSync(join(folder, "first/messages.csv"), "utf8").split("\n")[1];
    assert.equal(whose, `"2026-11-20/1","anna"`, "as \`freshrank import log\` reads it");
  });

  it("has records of what was seen and clicked, which come back as events", async () => {
    const records = () => said.split("\n").filter((line) => line.includes("freshrank-record "));
    for (let tries = 0; records().length < 2 && tries < 50; tries += 1) await new Promise((resolve) => setTimeout(resolve, 100));
    const log = join(folder, "edge.log");
    writeFileSync(log, `${records().join("\n")}\n`);
    const messages = join(folder, "first/messages.csv");
    const told = freshrank("import", "log", "--log", log, "--messages", messages, "--out", join(folder, "events"));
    assert.deepEqual([told.taken, told.left_out], [{ click: 1, seen: 2 }, {}], records().join("\n"));
    const [control] = freshrank("report", log, "--messages", messages).arms;
    assert.deepEqual([control.readers, control.messages, control.seen.count, control.clicks.count], [1, 1, 1, 1]);
    for (const word of ["anna", "2026-11-20/1"]) assert.ok(!said.includes(word), `${word} is in a log`);
  });

  it("sends nobody a message twice, and the same again after a crash", async () => {
    const again = await sent("first");
    assert.deepEqual([again.told, again.mails], [{ sent: 0, fallback: 0, before: 4, failed: 0 }, []]);
    const payloads = () => ["push.ndjson", "sms.ndjson"].map((name) => readFileSync(join(folder, "first", name), "utf8"));
    const written = payloads();
    for (const name of ["journal.ndjson", "push.ndjson", "sms.ndjson"]) rmSync(join(folder, "first", name));
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await sent("first");
    assert.deepEqual(payloads(), written, "the batch had its key, and the run its time");
  });

  it("answers one recipient's call as the recipe has it", async () => {
    const page = readFileSync(join(HERE, "README.md"), "utf8");
    const body = /```json\n([\s\S]+?)```/.exec(page)[1].replace("{{message_id}}", "m1").replace("{{freshrank_profile}}", profile(7));
    const headers = { Authorization: `Bearer ${RANK_KEY}`, "Content-Type": "application/json" };
    const response = await fetch(`${edge}/v1/rank`, { method: "POST", headers, body, signal: AbortSignal.timeout(2000) });
    const reply = await response.json();
    assert.equal(response.status, 200, JSON.stringify(reply));
    // This reader's profile knows no place: the template's other branch.
    assert.deepEqual([reply.id, reply.slots.length, reply.slots[0].card], ["m1", 3, undefined]);
    const wrong = await fetch(`${edge}/v1/rank`, { method: "POST", headers, body: body.replace(profile(7), "") });
    assert.equal((await wrong.json()).slots, undefined, "an error has no slots, so that the template's condition covers it");
  });

  it("has copy that needs no answer for whoever is not answered in time", async () => {
    const silent = createServer(() => {});
    await new Promise((resolve) => silent.listen(0, "127.0.0.1", resolve));
    const started = Date.now();
    const { told, warnings, mails, read } = await sent("late", { edge: `http://127.0.0.1:${silent.address().port}` });
    assert.ok(Date.now() - started < 3500, "nobody waits for it");
    silent.closeAllConnections();
    silent.close();
    assert.deepEqual([told.sent, told.fallback, mails.length], [4, 2, 2]);
    assert.equal(warnings.length, 2);
    assert.equal(read("push.ndjson")[0].title, "Lunch around you");
    assert.match(read("sms.ndjson")[0].text, /^Kaupunki: lunch is open around you\. .*\/s\/-$/);
    const strangers = RECIPIENTS.map((recipient) => ({ ...recipient, consent: false }));
    const bare = await sent("strangers", {}, strangers);
    assert.deepEqual([bare.told.sent, bare.told.fallback], [4, 2], "without consent nobody says where they are");
  });
});
