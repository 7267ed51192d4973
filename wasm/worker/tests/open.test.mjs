// A mail's pictures and links under workerd, with real KV, static assets and Durable Objects: whatever is broken there is a picture, the
// pictures of one open show one decision, and a click opens what its picture showed.

import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { HELSINKI, area, display, fingerprintHex, hash, png, profile } from "./bytes.mjs";
import { RANK_KEY, TOKEN_KEYS, startWorker } from "./workerd.mjs";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const PACKAGE = process.env.FRESHRANK_WEB ?? join(ROOT, "target/modules/web-full");
const { mintToken } = createRequire(import.meta.url)(join(PACKAGE, "nodejs/freshrank.js"));
const MODULE = process.env.FRESHRANK_OPEN_MODULE ?? "full";

const { cell } = HELSINKI;
const HOUR = 3600;
const N = 12;
const MERCHANTS = Array.from({ length: N }, (_, i) => ({ id: `m${i}`, north_km: 0.1 * (i + 1), popularity: N - i }));
const url = (id) => `https://shop.example/${id}`;
const CARDS = MERCHANTS.map(({ id }) => ({ id, name: `The ${id}`, url: url(id) }));
const AREA = area(MERCHANTS);
const LUNCH = { id: "lunch", layers: { global: { slots: 6, title: "Lunch", chain_cap: 24, cuisine_cap: 24 } } };

const AGENTS = {
  iphone: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
  gmail: "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
  yahoo: "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
  apple: "Mozilla/5.0",
  curl: "curl/8.7.1",
};
const NETWORKS = {
  home: { asn: 1759, asOrganization: "Telia Finland Oyj", country: "FI", regionCode: "18", city: "Helsinki", latitude: "60.1719", longitude: "24.9347", timezone: "Europe/Helsinki" },
  google: { asn: 15169, asOrganization: "Google LLC", country: "US", latitude: "37.4", longitude: "-122.1" },
  yahoo: { asn: 36647, asOrganization: "Yahoo Holdings Inc.", country: "US" },
  apple: { asn: 714, asOrganization: "Apple Inc.", country: "FI", latitude: "60.1719", longitude: "24.9347" },
};
const PERSON = { agent: AGENTS.iphone, cf: NETWORKS.home };
const GMAIL = { agent: AGENTS.gmail, cf: NETWORKS.google };
const YAHOO = { agent: AGENTS.yahoo, cf: NETWORKS.yahoo };
const APPLE = { agent: AGENTS.apple, cf: NETWORKS.apple };
const SCANNER = { agent: AGENTS.curl, cf: NETWORKS.home };

const rfc3339 = (seconds) => new Date(1000 * Math.floor(Date.now() / 1000 + seconds)).toISOString().replace(".000Z", "Z");
let minted = 0;
/** A token minted an hour ago. */
function mint(request = {}) {
  minted += 1;
  const asked = { campaign: "lunch", market: "fi/helsinki", slots: 6, consent: true, message_id: `message ${minted}`, minted_at: rfc3339(-HOUR), ...request };
  return JSON.parse(mintToken(TOKEN_KEYS, JSON.stringify(asked))).token;
}

/** The folder of cards, and which merchant a picture is of. */
function folder() {
  const dir = mkdtempSync(join(tmpdir(), "freshrank-cards-"));
  const shows = new Map();
  const write = (path, shown) => {
    const bytes = png(path);
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), bytes);
    shows.set(bytes.toString("base64"), shown);
  };
  for (const ending of ["", "@2x", "-dark", "@2x-dark"]) {
    write(`fallback${ending}.png`, "-");
    for (const { id } of MERCHANTS) write(`${fingerprintHex(id)}/none${ending}.png`, id);
  }
  return { dir, shows };
}

const PNG = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const IEND = Buffer.from("\0\0\0\0IEND\xaeB`\x82", "latin1");

