// From a queue of recipients to messages on their way: email whose pictures are decided when they are opened, push and text messages
// decided now. Whoever is not answered within the deadline gets the copy that needs no answer; nobody gets a message twice.

import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mintToken } from "freshrank";
import { facts, isOneText, say } from "./copy.mjs";

const escaped = (text) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const lines = (text) => text.split("\n").filter((line) => line.trim() !== "");

/** Asks for a batch, and takes what comes before the deadline; by id of the message. */
async function ranked(config, recipients) {
  const asked = recipients.map((recipient) =>
    JSON.stringify({
      id: recipient.message_id,
      campaign: config.campaign,
      // Without consent nothing of the reader goes along but where the message is sent to.
      profile: recipient.consent ? recipient.profile : undefined,
      context: recipient.consent ? (recipient.place ?? {}) : {},
      display: true,
    }),
  );
  const body = asked.join("\n");
  const answers = new Map();
  if (asked.length === 0) return answers;
  try {
    const response = await fetch(`${config.edge}/v1/rank/batch`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${config.rankKey}`,
        // The same recipients are the same batch: asked again after a crash, the answer is the same.
        "Idempotency-Key": createHash("sha256").update(body).digest("hex"),
      },
      body,
      signal: AbortSignal.timeout(config.deadline_ms),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    let rest = "";
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const complete = (rest + chunk).split("\n");
      rest = complete.pop();
      for (const line of complete) {
        const reply = JSON.parse(line);
        // An error line is nobody's answer.
        if (reply.id !== undefined && reply.slots) answers.set(reply.id, reply);
      }
    }
  } catch (error) {
    config.warn(`${recipients.length - answers.size} of ${recipients.length} without an answer: ${error.message}`);
  }
  return answers;
}

/** A code for each token; none where the edge does not answer in time. */
async function shortened(config, tokens) {
  try {
    const response = await fetch(`${config.edge}/v1/short`, {
      method: "POST",
      headers: { Authorization: `Bearer ${config.rankKey}` },
      body: tokens.map((token) => JSON.stringify({ token })).join("\n"),
      signal: AbortSignal.timeout(config.deadline_ms),
    });
    if (!response.ok) throw new Error(`status ${response.status}`);
    return lines(await response.text()).map((line) => JSON.parse(line).code);
  } catch (error) {
    config.warn(`no short links: ${error.message}`);
    return [];
  }
}

/** The token of a message: all that its pictures and links carry. */
function token(config, recipient, minted_at) {
  const { message_id, market, consent = false, profile } = recipient;
  const request = { campaign: config.campaign, market, slots: config.slots, message_id, consent, profile, minted_at };
  return JSON.parse(mintToken(config.tokenKeys, JSON.stringify(request))).token;
}

/** One email: nothing in it is decided before it is opened. */
export function email(config, copy, recipient, sealed) {
  const known = { name: recipient.name, brand: config.brand };
  const [subject, preheader, alt] = ["subject", "preheader", "alt"].map((part) => say(copy.email[part], known).text);
  const slots = Array.from({ length: config.slots }, (_, i) => i + 1);
  const link = (slot) => `${config.edge}/c/${sealed}/${slot}`;
  const card = (slot) =>
    `<a href="${link(slot)}"><img src="${config.edge}/o/${sealed}/${slot}@2x.png" width="300" alt="${escaped(alt)}" style="display:block;border:0;margin:12px auto"></a>`;
  const html = `<!doctype html><html><head><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>${escaped(subject)}</title></head>
<body style="margin:0;font-family:sans-serif"><div style="display:none">${escaped(preheader)}</div>
<h1 style="text-align:center;font-size:20px">${escaped(subject)}</h1>
${slots.map(card).join("\n")}
</body></html>`;
  const text = [preheader, ...slots.map(link)].join("\n\n");
  return { from: config.from, to: recipient.to, subject, html, text, messageId: `<${createHash("sha256").update(recipient.message_id).digest("hex").slice(0, 32)}@${new URL(config.edge).hostname}>` };
}

/** A push message: title, body, where it leads, what it shows. */
export function push(config, copy, recipient, sealed, reply) {
  const known = { name: recipient.name, brand: config.brand, ...facts(reply) };
  const title = say(copy.push.title, known);
  const slot = known.slot ?? 1;
  return {
    payload: {
      to: recipient.to,
      title: title.text,
      body: say(copy.push.body, known).text,
      deep_link: `${config.edge}/c/${sealed}/${slot}`,
      image: `${config.edge}/o/${sealed}/${slot}@2x.png`,
    },
    fallback: known.merchant === undefined,
  };
}

/** A text message: one, and its link short. */
export function sms(config, copy, recipient, code, reply) {
  const known = { name: recipient.name, brand: config.brand, ...facts(reply) };
  // Without a code it leads to the deployment's own page.
  const slot = known.slot > 1 ? `.${known.slot}` : "";
  const link = `${config.edge}/s/${code ? code + slot : "-"}`;
  const { text } = say(copy.sms.text, { ...known, link }, isOneText);
  return { payload: { to: recipient.to, text }, fallback: known.merchant === undefined };
}

/**
 * Sends to everybody who is not in the journal yet; `transport` is nodemailer's, push and text messages go to files that stand for their
 * gateways. The journal is written after a message is handed over: a crash between the two sends one message again.
 */
export async function send(config, copy, recipients, transport) {
  mkdirSync(config.out, { recursive: true });
  const at = (name) => join(config.out, name);
  // A run that is taken up again mints the tokens it began with.
  if (!existsSync(at("run.json"))) writeFileSync(at("run.json"), JSON.stringify({ minted_at: `${new Date().toISOString().slice(0, 19)}Z` }));
  const { minted_at } = JSON.parse(readFileSync(at("run.json"), "utf8"));
  const journal = existsSync(at("journal.ndjson")) ? lines(readFileSync(at("journal.ndjson"), "utf8")) : [];
  const done = new Set(journal.map((line) => JSON.parse(line).message_id));
  if (!existsSync(at("messages.csv"))) appendFileSync(at("messages.csv"), "message_id,user_id\n");
  const put = (name, value) => appendFileSync(at(name), `${JSON.stringify(value)}\n`);
  const told = { sent: 0, fallback: 0, before: 0, failed: 0 };
  const left = recipients.filter((recipient) => !done.has(recipient.message_id));
  told.before = recipients.length - left.length;
  for (let start = 0; start < left.length; start += config.batch) {
    const some = left.slice(start, start + config.batch);
    const sealed = some.map((recipient) => token(config, recipient, minted_at));
    const now = some.filter(({ channel }) => channel !== "email");
    const texts = some.flatMap(({ channel }, i) => (channel === "sms" ? [sealed[i]] : []));
    const [answers, codes] = await Promise.all([ranked(config, now), texts.length ? shortened(config, texts) : []]);
    const code = new Map(texts.map((text, i) => [text, codes[i]]));
    for (const [i, recipient] of some.entries()) {
      const { message_id, channel, user_id } = recipient;
      const reply = answers.get(message_id);
      let fallback = false;
      try {
        if (channel === "email") {
          await transport.sendMail(email(config, copy, recipient, sealed[i]));
        } else {
          const made = channel === "push" ? push(config, copy, recipient, sealed[i], reply) : sms(config, copy, recipient, code.get(sealed[i]), reply);
          fallback = made.fallback;
          put(`${channel}.ndjson`, made.payload);
        }
      } catch (error) {
        told.failed += 1;
        config.warn(`line ${recipients.indexOf(recipient) + 1} was not sent, and will be asked for again: ${error.message}`);
        continue;
      }
      put("journal.ndjson", { message_id, channel, fallback });
      // Whose messages were, for `freshrank import log`.
      appendFileSync(at("messages.csv"), [message_id, user_id].map((cell) => `"${String(cell).replaceAll('"', '""')}"`).join(",") + "\n");
      told.sent += 1;
      told.fallback += Number(fallback);
    }
  }
  return told;
}
