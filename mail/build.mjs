// The worked email: MJML and a token to HTML whose pictures are decided when it is opened.
//
//   node mail/build.mjs --origin https://cards.example --token TOKEN --unsubscribe URL [--slots 4] [--template FILE] > mail.html
//
// Every picture is at /o/{token}/{slot}[@2x][-dark].png and links to /c/{token}/{slot}. Which clients follow what:
//
// | client | density | dark |
// |---|---|---|
// | Apple Mail | `srcset` | takes the dark <source>; its relay fetches it ahead like any other |
// | Outlook for Mac, Thunderbird | `srcset` | takes the dark <source> |
// | Gmail, Yahoo, Outlook.com, Outlook for Windows | `src` alone | keep the light picture: none of them knows prefers-color-scheme in a message |
//
// The light card is opaque and brings its own ground, so that a message that a client darkens by itself still shows it as it was drawn.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
/** Of a card, in the message's pixels; offline/src/cards/draw.rs draws them so. */
export const WIDTH = 280;
export const HEIGHT = 224;

const WORDS = {
  brand: "Freshly",
  title: "What is good right now",
  preview: "Picked at the last moment, from the kitchens near you.",
  lead: "Picked at the last moment, from the kitchens that can bring it to you.",
  small: "Cards marked “Sponsored” are paid for. You get this message because you asked for lunch ideas.",
  unsubscribe_words: "Unsubscribe",
};

/**
 * One slot: a picture that links to what it shows. Its alternative text is true whichever merchant the picture turns out to be, or if it is
 * none: it promises neither a name nor that anybody is open.
 */
export function picture({ origin, token, slot, slots }) {
  const at = (ending) => escape(`${origin}/o/${token}/${slot}${ending}`);
  const alt = `Pick ${slot} of ${slots}: tap to see it`;
  return [
    `<a href="${escape(`${origin}/c/${token}/${slot}`)}" target="_blank">`,
    "<picture>",
    `<source media="(prefers-color-scheme: dark)" srcset="${at("-dark.png")} 1x, ${at("@2x-dark.png")} 2x">`,
    `<img src="${at(".png")}" srcset="${at("@2x.png")} 2x" width="${WIDTH}" height="${HEIGHT}" alt="${alt}">`,
    "</picture>",
    "</a>",
  ].join("");
}

/** The whole message. `words` replaces what the template says. */
export async function mail({ origin, token, slots = 4, unsubscribe, template = join(HERE, "lunch.mjml"), words = {} }) {
  const rows = [];
  for (let slot = 1; slot <= slots; slot += 2) {
    const columns = [slot, slot + 1].filter((n) => n <= slots).map((n) => {
      const html = picture({ origin, token, slot: n, slots });
      return `<mj-column padding="8px 0"><mj-text css-class="card" align="center">${html}</mj-text></mj-column>`;
    });
    rows.push(`<mj-section>${columns.join("")}</mj-section>`);
  }
  const values = { ...WORDS, ...words, unsubscribe };
  const filled = readFileSync(template, "utf8")
    .replace("<!-- cards -->", () => rows.join("\n"))
    .replaceAll(/\{\{(\w+)\}\}/g, (whole, name) => (name in values ? escape(values[name]) : whole));
  const { default: mjml } = await import("mjml");
  const { html, errors } = await mjml(filled, { validationLevel: "strict" });
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  return html;
}

function escape(text) {
  return String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { parseArgs } = await import("node:util");
  const text = { type: "string" };
  const { values } = parseArgs({ options: { origin: text, token: text, unsubscribe: text, slots: text, template: text } });
  for (const needed of ["origin", "token", "unsubscribe"]) {
    if (!values[needed]) {
      console.error(`error: --${needed} is missing`);
      process.exit(1);
    }
  }
  process.stdout.write(await mail({ ...values, slots: Number(values.slots ?? 4) }));
}