/** A mail with one token in somebody's mailbox. */
function mailbox(worker, shows) {
  const ask = (path, { agent, cf } = {}, init = {}) =>
    worker.fetch(path, {
      redirect: "manual",
      ...init,
      headers: { "User-Agent": agent ?? "", ...(cf !== undefined && { "MF-CF-Blob": JSON.stringify(cf) }), ...init.headers },
    });
  /** Which merchant a picture shows: `-` for the deployment's card, `!` for the last resort. Anything but a picture fails. */
  const see = async (token, name, who = PERSON) => {
    const response = await ask(`/o/${token}/${name}`, who);
    const bytes = Buffer.from(await response.arrayBuffer());
    assert.equal(response.status, 200, `${name}: ${bytes}`);
    assert.equal(response.headers.get("content-type"), "image/png");
    assert.equal(response.headers.get("cache-control"), "private, no-store");
    assert.ok(bytes.subarray(0, 8).equals(PNG) && bytes.subarray(-12).equals(IEND), `${name}: ${bytes.length} bytes are no PNG`);
    return shows.get(bytes.toString("base64")) ?? "!";
  };
  const all = (token, who, slots = 6, ending = "") => Promise.all(Array.from({ length: slots }, (_, i) => see(token, `${i + 1}${ending}.png`, who)));
  /** Where a click goes: an address, or the text of a page. */
  const click = async (token, slot, who = PERSON, init = {}) => {
    const response = await ask(`/c/${token}/${slot}`, who, init);
    const body = await response.text();
    assert.equal(response.headers.get("referrer-policy"), "no-referrer");
    assert.equal(response.headers.get("cache-control"), "private, no-store");
    if (response.status === 302) return response.headers.get("location");
    assert.equal(response.status, 200, body);
    assert.match(response.headers.get("content-type"), /^text\/html/);
    return body;
  };
  return { ask, see, all, click };
}

