// Copy: of each text several wordings, the first whose facts are all known. The last one needs none, so that there is always one.

/** GSM 03.38, what one text message of 160 characters is written in. */
const GSM = /^[A-Za-z0-9 \r\n@£$¥èéùìòÇØøÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ!"#¤%&'()*+,\-./:;<=>?¡ÄÖÑÜ§¿äöñüà]*$/;

/** Fills `{field}`s; `undefined` where one is not known. */
function filled(wording, facts) {
  let whole = true;
  const text = wording.replace(/\{(\w+)\}/g, (_, field) => {
    const fact = facts[field];
    whole &&= fact !== undefined && fact !== "";
    return fact ?? "";
  });
  return whole ? text : undefined;
}

/** The first wording that can be said, and `fits`; which of them it was. */
export function say(wordings, facts, fits = () => true) {
  for (const [i, wording] of wordings.entries()) {
    const text = filled(wording, facts);
    if (text !== undefined && fits(text)) return { text, wording: i };
  }
  throw new Error(`no wording of ${JSON.stringify(wordings)} can be said: the last one has to need nothing but name, brand and link`);
}

/** Whether a text is one text message. */
export const isOneText = (text) => (GSM.test(text) ? text.length <= 160 : [...text].length <= 70);

/** What copy may say of a reply's first merchant; nothing where there is none. */
export function facts(reply) {
  const slot = reply?.slots?.find((slot) => slot.merchant && slot.card?.name);
  if (!slot) return {};
  const distance = slot.distance_km === undefined ? undefined : `${slot.distance_km.toFixed(1)} km`;
  const cuisine = slot.card.cuisines.split(";")[0].replaceAll("_", " ");
  return { merchant: slot.card.name, cuisine, distance, open_until: slot.open_until, slot: reply.slots.indexOf(slot) + 1 };
}
