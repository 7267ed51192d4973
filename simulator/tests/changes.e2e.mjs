// A marketer asks what a draft changes, in a real Chromium: node simulator/tests/changes.e2e.mjs
//
// Wants Helsinki under target/demo/out (`cargo xtask demo --once`), the web package (`cargo xtask build web --lite`, or FRESHRANK_WEB), the
// binary in target/release, and the page's libraries in simulator/node_modules (or FRESHRANK_NODE_MODULES).

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { after, before, it } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const tools = createRequire(join(ROOT, "wasm/package.json"));
const [esbuild, { chromium }] = [tools("esbuild"), tools("playwright-core")];
const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-lite");
const LIBRARIES = process.env.FRESHRANK_NODE_MODULES ?? join(ROOT, "simulator/node_modules");
const [DEMO, REPORT] = [process.env.FRESHRANK_MARKET ?? join(ROOT, "target/demo/out"), join(ROOT, "target/report")];
const CLI = process.env.FRESHRANK_CLI ?? join(ROOT, "target/release/freshrank");
const PATH = "campaigns/lunch/fi/helsinki.yaml";
const N_READERS = 2000;
/** By how often merchants are shown, from 0. */
const SELDOM = 12;
const TRIAL = { share: 0.5, among: 3 };
/** Made-up clicks, drawn anew so often. */
const N_LOGS = 20;

const missing = [[DEMO, "cargo xtask demo --once"], [PACKAGE, "cargo xtask build web --lite"], [join(LIBRARIES, "react"), "npm ci in simulator/"], [CLI, "cargo build --release"]]
  .filter(([path]) => !existsSync(path)).map(([path, command]) => `${path} is not there: ${command}`);
const skip = missing.length > 0 ? missing.join("; ") : false;

/** A campaign's document as it would be published from a folder. */
function published(campaigns) {
  const out = join(mkdtempSync(join(tmpdir(), "published-")), "lunch.json");
  execFileSync(CLI, ["campaign", "publish", join(campaigns, "lunch"), "--out", out, "--author", "Aino", "--reason", "a test"], { stdio: "pipe" });
  return JSON.parse(readFileSync(out, "utf8"));
}

/** The folder of campaigns in a repository of its own. */
function repository() {
  const dir = mkdtempSync(join(tmpdir(), "campaigns-"));
  cpSync(join(ROOT, "campaigns"), join(dir, "campaigns"), { recursive: true });
  execFileSync("git", ["init", "--quiet"], { cwd: dir });
  return dir;
}

const profiles = () => readFileSync(join(DEMO, "profiles.ndjson"), "utf8").split("\n", N_READERS * 2).map((line) => JSON.parse(line));
const context = { at: "2026-10-23T09:00:00Z", mailbox: "gmail" };
const readers = () => profiles().map(({ user_id, profile }, seed) => ({ id: user_id, request: { profile, context: { ...context, seed } } }));
const { Engine } = skip ? {} : createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));

let [server, browser, page, given, exploring, gentle, folder, url] = [];
const timings = {};
const shots = (name, options = {}) => page.screenshot({ path: join(REPORT, `changes-${name}.png`), fullPage: true, ...options });