const links = (page) => [...page.matchAll(/<a href="([^"]*)"/g)].map(([, href]) => href);
/** The records that a worker wrote, of a message or of all. */
const records = (worker) => [...worker.log().matchAll(/freshrank-record (\{.*\})/g)].map(([, line]) => JSON.parse(line));
async function eventually(check, tries = 40) {
  for (;;) {
    try {
      return check();
    } catch (error) {
      if ((tries -= 1) === 0) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function publish(worker, { merchants = AREA, cards = CARDS, campaign = LUNCH } = {}) {
  for (const [path, bytes] of [
    [`/v1/areas/${cell}`, merchants],
    [`/v1/areas/${cell}/display`, display(merchants, cards)],
    [`/v1/campaigns/${campaign.id}`, JSON.stringify(campaign)],
  ]) {
    const response = await worker.put(path, bytes);
    assert.equal(response.status, 200, await response.text());
  }
}

const VARS = { LINK_HOSTS: "shop.example" };
const { dir, shows } = folder();
after(() => rmSync(dir, { recursive: true }));
const start = (options = {}) => startWorker({ module: MODULE, cards: dir, ...options, vars: { ...VARS, ...options.vars } });

describe("a mail's pictures", () => {
  let worker;
  let mail;
  before(async () => {
    worker = await start();
    mail = mailbox(worker, shows);
    await publish(worker);
  });
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/, "no request may panic");
    await worker.stop();
  });

  it("show merchants that deliver to the reader, each once", async () => {
    const seen = await mail.all(mint(), PERSON);
    assert.ok(seen.every((id) => MERCHANTS.some((merchant) => merchant.id === id)), `${seen}`);
    assert.equal(new Set(seen).size, 6, `${seen}`);
  });

  it("come in two densities, light and dark, however a proxy escapes their names", async () => {
    const token = mint();
    const seen = await mail.all(token, PERSON);
    for (const ending of ["@2x", "-dark", "@2x-dark", "%402x-dark"]) assert.deepEqual(await mail.all(token, PERSON, 6, ending), seen, ending);
  });

  it("show the deployment's card for what is no token, no slot, or over", async () => {
    const token = mint();
    const expired = mint({ minted_at: rfc3339(-2 * HOUR), expires_at: rfc3339(-HOUR) });
    const flipped = Buffer.from(token, "base64url");
    flipped[60] ^= 1;
    const other = JSON.parse(mintToken(`k1 ${Buffer.alloc(32, 8).toString("base64url")}`, JSON.stringify({ campaign: "lunch", market: "fi", slots: 6, consent: true, message_id: "x" }))).token;
    const bad = [expired, flipped.toString("base64url"), other, token.slice(1), token.slice(0, -1), `${token}A`, "x", "%00", "A".repeat(4000)];
    for (const text of bad) assert.equal(await mail.see(text, "1.png"), "-", text.slice(0, 60));
    for (const name of ["0.png", "7.png", "25.png", "99.png", "1", "1.gif", ".png", "x.png", "1@3x.png", "-1.png", "1.png.png", "1/2.png", "", "%2e"]) {
      assert.equal(await mail.see(token, name), "-", name);
    }
    assert.equal(await mail.see(mint({ campaign: "nobody-published-it" }), "1.png"), "-");
    assert.equal(await mail.see(mint({ slots: 8 }), "8.png"), "-", "a slot that the campaign has not");
    assert.equal(await mail.see(mint({ market: "us/austin" }), "1.png"), "-", "a market without areas");
  });

  it("answer HEAD with no picture and no decision", async () => {
    const token = mint();
    const response = await mail.ask(`/o/${token}/1.png`, PERSON, { method: "HEAD" });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "image/png");
    assert.equal((await mail.ask(`/o/${token}/1.png`, PERSON, { method: "POST" })).status, 405);
  });

  it("take any field of the edge's hints as null, empty, absent or nonsense", async () => {
    const values = [null, "", " ", 0, -1, 1e300, true, [], {}, "NaN", "91", "\u0000", "x".repeat(5000)];
    const cases = [undefined, {}];
    for (const key of Object.keys(NETWORKS.home)) {
      for (const value of values) cases.push({ ...NETWORKS.home, [key]: value });
      cases.push(Object.fromEntries(Object.entries(NETWORKS.home).filter(([other]) => other !== key)));
    }
    const token = mint();
    const usual = await mail.see(token, "1.png");
    for (let i = 0; i < cases.length; i += 16) {
      const shown = await Promise.all(cases.slice(i, i + 16).map((cf) => mail.see(mint(), "1.png", { agent: AGENTS.iphone, cf })));
      // A position that means something may show another place; there is only one.
      for (const [j, id] of shown.entries()) assert.ok(id === usual || id === "-", `${String(JSON.stringify(cases[i + j])).slice(0, 200)}: ${id}`);
    }
    assert.ok(cases.length > 100);
  });

  it("show one decision to all that are fetched at once, and a click opens it", async () => {
    const who = [PERSON, GMAIL, APPLE, SCANNER];
    let n = 0;
    for (let round = 0; round < 12; round += 1) {
      const tokens = Array.from({ length: 4 }, () => mint());
      const opened = await Promise.all(tokens.map((token, i) => mail.all(token, who[i])));
      for (const [i, seen] of opened.entries()) {
        assert.equal(new Set(seen).size, 6, `${seen}: a merchant twice, or two slates`);
        const clicked = await Promise.all(seen.map((_, slot) => mail.click(tokens[i], slot + 1)));
        assert.deepEqual(clicked, seen.map(url));
        n += 1;
      }
    }
    assert.equal(n, 48);
  });

  it("are the same for everybody without consent, and written down nowhere", async () => {
    const shared = { consent: false, message_id: undefined };
    const token = mint(shared);
    assert.equal(mint({ ...shared, message_id: "another" }), token, "one token for all");
    const seen = await mail.all(token, PERSON);
    assert.equal(new Set(seen).size, 6);
    assert.deepEqual(await mail.all(token, GMAIL), seen);
    assert.deepEqual(await mail.all(token, { agent: "" }), seen);
    const before = records(worker).length;
    const page = await mail.click(token, 1);
    assert.match(page, new RegExp(`The ${seen[0]}<`), "the list names what is shown now");
    assert.equal(records(worker).length, before);
  });
});

