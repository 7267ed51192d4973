// A real mail in a real browser: MJML's HTML, its pictures from workerd with KV, static assets and Durable Objects, each compared with the
// card of the merchant that the decision's record names, and each clicked. Then the same mail under everything that mailboxes do and
// everything that breaks. Merchants and readers are fictional; who is open is asked of their own opening hours.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { fingerprintHex } from "./bytes.mjs";
import { PUBLISH_KEY, TOKEN_KEYS, startWorker } from "./workerd.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const CLI = process.env.FRESHRANK_CLI ?? join(ROOT, "target/release/freshrank");
const REPORT = join(ROOT, "target/report/mail");
const MODULE = process.env.FRESHRANK_OPEN_MODULE ?? "full";
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const FONTS = join(ROOT, "target/fonts");
const SKIP = !CHROMIUM ? "no Chromium: apt-get install chromium" : !existsSync(FONTS) && "no fonts in target/fonts: run `cargo xtask setup`";

const HOUR = 3600;
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
  { name: "after travel to New York", who: { agent: MAC, cf: at(NEW_YORK, VERIZON) }, clock: 19.5, least: 0.5 },
  { name: "a merchant paused in between", who: PERSON, clock: 12, least: 1, paused: true },
  { name: "KV does not answer", who: PERSON, clock: 12, least: 0, kv: "fails" },
  { name: "KV is slow", who: PERSON, clock: 12, least: 0, kv: "hangs" },
  { name: "the ledger is down", who: PERSON, clock: 12, least: 1, ledger: "Fails" },
  { name: "there is no ledger", who: PERSON, clock: 12, least: 1, ledger: false },
  { name: "the campaign is damaged", who: PERSON, clock: 12, least: 0, damaged: "campaign/lunch" },
];

describe("a mail in a browser", { skip: SKIP }, () => {
  const dir = mkdtempSync(join(tmpdir(), "freshrank-mail-"));
  const cards = join(dir, "cards");
  /** File of a card -> its bytes; merchant's folder -> who it is. */
  const files = new Map();
  const merchants = new Map();
  const figures = [];
  let browser, mail, profile, noon;

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
    profile = readers.find(({ user_id }) => user_id === "fictional-00")?.profile ?? readers[0].profile;
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
    const options = { cwd: ROOT, encoding: "utf8", env: { ...process.env, FRESHRANK_READER_SECRET: "of the tests" } };
    return execFileSync(CLI, args, options);
  }

  /** A Worker with everything published, whose clock shows this hour in Helsinki. */
  async function edge({ clock, kv, ledger = true, damaged }) {
    const ahead = (hour) => String(noon + (hour - 12) * HOUR - Math.floor(Date.now() / 1000));
    const vars = { LINK_HOSTS: "shop.example", LINK_TEMPLATE: "https://shop.example/m/{merchant_id}", LINK_HOME: "https://shop.example/" };
    const worker = await startWorker({ module: MODULE, cards, ledger, flaky: kv !== undefined, vars: { ...vars, CLOCK_AHEAD_SECONDS: ahead(clock) } });
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
    await put("/v1/campaigns/lunch", readFileSync(join(dir, "lunch.json")));
    if (damaged) await (await worker.kv()).put(damaged, "damaged");
    if (damaged || kv) await worker.restart();
    if (kv) await worker.setKv(kv);
    return { ...worker, url: worker.url, set: (hour) => worker.restart({ CLOCK_AHEAD_SECONDS: ahead(hour) }), log: worker.log };
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

  /** Clicks a slot's picture and tells where it ends. */
  async function click({ context, page }, slot) {
    const [opened] = await Promise.all([context.waitForEvent("page"), page.locator(".card a").nth(slot - 1).click()]);
    await opened.waitForLoadState();
    const url = opened.url();
    const links = await opened.$$eval("a", (all) => all.map((a) => a.href));
    await opened.close();
    return { url, links };
  }

  const token = (name, market = "fi/helsinki") =>
    JSON.parse(
      execFileSync(CLI, ["token", "mint", "--json"], {
        input: JSON.stringify({ campaign: "lunch", market, slots: SLOTS, consent: true, message_id: name, profile }),
        env: { ...process.env, FRESHRANK_TOKEN_KEYS: TOKEN_KEYS },
        encoding: "utf8",
      }),
    ).token;

  for (const scenario of SCENARIOS) {
    const { name, least, most = 1 } = scenario;
    it(`${name}: at least ${100 * least} % of the slots show a merchant that is open`, async (t) => {
      const worker = await edge(scenario);
      try {
        if ((await worker.fetch("/o/none/1.png")).status === 404) return t.skip("this Worker answers no /o/");
        let html = await mail({ origin: worker.url, token: token(name), slots: SLOTS, unsubscribe: "https://shop.example/unsubscribe" });
        let closed = [];
        if (scenario.paused) {
          const seen = await open(worker, html, scenario, `${name} before`);
          const { id } = merchants.get(seen.shown[0].split("/")[0]);
          closed = [id];
          const body = JSON.stringify({ closures: [{ merchant_id: id, closure: "paused" }] });
          const response = await worker.fetch("/v1/availability", { method: "PUT", headers: { Authorization: `Bearer ${PUBLISH_KEY}` }, body });
          await seen.context.close();
          if (response.status === 404) return t.skip("this Worker has no PUT /v1/availability");
          assert.ok(response.ok, await response.text());
          // Past the freeze window, in an isolate that asks anew.
          await worker.set(scenario.clock + 1);
        }
        let seen = await open(worker, html, scenario, name);
        let hour = scenario.clock;
        if (scenario.then) {
          // What was fetched ahead never changes again: the reader sees it an hour later, and a click must still lead there.
          await seen.context.close();
          hour = scenario.then.clock;
        }
        const city = name.includes("New York") ? "America/New_York" : "Europe/Helsinki";
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
        if (scenario.then) return;
        await seen.context.route("https://shop.example/**", (route) => route.fulfill({ body: "<p>shop</p>", contentType: "text/html" }));
        for (const [i, file] of seen.shown.entries()) {
          const { url, links } = await click(seen, i + 1);
          const merchant = merchants.get(file.split("/")[0]);
          if (scenario.ledger !== undefined || scenario.kv || scenario.damaged || !merchant) {
            // Nobody remembers what was shown: a list, or the shop's own page, and never an error.
            const known = [...merchants.values()].map(({ id }) => `https://shop.example/m/${id}`);
            assert.ok([url, ...links].some((link) => link.startsWith("https://shop.example/") || known.includes(link)) || url.startsWith(worker.url), url);
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
