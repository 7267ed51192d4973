// A real mail in a real browser: MJML's HTML, its pictures from workerd with KV, static assets and Durable Objects, each compared with the
// card of the merchant that the decision's record names, and each clicked. Then the same mail under everything that mailboxes do and
// everything that breaks. Merchants and readers are fictional; who is open is asked of their own opening hours.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { fingerprintHex } from "./bytes.mjs";
import * as workerd from "./workerd.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const CLI = process.env.FRESHRANK_CLI ?? join(ROOT, "target/release/freshrank");
const REPORT = join(ROOT, "target/report/mail");
const MODULE = process.env.FRESHRANK_OPEN_MODULE ?? "full";
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const FONTS = join(ROOT, "target/fonts");
const SKIP = !CHROMIUM ? "no Chromium: apt-get install chromium" : !existsSync(FONTS) && "no fonts in target/fonts: run `cargo xtask setup`";

const HOUR = 3600;
/** Of the readers' ids, and one of them. */
const SECRET = "of the tests";
const READER = "fictional-00";
const UNSUBSCRIBE = "https://shop.example/unsubscribe";
const SLOTS = 4;
const CITIES = [
  { tables: "tests/corner/kamppi", market: "fi/helsinki", latitude: "60.1685", longitude: "24.9316", country: "FI", city: "Helsinki", timezone: "Europe/Helsinki" },
  { tables: "tests/corner/new-york", market: "us/ny/nyc", latitude: "40.7615", longitude: "-73.9890", country: "US", regionCode: "NY", city: "New York", timezone: "America/New_York" },
];
const [HELSINKI, NEW_YORK] = CITIES;
const at = ({ latitude, longitude, country, city, timezone, regionCode }, network) => ({ latitude, longitude, country, city, timezone, ...(regionCode && { regionCode }), ...network });
const TELIA = { asn: 1759, asOrganization: "Telia Finland Oyj" };
const VERIZON = { asn: 701, asOrganization: "Verizon Business" };
const MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15";
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1";
const PERSON = { agent: MAC, cf: at(HELSINKI, TELIA) };
const GMAIL = {
  agent: "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
  cf: { asn: 15169, asOrganization: "Google LLC", country: "US", latitude: "37.4", longitude: "-122.1" },
};
const APPLE = { agent: "Mozilla/5.0", cf: at(HELSINKI, { asn: 714, asOrganization: "Apple Inc." }) };
const DESKTOP = { width: 720, height: 900 };
const PHONE = { width: 375, height: 812 };

/**
 * What is tried. `clock` is the local time of Helsinki; `least` the share of slots that must show a merchant which is open then and takes
 * orders, `most` what it cannot be above. `before` happens once the mail was seen at noon, in the state that the scenario starts from.
 */
const SCENARIOS = [
  { name: "noon", who: PERSON, clock: 12, least: 1 },
  { name: "noon in the dark", who: PERSON, clock: 12, least: 1, theme: "dark" },
  { name: "noon on a phone", who: { ...PERSON, agent: IPHONE }, clock: 12, least: 1, view: PHONE, density: 2 },
  { name: "noon on a phone in the dark", who: { ...PERSON, agent: IPHONE }, clock: 12, least: 1, view: PHONE, density: 2, theme: "dark" },
  { name: "Gmail's proxy", who: GMAIL, clock: 12, least: 1 },
  { name: "Apple's prefetch an hour early", who: APPLE, clock: 11, least: 1, then: { who: { ...PERSON, agent: MAC }, clock: 12 } },
  { name: "four in the morning", who: PERSON, clock: 28, least: 0, most: 0 },
  // A network far away may be a detour: alone it moves nobody.
  { name: "through a network of New York", who: { agent: MAC, cf: at(NEW_YORK, VERIZON) }, clock: 19.5, least: 1 },
  { name: "after a trip to another city", who: { agent: MAC, cf: at(NEW_YORK, VERIZON) }, clock: 19.5, least: 1, trip: 1 },
  { name: "a merchant paused in between", who: PERSON, clock: 12, least: 1, paused: true },
  { name: "KV fails an isolate that has read it", who: PERSON, clock: 12, least: 1, kv: "fails", warm: true },
  { name: "KV hangs for an isolate that has read it", who: PERSON, clock: 12, least: 1, kv: "hangs", warm: true },
  // Nothing is at hand then: the deployment's own card.
  { name: "KV fails a fresh isolate", who: PERSON, clock: 12, least: 0, kv: "fails" },
  { name: "KV hangs for a fresh isolate", who: PERSON, clock: 12, least: 0, kv: "hangs" },
  { name: "the ledger is down", who: PERSON, clock: 12, least: 1, ledger: "Fails" },
  { name: "the ledger hangs", who: PERSON, clock: 12, least: 1, ledger: "Hangs" },
  { name: "the model is damaged", who: PERSON, clock: 12, least: 1, model: "damaged" },
  { name: "the campaign is damaged, and there is none before it", who: PERSON, clock: 12, least: 0, damaged: "campaign/lunch" },
  { name: "the campaign is damaged, and the version before it is kept", who: PERSON, clock: 12, least: 1, damaged: "campaign/lunch", republished: true },
];