describe("a mail's links", () => {
  let worker;
  let mail;
  before(async () => {
    worker = await start({ vars: { FREEZE_SECONDS: "600" } });
    mail = mailbox(worker, shows);
    await publish(worker);
  });
  after(async () => {
    assert.doesNotMatch(worker.log(), /Critical|panicked/, "no request may panic");
    await worker.stop();
  });
  const others = area(MERCHANTS.slice(6));
  /** Goes on so many seconds later: a fresh isolate, the same objects. */
  let ahead = 0;
  const later = async (seconds) => worker.restart({ CLOCK_AHEAD_SECONDS: String((ahead += seconds)) });

  it("open the same from two devices within the window, and ask after it", async () => {
    const token = mint();
    const first = await mail.all(token, PERSON);
    assert.deepEqual(await mail.all(token, { ...PERSON, agent: AGENTS.iphone.replace("iPhone", "iPad") }), first);
    assert.deepEqual(await mail.click(token, 1), url(first[0]));
    await publish(worker, { merchants: others });
    await later(HOUR);
    const second = await mail.all(token, PERSON);
    assert.equal(new Set([...first, ...second]).size > 6, true, `${first} then ${second}`);
    const slot = first.findIndex((id, i) => id !== second[i]) + 1;
    const page = await mail.click(token, slot);
    const named = [...page.matchAll(/<strong[^>]*>The (\w+)</g)].map(([, id]) => id);
    assert.deepEqual(named[0], second[slot - 1], "the likeliest heads the list");
    await publish(worker);
    const hrefs = links(await mail.click(token, slot));
    assert.deepEqual(hrefs, [second, first].map((slate) => `/c/${token}/${slot}/${fingerprintHex(slate[slot - 1])}`));
    const goes = await Promise.all(hrefs.map((href) => mail.click(token, href.slice(`/c/${token}/`.length))));
    assert.deepEqual(goes, [second, first].map((slate) => url(slate[slot - 1])));
  });

  it("keep what Gmail's or Apple's cache has, and show a direct reader the same only right after", async () => {
    for (const cache of [GMAIL, APPLE]) {
      await publish(worker);
      await later(HOUR);
      const token = mint();
      const frozen = await mail.all(token, cache);
      assert.deepEqual(await mail.all(token, PERSON), frozen, "opened right after the prefetch");
      assert.deepEqual(await mail.click(token, 2), url(frozen[1]));
      await publish(worker, { merchants: others });
      await later(HOUR);
      assert.deepEqual(await mail.all(token, cache), frozen, "the cache asks anew");
      const direct = await mail.all(token, PERSON);
      assert.notDeepEqual(direct, frozen, "opened an hour after the prefetch");
      assert.deepEqual(await mail.all(token, cache), frozen, "and the cache's stays");
    }
    await publish(worker);
  });

  it("ask where a mail was forwarded, and another reader saw something else", async () => {
    await publish(worker);
    await later(HOUR);
    const token = mint();
    const gmail = await mail.all(token, GMAIL);
    assert.deepEqual(await mail.all(token, YAHOO), gmail, "the forward's cache has what the first one has");
    await publish(worker, { merchants: others });
    await later(HOUR);
    const direct = await mail.all(token, PERSON);
    for (const [i, id] of gmail.entries()) {
      const answer = await mail.click(token, i + 1);
      if (id === direct[i]) assert.equal(answer, url(id));
      else assert.deepEqual([...answer.matchAll(/<strong[^>]*>The (\w+)</g)].map(([, name]) => name), [direct[i], id]);
    }
    await publish(worker);
    await later(61);
  });

  it("are not asked of a reader because a scanner came first", async () => {
    const token = mint();
    const scanned = await mail.all(token, SCANNER);
    assert.equal(await mail.click(token, 1, SCANNER), url(scanned[0]));
    await publish(worker, { merchants: others });
    await later(HOUR);
    const seen = await mail.all(token, PERSON);
    assert.notDeepEqual(seen, scanned);
    for (const init of [{ method: "HEAD" }, {}]) await mail.click(token, 3, SCANNER, init);
    assert.deepEqual(await mail.click(token, 1), url(seen[0]));
    await publish(worker);
  });

  it("lead to open ones where the merchant is closed or gone since", async () => {
    const token = mint();
    const seen = await mail.all(token, PERSON);
    const [gone, shut] = seen;
    await publish(worker, { merchants: area(MERCHANTS.filter(({ id }) => id !== gone).map((merchant) => ({ ...merchant, closed: merchant.id === shut }))) });
    await later(30);
    for (const [slot, id] of [[1, gone], [2, shut]]) {
      const page = await mail.click(token, slot);
      assert.match(page, new RegExp(`<h1>The ${id} is closed right now</h1>`));
      const hrefs = links(page);
      assert.ok(hrefs.length > 3 && hrefs.at(-1) === url(id), `${hrefs}`);
      for (const href of hrefs.slice(0, -1)) {
        const goes = await mail.click(token, href.slice(`/c/${token}/`.length));
        assert.match(goes, /^https:\/\/shop\.example\/m\d+$/);
        assert.ok(goes !== url(gone) && goes !== url(shut), goes);
      }
    }
    assert.equal(await mail.click(token, 3), url(seen[2]));
    await publish(worker);
    await later(61);
  });

  it("go only where the deployment lets them", async () => {
    const bad = ["https://evil.example/", "//evil.example", "javascript:alert(1)", "https://shop.example@evil.example/", "https://shop.example.evil.example/", "http://shop.example/", "https://shop.example\\.evil.example/"];
    const cards = CARDS.map((card, i) => ({ ...card, url: bad[i % bad.length] }));
    await publish(worker, { cards });
    await later(61);
    const token = mint();
    const seen = await mail.all(token, PERSON);
    for (const [i] of seen.entries()) {
      const page = await mail.click(token, i + 1);
      assert.match(page, /^<!doctype html>/, page);
      assert.doesNotMatch(page, /evil|javascript:/);
    }
    await publish(worker);
    await later(61);
    const slots = await mail.all(token, PERSON);
    for (const trick of ["https://evil.example", "%2f%2fevil.example", "..%2f..%2fevil", "1?url=https://evil.example", "1?m=https://evil.example", "1#//evil.example", "1/https:%2f%2fevil.example", `1/${fingerprintHex("nobody")}`, "1/..", "0", "7", "x"]) {
      const response = await mail.ask(`/c/${token}/${trick}`, PERSON);
      const location = response.headers.get("location") ?? "";
      assert.ok([200, 302, 404].includes(response.status), trick);
      assert.doesNotMatch(location, /evil/, trick);
      assert.ok(location === "" || location.startsWith("https://shop.example/"), `${trick}: ${location}`);
    }
    assert.equal(slots.length, 6);
  });

  it("open a page for a token that nobody minted, and the list for one that is over", async () => {
    assert.match(await mail.click("x", 1), /Nothing to show/);
    const expired = mint({ minted_at: rfc3339(-2 * HOUR), expires_at: rfc3339(-HOUR) });
    assert.match(await mail.click(expired, 1), /<h1>Lunch<\/h1>.*The m\d+/);
    const listed = { ...LUNCH, id: "listed", layers: { global: { ...LUNCH.layers.global, fallback: { text: "All", url: "https://shop.example/all" } } } };
    await publish(worker, { campaign: listed });
    assert.equal(await mail.click(mint({ campaign: "listed" }), 1), "https://shop.example/all", "nobody opened it yet");
  });
});