before(async () => {
  if (skip) return;
  mkdirSync(REPORT, { recursive: true });
  folder = repository();
  const old = readFileSync(join(folder, PATH), "utf8");
  const today = published(join(folder, "campaigns"));
  const areas = readdirSync(join(DEMO, "areas")).sort();
  const loud = loudest(today, areas);
  const draft = `${old}boosts:\n  - { id: harbour-week, merchant: "${loud.boosted}", factor: 1.5, sponsored: true }\nexclude: { append: ["${loud.most}"] }\n`;
  writeFileSync(join(folder, PATH), draft);
  given = {
    published: today, draft: published(join(folder, "campaigns")), readers: readers(), files: [{ path: PATH, before: old, after: draft }],
    areas: areas.filter((name) => name.endsWith(".area")).map((name) => `/areas/${name}`), displays: areas.filter((name) => name.endsWith(".display")).map((name) => `/areas/${name}`),
  };
  // One that takes out a merchant that few see: a campaign that tries things out learns enough about it.
  const little = draft.replace(`["${loud.most}"]`, `["${loud.seldom}"]`);
  writeFileSync(join(folder, PATH), little);
  gentle = { ...given, draft: published(join(folder, "campaigns")), files: [{ path: PATH, before: old, after: little }] };
  writeFileSync(join(folder, PATH), draft);
  // The same once more of a campaign that tries things out, so that a log of it can tell something.
  const global = join(folder, "campaigns/lunch/global.yaml");
  writeFileSync(global, `${readFileSync(global, "utf8")}explore: { share: 0.5, among: 4 }\n`);
  writeFileSync(join(folder, PATH), old);
  const sent = published(join(folder, "campaigns"));
  writeFileSync(join(folder, PATH), draft);
  exploring = { ...given, published: sent, draft: published(join(folder, "campaigns")) };
  const out = join(ROOT, "target/tmp/changes-page");
  rmSync(out, { recursive: true, force: true });
  const build = (entry, name) => esbuild.buildSync({
    entryPoints: { [name]: join(ROOT, "simulator", entry) }, outdir: out, bundle: true, format: "esm", target: "es2022", minify: true, nodePaths: [LIBRARIES],
    jsx: "automatic", define: { "process.env.NODE_ENV": '"production"' }, logLevel: "warning",
  });
  build("tests/changes-page.tsx", "page");
  build("src/changes/worker.ts", "worker");
  const types = { ".js": "text/javascript", ".wasm": "application/wasm", ".css": "text/css", ".json": "application/json", ".html": "text/html" };
  const html = '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>What changes</title><link rel="stylesheet" href="/page.css"></head><body><div id="root"></div><script type="module" src="/page.js"></script></body></html>';
  server = createServer((request, response) => {
    const { pathname: path, search } = new URL(request.url, "http://x");
    const places = { engine: join(PACKAGE, "web"), areas: join(DEMO, "areas") };
    const [, first, rest] = path.split("/");
    try {
      const body = path === "/" ? html : path === "/given.json" ? JSON.stringify({ "?exploring": exploring, "?gentle": gentle }[search] ?? given) : readFileSync(rest ? join(places[first], rest) : join(out, first));
      response.writeHead(200, { "content-type": path === "/" ? "text/html" : (types[extname(path)] ?? "application/octet-stream") }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  browser = await chromium.launch({ executablePath: process.env.FRESHRANK_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  page = await (await browser.newContext({ viewport: { width: 1120, height: 900 }, acceptDownloads: true })).newPage();
  page.on("pageerror", (error) => assert.fail(`the page threw: ${error.stack}`));
  url = `http://127.0.0.1:${server.address().port}/`;
  await page.goto(url);
});
after(async () => {
  await browser?.close();
  server?.close();
});

function engine(areas, campaigns) {
  const made = new Engine();
  for (const name of areas) made[name.endsWith(".area") ? "addArea" : "addDisplay"](readFileSync(join(DEMO, "areas", name)));
  for (const [id, campaign] of Object.entries(campaigns)) made.setCampaign(JSON.stringify({ ...campaign, id }));
  return made;
}

/** The merchant shown most, one that is shown now and then, and one that few see. */
function loudest(campaign, areas) {
  const made = engine(areas, { today: campaign });
  const counts = new Map();
  for (const { request } of readers().slice(0, 150)) {
    for (const { card } of JSON.parse(made.rank(JSON.stringify({ ...request, campaign: "today", display: true }))).slots) if (card) counts.set(card.merchant_id, (counts.get(card.merchant_id) ?? 0) + 1);
  }
  const names = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([name]) => name);
  return { most: names[0], boosted: names[Math.floor(names.length / 3)], seldom: names[SELDOM] };
}

const ask = async () => {
  await page.getByRole("button", { name: "See what changes" }).click();
  await page.getByRole("button", { name: "Cancel" }).waitFor();
};
const answered = () => page.getByRole("button", { name: "See what changes" }).waitFor({ timeout: 120_000 });

it("shows progress, lets go when told to, and says nothing then", { skip }, async () => {
  await ask();
  await page.waitForFunction(() => /^[1-9][0-9,]* of 2,000/.test(document.querySelector('[role="status"]')?.textContent ?? ""), null, { timeout: 60_000 });
  const text = await page.getByRole("status").textContent();
  await shots("progress");
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("button", { name: "See what changes" }).waitFor();
  assert.match(text, /of 2,000 readers ranked/);
  assert.equal(await page.getByTestId("headline").count(), 0);
});

it("compares thousands of readers in seconds, as the engine by itself counts them", { skip }, async () => {
  await ask();
  await answered();
  const [headline, speed] = [await page.getByTestId("headline").textContent(), await page.getByTestId("speed").textContent()];
  console.log(`  ${headline}\n  ${speed}`);
  const made = engine(given.areas.map((path) => path.slice(7)), { today: given.published, draft: given.draft });
  const sample = given.readers.slice(0, N_READERS);
  const merchants = (campaign, { request }) => JSON.parse(made.rank(JSON.stringify({ ...request, campaign }))).slots.map(({ merchant }) => merchant).join();
  const began = performance.now();
  const changed = sample.filter((reader) => merchants("today", reader) !== merchants("draft", reader)).length;
  timings.one_thread = (performance.now() - began) / 1000;
  assert.ok(changed > 20 && changed < N_READERS, `${changed} messages change: the draft of this test should change some and not all`);
  assert.ok(headline.includes(`${changed.toLocaleString("en")} of 2,000 sample readers`), `${headline}, where the engine counts ${changed}`);
  const seconds = Number(/in ([\d.]+) seconds/.exec(speed)[1]);
  console.log(`  both campaigns with all probabilities: ${seconds} s in the page; both rankings alone in Node, one thread: ${timings.one_thread.toFixed(1)} s`);
  assert.ok(seconds < 60, `${seconds} s for ${N_READERS} readers`);
  await shots("answer");
});

it("declines to say what nobody could have seen, and says why", { skip }, async () => {
  const text = await page.getByTestId("clicks").textContent();
  assert.match(text, /Simulated/i);
  assert.match(text, /could never have been shown .* tries nothing out/);
});

it("opens a most affected reader", { skip }, async () => {
  await page.getByTestId("affected").first().click();
  const id = await page.getByTestId("opened").textContent();
  assert.ok(given.readers.some((reader) => reader.id === id), id);
});

it("gives no interval where a few messages would decide, and says why", { skip }, async () => {
  await page.getByLabel("Clicks: today's campaign").selectOption("if 1 card in 2 were a try among 3");
  await ask();
  await answered();
  assert.match(await page.getByTestId("clicks").textContent(), /After weighing, the messages are worth \d+ \(at least 100|carry \d+ % of all weight/);
});

it("uses every estimator where all possible messages can be counted", { skip }, async () => {
  await page.getByLabel("Clicks: today's campaign").selectOption("the same among 2, counting every message (slower)");
  await page.getByLabel("Sample readers").selectOption("500");
  await ask();
  await answered();
  const details = page.locator("details");
  if (!(await details.evaluate((of) => of.open))) await page.getByText("How sure is that?").click();
  const rows = await page.getByTestId("clicks").getByRole("row").allTextContents();
  console.log(`  ${await page.getByTestId("speed").textContent()} ${rows.slice(1).join("; ")}`);
  assert.equal(rows.filter((row) => row.includes("too many possible messages")).length, 0, rows.join("; "));
});

it("saves a patch that gives the draft's very files, and a report of one page that loads nothing", { skip }, async () => {
  const saved = async (name) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
    return { name: download.suggestedFilename(), content: readFileSync(await download.path(), "utf8") };
  };
  const patch = await saved("Save the patch");
  assert.equal(patch.name, "lunch.patch");
  const fresh = repository();
  execFileSync("git", ["apply", "-"], { cwd: fresh, input: patch.content });
  assert.equal(readFileSync(join(fresh, PATH), "utf8"), given.files[0].after);
  assert.deepEqual(published(join(fresh, "campaigns")).layers, given.draft.layers);

  const report = await saved("Save the report");
  writeFileSync(join(REPORT, report.name), report.content);
  assert.doesNotMatch(report.content, /<script|<link|src=|url\(/i);
  assert.match(report.content, /<svg[^]*<svg/);
  for (const { id } of given.readers) assert.ok(!report.content.includes(id), `the report names reader ${id}`);
  const sheet = await browser.newPage({ viewport: { width: 800, height: 1120 } });
  await sheet.setContent(report.content);
  await sheet.screenshot({ path: join(REPORT, "changes-report.png"), fullPage: true });
  const pdf = await sheet.pdf({ preferCSSPageSize: true, printBackground: true });
  writeFileSync(join(REPORT, "lunch-what-changes.pdf"), pdf);
  assert.equal(pdf.toString("latin1").match(/\/Type\s*\/Page\b/g).length, 1, "the report has one page");
});

it("gives an interval where the campaign explores, and it holds the truth of the made-up clicks", { skip }, async () => {
  await page.goto(`${url}?gentle`);
  await page.getByLabel("Clicks: today's campaign").selectOption("if 1 card in 2 were a try among 3");
  await ask();
  await answered();
  await page.getByText("How sure is that?").click();
  const text = await page.getByTestId("clicks").textContent();
  console.log(`  ${await page.getByTestId("clicks-say").textContent()}`);
  await shots("clicks");
  const truth = Number(/the truth is known: ([\d,]+)/.exec(text)?.[1].replace(",", ""));
  const [, of, between] = await page.getByRole("row", { name: "doubly robust" }).getByRole("cell").allTextContents();
  const [low, high] = between.split(" to ").map(Number);
  console.log(`  doubly robust ${of} (${between}), the truth of the made-up clicks ${truth}`);
  assert.ok(low <= truth && truth <= high, `${truth} is not in ${between}`);
});

it("on real merchants intervals hold the truth of made-up clicks about as often as they say", { skip }, async () => {
  const bundle = join(ROOT, "target/tmp/changes-page/coverage.mjs");
  const entry = 'export { prepare, study } from "./study.js"; export { estimate_clicks } from "./estimate.js";';
  esbuild.buildSync({ stdin: { contents: entry, resolveDir: join(ROOT, "simulator/src/changes") }, outfile: bundle, bundle: true, platform: "node", format: "esm", target: "node20", logLevel: "warning" });
  const { prepare, study, estimate_clicks } = await import(bundle);
  const made = engine(readdirSync(join(DEMO, "areas")).sort(), {});
  prepare(made, gentle.published, gentle.draft, TRIAL);
  const pairs = gentle.readers.slice(0, N_READERS).map((reader) => study(made, { reader }, TRIAL));
  const told = Array.from({ length: N_LOGS }, (_, i) => estimate_clicks(pairs, { seed: i + 1, rounds: 300 }));
  const held = told.filter(({ declined, truth_per_thousand: truth, estimates }) => {
    assert.equal(declined, null);
    return estimates.dr.interval.low <= truth && truth <= estimates.dr.interval.high;
  }).length;
  console.log(`  doubly robust: 95 % intervals hold the truth in ${held} of ${N_LOGS} simulated logs`);
  assert.ok(held >= 0.8 * N_LOGS, `${held} of ${N_LOGS}`);
});

it("learns from a loaded log, and does not call its clicks simulated", { skip }, async () => {
  const made = engine(given.areas.map((path) => path.slice(7)), {});
  for (const name of readdirSync(join(DEMO, "areas")).filter((name) => name.endsWith(".display"))) made.addDisplay(readFileSync(join(DEMO, "areas", name)));
  made.setCampaign(JSON.stringify(exploring.published));
  const cards = JSON.parse(made.cards());
  const [log, list] = [[], ["message_id,user_id"]];
  exploring.readers.slice(0, 1500).forEach(({ id, request }, i) => {
    const message = createHash("sha256").update(`2026-10-23/${i}`).digest("hex").slice(0, 32);
    const { slots, at } = JSON.parse(made.chances(JSON.stringify({ ...request, campaign: "lunch" })));
    list.push(`2026-10-23/${i},${id}`);
    const told = slots.map(({ merchant, propensity, score }, slot) => ({ slot: slot + 1, merchant_id: cards[merchant]?.merchant_id, score, propensity }));
    log.push({ type: "decision", at, message, campaign: "lunch", market: "fi/helsinki", how: "seen", mailbox: "gmail", step: "full", seed: request.context.seed, versions: {}, slots: told });
    if (i % 7 === 0) log.push({ type: "click", at, message, campaign: "lunch", slot: 1 + (i % 3), mailbox: "gmail", scanner: i % 21 === 0, opened: "merchant" });
  });
  await page.goto(`${url}?exploring`);
  const file = (name, lines) => ({ name, mimeType: "text/plain", buffer: Buffer.from(lines.join("\n")) });
  const inputs = page.locator('input[type="file"]');
  await inputs.nth(0).setInputFiles(file("log.ndjson", log.map((record) => JSON.stringify(record))));
  await inputs.nth(1).setInputFiles(file("messages.csv", list));
  await page.getByLabel("Sample readers").selectOption("500");
  await ask();
  await answered();
  const text = await page.getByTestId("clicks").textContent();
  console.log(`  ${await page.getByTestId("clicks-say").textContent()}`);
  await shots("log");
  assert.doesNotMatch(text, /simulated/i);
  assert.match(text, /1,500 of the log's 1,500 messages are used; 100 % of them are to the letter what the engine would send/);
  assert.match(text, /72 clicks are a scanner's/);
  assert.match(text, /Today's messages get 95 clicks in 1,000/);
});

it("fits a phone", { skip }, async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  await shots("phone");
  assert.ok(wide <= 390, `${wide} px wide`);
});