describe("a mail in a browser", { skip: SKIP }, () => {
  const dir = mkdtempSync(join(tmpdir(), "freshrank-mail-"));
  const cards = join(dir, "cards");
  /** File of a card -> its bytes; merchant's folder -> who it is. */
  const files = new Map();
  const merchants = new Map();
  const figures = [];
  let browser;
  let mail;
  let profile;
  let noon;

  before(async () => {
    // The next noon in Helsinki that is an hour ahead: the mail was sent by now.
    const local = (time) => new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Helsinki", hour: "2-digit", hour12: false }).format(time);
    noon = Math.ceil(Date.now() / 1000 / HOUR) * HOUR + HOUR;
    while (local(noon * 1000) !== "12") noon += HOUR;
    for (const [i, { tables, market }] of CITIES.entries()) {
      const out = join(dir, String(i));
      run(["build", "--tables", tables, "--as-of", rfc3339(Date.now() / 1000), "--market", market, "--out", out]);
      run(["cards", "--bundles", out, "--out", cards, "--fonts", FONTS, "--json"]);
      for (const line of readFileSync(join(ROOT, tables, "merchants.csv"), "utf8").trim().split("\n").slice(1)) {
        const fields = line.split(",");
        merchants.set(fingerprintHex(fields[0]), { id: fields[0], hours: fields[12] });
      }
    }
    run(["campaign", "publish", "campaigns/lunch", "--out", join(dir, "lunch.json")]);
    for (const path of walk(cards)) files.set(readFileSync(path).toString("base64"), relative(cards, path));
    const readers = readFileSync(join(dir, "0/profiles.ndjson"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
    profile = readers.find(({ user_id }) => user_id === READER).profile;
    ({ mail } = await import(join(ROOT, "mail/build.mjs")));
    const { chromium } = createRequire(join(ROOT, "wasm/package.json"))("playwright-core");
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox"] });
    mkdirSync(REPORT, { recursive: true });
  });

  after(async () => {
    await browser?.close();
    rmSync(dir, { recursive: true, force: true });
    if (figures.length > 0) writeFileSync(join(ROOT, "target/report/mail.json"), `${JSON.stringify(figures, null, 2)}\n`);
    for (const { name, value, target } of figures) console.log(`${name}: ${value} of the slots, at least ${target}`);
  });

  function run(args) {
    const options = { cwd: ROOT, encoding: "utf8", env: { ...process.env, FRESHRANK_READER_SECRET: SECRET } };
    return execFileSync(CLI, args, options);
  }

  /** A Worker with everything published, whose clock shows this hour in Helsinki. */
  async function edge({ clock, kv, warm = false, ledger = true, model, damaged, republished = false }) {
    const ahead = (hour) => String(noon + (hour - 12) * HOUR - Math.floor(Date.now() / 1000));
    const vars = { LINK_HOSTS: "shop.example", LINK_TEMPLATE: "https://shop.example/m/{merchant_id}", LINK_HOME: "https://shop.example/" };
    const options = { module: MODULE, cards, ledger, ...(model && { patch: damagePlan }) };
    const worker = await workerd.startWorker({ ...options, flaky: kv !== undefined, vars: { ...vars, CLOCK_AHEAD_SECONDS: ahead(clock) } });
    const put = async (path, bytes) => {
      const response = await worker.put(path, bytes);
      assert.equal(response.status, 200, await response.text());
    };
    for (const i of CITIES.keys()) {
      const areas = join(dir, String(i), "areas");
      for (const kind of ["area", "display"]) {
        for (const file of readdirSync(areas).filter((name) => name.endsWith(kind))) {
          await put(`/v1/areas/${file.split(".")[0]}${kind === "display" ? "/display" : ""}`, readFileSync(join(areas, file)));
        }
      }
    }
    const lunch = readFileSync(join(dir, "lunch.json"), "utf8");
    await put("/v1/campaigns/lunch", lunch);
    if (republished) {
      // What is damaged is the version after it.
      const { layers, ...rest } = JSON.parse(lunch);
      await put("/v1/campaigns/lunch", JSON.stringify({ ...rest, layers: { ...layers, global: { ...layers.global, title: "Dinner" } } }));
    }
    if (damaged) await (await worker.kv()).put(damaged, "damaged");
    if (damaged || (kv && !warm)) await worker.restart();
    if (warm) {
      const headers = { "User-Agent": PERSON.agent, "MF-CF-Blob": JSON.stringify(PERSON.cf) };
      const response = await worker.fetch(`/o/${token("somebody else's")}/1.png`, { headers });
      assert.ok(files.get(Buffer.from(await response.arrayBuffer()).toString("base64")).includes("/"), "seen while all was well");
    }
    if (kv) await worker.setKv(kv);
    return { ...worker, url: () => worker.url, set: (hour) => worker.restart({ CLOCK_AHEAD_SECONDS: ahead(hour) }), log: worker.log };
  }

  /** Opens a mail as somebody, and tells what its pictures are; `shot` is a picture of the whole message. */
  async function open(worker, html, { who, theme = "light", view = DESKTOP, density = 1 }, name) {
    const context = await browser.newContext({
      userAgent: who.agent,
      colorScheme: theme,
      viewport: view,
      deviceScaleFactor: density,
      extraHTTPHeaders: { "MF-CF-Blob": JSON.stringify(who.cf) },
    });
    const page = await context.newPage();
    const seen = new Map();
    page.on("response", (response) => {
      if (new URL(response.url()).pathname.startsWith("/o/")) seen.set(response.url(), response.body().then((body) => ({ response, body })));
    });
    await page.setContent(html, { waitUntil: "load", timeout: 30_000 });
    const sources = await page.$$eval("img", (images) => images.map(({ currentSrc, naturalWidth, alt }) => ({ currentSrc, naturalWidth, alt })));
    assert.equal(sources.length, SLOTS);
    const ending = `${density === 2 ? "@2x" : ""}${theme === "dark" ? "-dark" : ""}.png`;
    const shown = [];
    for (const [i, { currentSrc, naturalWidth, alt }] of sources.entries()) {
      assert.ok(currentSrc.endsWith(`/${i + 1}${ending}`), `slot ${i + 1} took ${currentSrc.slice(-20)}, expected ${ending}`);
      assert.equal(alt, `Pick ${i + 1} of ${SLOTS}: tap to see it`);
      const { response, body } = await seen.get(currentSrc);
      assert.equal(response.status(), 200);
      assert.equal(response.headers()["content-type"], "image/png");
      assert.ok(naturalWidth > 0, `slot ${i + 1} cannot be decoded`);
      const file = files.get(body.toString("base64"));
      shown.push({ file: file ?? "the last resort", body });
      if (file) assert.ok(file.includes("/") ? file.endsWith(ending) : file === `fallback${ending}`, `${file} for ${ending}`);
    }
    const shot = await page.screenshot({ fullPage: true, path: join(REPORT, `${name.replaceAll(/\W+/g, "-")}.png`) });
    // The same message with the cards' own files in it must be the same to the pixel.
    let offline = html.replaceAll(/<source[^>]*>/g, "");
    for (const [i, { file, body }] of shown.entries()) {
      const bytes = file === "the last resort" ? body : readFileSync(join(cards, file));
      const uri = `data:image/png;base64,${bytes.toString("base64")}`;
      const image = new RegExp(`<img src="[^"]*/${i + 1}\\.png" srcset="[^"]*"`);
      assert.match(offline, image);
      offline = offline.replace(image, () => `<img src="${uri}"`);
    }
    const plain = await context.newPage();
    await plain.setContent(offline, { waitUntil: "load" });
    assert.ok((await plain.screenshot({ fullPage: true })).equals(shot), "the pictures in the mail are not the cards of these merchants");
    await plain.close();
    return { context, page, shown: shown.map(({ file }) => file) };
  }

  /** Clicks a slot's picture and tells where it ends; the shop is nowhere, so that its address is the answer. */
  async function click({ context, page }, slot) {
    let shop;
    const asked = (request) => new URL(request.url()).hostname === "shop.example" && (shop ??= request.url());
    context.on("request", asked);
    const [opened] = await Promise.all([context.waitForEvent("page"), page.locator(".card a").nth(slot - 1).click()]);
    await opened.waitForLoadState().catch(() => {});
    for (let tries = 0; tries < 50 && !shop && !opened.url().startsWith("http"); tries += 1) await opened.waitForTimeout(20);
    const links = shop ? [] : await opened.$$eval("a", (all) => all.map((a) => a.href));
    const url = shop ?? opened.url();
    context.off("request", asked);
    await opened.close();
    return { url, links };
  }

  /** The areas of a city. */
  const cellsOf = (city) => readdirSync(join(dir, String(city), "areas")).filter((file) => file.endsWith(".area")).map((file) => file.split(".")[0]);

  const token = (name, market = "fi/helsinki") =>
    JSON.parse(
      execFileSync(CLI, ["token", "mint", "--json"], {
        input: JSON.stringify({ campaign: "lunch", market, slots: SLOTS, consent: true, message_id: name, profile }),
        env: { ...process.env, FRESHRANK_TOKEN_KEYS: workerd.TOKEN_KEYS },
        encoding: "utf8",
      }),
    ).token;

  for (const scenario of SCENARIOS) {
    const { name, least, most = 1 } = scenario;
    it(`${name}: at least ${100 * least} % of the slots show a merchant that is open`, async () => {
      const worker = await edge(scenario);
      try {
        const sealed = token(name);
        let hour = scenario.clock;
        let html = await mail({ origin: worker.url(), token: sealed, slots: SLOTS, unsubscribe: UNSUBSCRIBE });
        let [closed, earlier] = [[], null];
        if (scenario.trip) {
          // Five minutes ago on the edge's clock.
          const { latitude, longitude } = CITIES[scenario.trip];
          const told = { kind: "trip_end", at: rfc3339(noon + (scenario.clock - 12) * HOUR - 300), latitude: Number(latitude), longitude: Number(longitude) };
          const reader = createHmac("sha256", SECRET).update(READER).digest("hex").slice(0, 16);
          const body = JSON.stringify({ reader, consent: true, ...told });
          const response = await worker.fetch("/v1/events", { method: "POST", headers: { Authorization: `Bearer ${workerd.EVENTS_KEY}` }, body });
          assert.ok(response.ok, await response.text());
        }
        if (scenario.paused) {
          const seen = await open(worker, html, scenario, `${name} before`);
          earlier = seen.shown.map((file) => file.split("/")[0]);
          const { id } = merchants.get(earlier[0]);
          closed = [id];
          const body = JSON.stringify({ closures: [{ merchant_id: id, closure: "paused" }] });
          const response = await worker.fetch("/v1/availability", { method: "PUT", headers: { Authorization: `Bearer ${workerd.PUBLISH_KEY}` }, body });
          await seen.context.close();
          assert.ok(response.ok, await response.text());
          // Past the freeze window, in an isolate that asks anew.
          await worker.set(scenario.clock + 1);
          hour = scenario.clock + 1;
          html = await mail({ origin: worker.url(), token: sealed, slots: SLOTS, unsubscribe: UNSUBSCRIBE });
        }
        const seen = await open(worker, html, scenario, name);
        if (scenario.then) {
          // What was fetched ahead never changes again: the reader sees it an hour later, open still, and a click must lead there.
          await seen.context.close();
          hour = scenario.then.clock;
        }
        const { timezone: city } = CITIES[scenario.trip ?? 0];
        const open_ = (file) => {
          const merchant = merchants.get(file.split("/")[0]);
          return merchant && isOpen(merchant.hours, noon + (hour - 12) * HOUR, city) && !closed.includes(merchant.id);
        };
        const filled = seen.shown.filter((file) => open_(file)).length / SLOTS;
        figures.push({ name: `mail, ${name}`, target: least, value: filled, unit: "share of slots filled by open merchants" });
        assert.ok(filled >= least && filled <= most, `${filled} of the slots filled: ${seen.shown.join(", ")}`);
        for (const file of seen.shown.filter((file) => file.includes("/"))) assert.ok(open_(file), `${file} is closed`);
        const shops = seen.shown.filter((file) => file.includes("/"));
        assert.equal(new Set(shops.map((file) => file.split("/")[0])).size, shops.length, "no merchant twice");
        const whole = scenario.ledger === undefined && !scenario.kv && (!scenario.damaged || scenario.republished === true);
        if (whole) {
          const shown = seen.shown.map((file) => merchants.get(file.split("/")[0])?.id ?? "-");
          const cells = cellsOf(scenario.trip ?? 0);
          assert.ok(await wrote(worker, shown, cells), `no record of a decision for ${shown.join(", ")}:\n${worker.log()}`);
        }
        if (scenario.then) {
          await worker.set(hour);
          const headers = { "User-Agent": scenario.then.who.agent, "MF-CF-Blob": JSON.stringify(scenario.then.who.cf) };
          for (const [i, file] of seen.shown.entries()) {
            const response = await worker.fetch(`/c/${sealed}/${i + 1}`, { redirect: "manual", headers });
            assert.equal(response.headers.get("location"), `https://shop.example/m/${merchants.get(file.split("/")[0]).id}`);
          }
          return;
        }
        for (const [i, file] of seen.shown.entries()) {
          const { url, links } = await click(seen, i + 1);
          const merchant = merchants.get(file.split("/")[0]);
          if (!whole || !merchant) {
            // Nobody remembers what was shown: a list, or the shop's own page, and never an error.
            const known = [...merchants.values()].map(({ id }) => `https://shop.example/m/${id}`);
            assert.ok([url, ...links].some((link) => link.startsWith("https://shop.example/") || known.includes(link)) || url.startsWith(worker.url()), url);
          } else if (earlier && earlier[i] !== file.split("/")[0]) {
            // The slot has shown two merchants by now: a page names both, headed by the one shown last.
            assert.equal(links.length, 2, `${url}: ${links.join(", ")}`);
            const first = await fetch(links[0], { redirect: "manual" });
            assert.equal(first.headers.get("location"), `https://shop.example/m/${merchant.id}`, `slot ${i + 1} showed ${merchant.id} last`);
          } else {
            assert.equal(url, `https://shop.example/m/${merchant.id}`, `slot ${i + 1} showed ${merchant.id}`);
          }
        }
        await seen.context.close();
      } finally {
        assert.doesNotMatch(worker.log(), /Critical|panicked/, "no request may panic");
        await worker.stop();
      }
    });
  }
});

/** A module whose plan has one wrong bit, which its checksum tells. */
function damagePlan(wasm) {
  const plan = readFileSync(join(ROOT, "models/ltr.plan"));
  const at = wasm.indexOf(plan.subarray(0, 64));
  assert.ok(at > 0, "the module carries the plan");
  wasm[at + 63] ^= 1;
  return wasm;
}

/** Whether a Worker wrote down a decision for just these merchants in one of these areas; a record is written after its pictures. */
async function wrote(worker, shown, cells) {
  for (let tries = 0; tries < 30; tries += 1) {
    const records = [...worker.log().matchAll(/freshrank-record (\{.*\})/g)].map(([, line]) => JSON.parse(line));
    const decisions = records.filter(({ type }) => type === "decision");
    const told = ({ slots }) => shown.every((id, i) => (slots.find(({ slot }) => slot === i + 1)?.merchant_id ?? "-") === id);
    if (decisions.some((decision) => told(decision) && cells.includes(decision.cell))) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

/** Whether hours like `Mo-Fr 10:30-20:00`, as the corners' tables have them, hold a time. */
function isOpen(hours, seconds, timeZone) {
  const names = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone, weekday: "short", hour: "2-digit", minute: "2-digit", hour12: false }).formatToParts(seconds * 1000);
  const part = (type) => parts.find((one) => one.type === type).value;
  const today = names.indexOf(part("weekday").slice(0, 2));
  const now = 60 * (Number(part("hour")) % 24) + Number(part("minute"));
  return hours.split(";").some((rule) => {
    const [, from, to, h1, m1, h2, m2] = rule.trim().match(/^(\w\w)-(\w\w) (\d\d):(\d\d)-(\d\d):(\d\d)$/);
    const opens = 60 * h1 + Number(m1);
    const closes = 60 * h2 + Number(m2) + (60 * h2 + Number(m2) <= opens ? 1440 : 0);
    const holds = (day) => (day - names.indexOf(from) + 7) % 7 <= (names.indexOf(to) - names.indexOf(from) + 7) % 7;
    return (holds(today) && opens <= now && now < closes) || (holds((today + 6) % 7) && now + 1440 < closes);
  });
}

function walk(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

function rfc3339(seconds) {
  return new Date(1000 * Math.floor(seconds)).toISOString().replace(".000Z", "Z");
}