describe("records", () => {
  it("say once that a person looked at what only a machine had fetched", async () => {
    const worker = await start();
    const mail = mailbox(worker, shows);
    try {
      await publish(worker);
      const token = mint({ message_id: "fetched ahead" });
      const scanned = await mail.all(token, SCANNER);
      assert.deepEqual(await mail.all(token, PERSON), scanned, "within the window");
      await mail.all(token, PERSON);
      const message = hash(Buffer.from("fetched ahead")).toString("hex");
      const told = await eventually(() => {
        const found = records(worker).filter((record) => record.message === message);
        assert.equal(found.length, 2, JSON.stringify(found));
        return found;
      });
      const [decision, look] = told.toSorted((a, b) => a.type.localeCompare(b.type));
      assert.deepEqual([decision.type, decision.how], ["decision", "served"]);
      const { at, ...rest } = look;
      assert.deepEqual(rest, { type: "look", message, campaign: "lunch", mailbox: "direct", decided_at: decision.at });
      assert.ok(at >= decision.at);
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.equal(records(worker).filter((record) => record.message === message).length, 2, "and no more");
    } finally {
      await worker.stop();
    }
  });

  it("say what was decided and clicked, and nothing of whom", async () => {
    const worker = await start();
    const mail = mailbox(worker, shows);
    try {
      await publish(worker);
      const token = mint({ message_id: "Anna's lunch", profile: profile(42), market: undefined });
      const message = hash(Buffer.from("Anna's lunch")).toString("hex");
      const seen = await mail.all(token, PERSON);
      await mail.click(token, 2);
      await mail.click(token, 2, SCANNER);
      const of = await eventually(() => {
        const found = records(worker).filter((record) => record.message === message);
        assert.equal(found.length, 3, JSON.stringify(found));
        return found;
      });
      const [decision] = of.filter(({ type }) => type === "decision");
      assert.deepEqual(decision.slots.map(({ slot, merchant_id }) => [slot, merchant_id]), seen.map((id, i) => [i + 1, id]));
      for (const { score, propensity } of decision.slots) assert.ok(Number.isFinite(score) && propensity === 1);
      const { campaign, market, how, mailbox: kind, step, cell: where, versions } = decision;
      assert.deepEqual({ campaign, market, how, kind, step, where }, { campaign: "lunch", market: "fi/helsinki", how: "seen", kind: "direct", step: "own", where: cell });
      assert.deepEqual(Object.keys(versions), ["model", "columns", "bundle", "campaign", "policy"]);
      assert.equal(versions.bundle, hash(AREA).toString("hex"));
      const clicks = of.filter(({ type }) => type === "click");
      assert.deepEqual(
        clicks.map(({ slot, merchant_id, scanner, opened }) => ({ slot, merchant_id, scanner, opened })).toSorted((a, b) => a.scanner - b.scanner),
        [false, true].map((scanner) => ({ slot: 2, merchant_id: seen[1], scanner, opened: "merchant" })),
      );
      assert.doesNotMatch(worker.log(), /Anna|60\.17|iPhone|Telia|1759|k1 /, "no word of a request or a reader");
      assert.ok(!worker.log().includes(token), "and no token");
    } finally {
      await worker.stop();
    }
  });
});

describe("whatever is broken", () => {
  /** Every slot is a picture in time, and every click a page or an allowed address. */
  async function survives(options, expected, { prepare = async () => {}, clicks = /Nothing to show|The m\d+/ } = {}) {
    const worker = await start(options);
    const mail = mailbox(worker, shows);
    try {
      await publish(worker);
      const token = mint();
      await prepare(worker, mail, token);
      const began = performance.now();
      const seen = await mail.all(token, PERSON);
      const took = performance.now() - began;
      assert.ok(took < 2000, `${took} ms`);
      if (expected === undefined) assert.equal(new Set(seen.filter((id) => id.startsWith("m"))).size, 6, `${seen}: one decision, without a ledger`);
      else assert.deepEqual([...new Set(seen)], [expected]);
      for (const slot of [1, 2]) assert.match(await mail.click(token, slot), clicks);
      assert.doesNotMatch(worker.log(), /Critical|panicked/);
    } finally {
      await worker.stop();
    }
  }

  const list = /<h1>Lunch<\/h1>.*The m\d+/;
  it("a ledger that is not bound", () => survives({ ledger: false }, undefined, { clicks: list }));
  it("a ledger that fails", () => survives({ ledger: "Fails" }, undefined, { clicks: list }));
  it("a ledger that never answers", () => survives({ ledger: "Hangs" }, undefined, { clicks: /<h1>Lunch<\/h1>.*The m\d+|Nothing to show/ }));
  it("a campaign that cannot be read", () =>
    survives({}, "-", { prepare: async (worker) => {
      const kv = await worker.kv();
      for (const key of ["campaign/lunch", "good/campaign/lunch"]) await kv.put(key, "{");
      await worker.restart();
    } }));
  for (const state of ["fails", "hangs"]) {
    it(`a KV that ${state}`, () =>
      survives({ flaky: true }, "-", { prepare: async (worker) => {
        await worker.setKv(state);
        await worker.restart();
      } }));
  }
  it("keys that are not set", () => survives({ secrets: { RANK_KEY, PUBLISH_KEY: "publish-key-of-the-tests" } }, "-"));
  it("no cards at all", () => survives({ cards: undefined }, "!", { clicks: /^https:\/\/shop\.example\/m/ }));

  it("a KV that fails once the isolate has read it goes unnoticed", async () => {
    const worker = await start({ flaky: true });
    const mail = mailbox(worker, shows);
    try {
      await publish(worker);
      const usual = await mail.all(mint(), PERSON);
      await worker.setKv("fails");
      assert.deepEqual(await mail.all(mint(), PERSON), usual);
    } finally {
      await worker.stop();
    }
  });

  it("a model whose plan is damaged leaves the prior to rank", async () => {
    const { readFileSync } = await import("node:fs");
    const plan = readFileSync(join(ROOT, "models/ltr.plan"));
    const patch = (wasm) => {
      const at = wasm.indexOf(plan.subarray(0, 42));
      assert.ok(at > 0, "the module was built with another models/ltr.plan");
      wasm[at + 40] ^= 1;
      return wasm;
    };
    const worker = await start({ patch });
    const mail = mailbox(worker, shows);
    try {
      await publish(worker);
      const token = mint();
      const seen = await mail.all(token, PERSON);
      assert.equal(new Set(seen).size, 6);
      assert.deepEqual(await mail.click(token, 1), url(seen[0]));
    } finally {
      await worker.stop();
    }
  });

  it("a reader who travelled sees who delivers in the middle of the city they are in", async () => {
    const worker = await start();
    const mail = mailbox(worker, shows);
    try {
      await publish(worker);
      const middle = { latitude: 52.52, longitude: 13.405 };
      const away = { agent: AGENTS.iphone, cf: { asn: 3320, asOrganization: "Deutsche Telekom AG", country: "DE", city: "Berlin", latitude: String(middle.latitude), longitude: String(middle.longitude) } };
      const anna = profile(7, "fi/helsinki", { place: HELSINKI, newPlaces: 0.3 });
      const there = () => mint({ profile: anna, market: undefined });
      assert.equal(new Set(await mail.all(there(), PERSON)).size, 6, "at home");
      assert.deepEqual([...new Set(await mail.all(there(), away))], ["-"], "nobody delivers there, and home is far");
      const asked = await worker.rank({ context: { at: rfc3339(0), ...middle, grade: "exact" } });
      const { place } = await asked.json();
      const bundle = area(MERCHANTS.slice(0, 6), { cell: place.cell, market: "de/berlin", middle });
      for (const [path, bytes] of [["", bundle], ["/display", display(bundle, CARDS)]]) {
        const response = await worker.put(`/v1/areas/${place.cell}${path}`, bytes);
        assert.equal(response.status, 200, await response.text());
      }
      await worker.restart();
      const token = there();
      const seen = await mail.all(token, away);
      assert.deepEqual(seen.toSorted(), ["m0", "m1", "m2", "m3", "m4", "m5"]);
      assert.deepEqual(await mail.click(token, 1, away), url(seen[0]));
      await eventually(() => assert.equal(records(worker).findLast(({ type }) => type === "decision")?.step, "city"));
    } finally {
      await worker.stop();
    }
  });

  it("an area without a bundle is answered with a neighbour's", async () => {
    const worker = await start();
    const mail = mailbox(worker, shows);
    try {
      const neighbour = "871126d30ffffff";
      const bundle = area(MERCHANTS, { cell: neighbour });
      await publish(worker);
      const kv = await worker.kv();
      for (const key of [`area/${cell}`, `display/${cell}`]) await kv.delete(key);
      for (const [path, bytes] of [[`/v1/areas/${neighbour}`, bundle], [`/v1/areas/${neighbour}/display`, display(bundle, CARDS)]]) {
        const response = await worker.put(path, bytes);
        assert.equal(response.status, 200, await response.text());
      }
      // The market's middle is still the cell that has no bundle any more.
      await worker.restart();
      const token = mint();
      const seen = await mail.all(token, PERSON);
      assert.equal(new Set(seen).size, 6, `${seen}`);
      assert.deepEqual(await mail.click(token, 1), url(seen[0]));
      await eventually(() => assert.deepEqual(records(worker).map(({ step, cell: where }) => [step, where]), [["neighbour", neighbour], [undefined, undefined]]));
    } finally {
      await worker.stop();
    }
  });

  it("a ledger whose life is over is gone, and the click opens the list", async () => {
    // 2 seconds, in days.
    const worker = await start({ vars: { LEDGER_DAYS: "0.0000232" } });
    const mail = mailbox(worker, shows);
    try {
      await publish(worker);
      const token = mint();
      const seen = await mail.all(token, PERSON);
      assert.deepEqual(await mail.click(token, 1), url(seen[0]));
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assert.match(await mail.click(token, 1), /<h1>Lunch<\/h1>/);
      assert.equal(new Set(await mail.all(token, PERSON)).size, 6, "and a new open begins a new one");
    } finally {
      await worker.stop();
    }
  });
});
