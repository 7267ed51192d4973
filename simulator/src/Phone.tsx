// The message as a phone shows it. What stands on a card is what the picture of an opened message has.

import { Paper, Text, UnstyledButton } from "@mantine/core";
import { useState } from "react";
import type { Merchant, Reply, Scene } from "./engine.js";
import { CLUSTERS, POOLS, cuisines, offer } from "./words.js";

export interface PhoneProps { reply: Reply | null; merchants: Map<string, Merchant>; dark: boolean; chosen: string | null; onChoose: (merchant: string, slot: number) => void; sender: string; /** By slot; null where the page was given no cards. */ pictures: Scene["pictures"] | null }

/** A picture as an opened message has it; where a file is not there the next one that says less, and then what stands in `children`. */
function Picture({ files, about, children }: { files: string[]; about: string; children: React.ReactNode }) {
  const [missing, setMissing] = useState<ReadonlySet<string>>(new Set());
  const file = files.find((file) => !missing.has(file));
  if (!file) return children;
  return <img src={`cards/${file}`} alt={about} width={280} height={224} onError={() => setMissing((now) => new Set([...now, file]))} />;
}

export function Phone({ reply, merchants, dark, chosen, onChoose, sender, pictures }: PhoneProps) {
  return (
    <section className={`phone ${dark ? "dark" : "light"}`} aria-label="The message on a phone">
      <div className="bar" aria-hidden><span>{reply?.local.split(" ")[1] ?? ""}</span><i /></div>
      <div className="mail">
        <div className="from"><b>{sender}</b><span>to the reader</span></div>
        <h2 data-testid="title">{reply?.title || "(no headline)"}</h2>
        <ol className="cards" data-testid="cards">
          {reply?.slots.map((slot, i) => {
            const merchant = slot.merchant ? merchants.get(slot.merchant) : undefined;
            const card = slot.card ?? merchant?.card;
            const files = pictures?.[i]?.[dark ? "dark" : "light"] ?? [];
            if (!slot.merchant) return <li key={`own-${i}`} className="own" data-testid="card" data-name={slot.fallback?.text ?? ""}><Picture files={files} about={slot.fallback?.text ?? "See what is open near you"}><></></Picture><b>{slot.fallback?.text ?? "See what is open near you"}</b><span>The campaign's own card: nobody is left for this slot</span></li>;
            const name = card?.name ?? slot.merchant;
            const color = CLUSTERS[merchant?.clusters[0]?.[0] ?? 0];
            const badges = slot.badges ?? [];
            return (
              <li key={slot.merchant} data-testid="card" data-name={name} className={chosen === slot.merchant ? "chosen" : ""}>
                <UnstyledButton className="card" onClick={() => onChoose(slot.merchant as string, i)} aria-pressed={chosen === slot.merchant}>
                  <span className="visually-hidden">Slot {i + 1}, why is it here:</span>
                  <Picture files={files} about={`${name}, ${slot.open_until ? `open until ${slot.open_until}` : "open"}`}>
                  <div className="picture" style={{ background: `linear-gradient(135deg, ${color}, color-mix(in srgb, ${color} 55%, #1b1b1f))` }} aria-hidden>
                    <span className="initial">{name.slice(0, 1)}</span>
                    {slot.offer && <em className="offer">{offer(slot.offer)}</em>}
                    {slot.sponsored && <em className="ad">Ad</em>}
                  </div>
                  <div className="facts">
                    <b>{name}</b>
                    <span>{[cuisines(card?.cuisines ?? ""), slot.distance_km !== undefined ? `${slot.distance_km.toFixed(1)} km` : ""].filter(Boolean).join(" · ")}</span>
                    <span className="open">{slot.open_until ? `Open until ${slot.open_until}` : "Open"}</span>
                  </div>
                  </Picture>
                  {badges.length > 0 && <span className="badges">{badges.map((badge) => <i key={badge}>{badge}</i>)}</span>}
                </UnstyledButton>
              </li>
            );
          })}
        </ol>
      </div>
    </section>
  );
}

/** Beside the phone, what the reader does not see: rank, pool and what moved a card. */
export function Ranks({ reply, merchants, chosen, onChoose }: Omit<PhoneProps, "dark" | "sender" | "pictures">) {
  if (!reply) return null;
  return (
    <Paper withBorder p="xs" component="section" aria-label="How the slots were filled">
      <table className="ranks">
        <thead><tr><th scope="col">Slot</th><th scope="col">Merchant</th><th scope="col">Why</th><th scope="col">Score</th></tr></thead>
        <tbody>
          {reply.slots.map((slot, i) => {
            const name = (slot.merchant && (slot.card?.name ?? merchants.get(slot.merchant)?.card?.name)) || slot.fallback?.text || "";
            const notes = [POOLS[slot.pool] ?? slot.pool, slot.asked && `asks ${slot.asked}`, slot.sponsored && "paid for", slot.moved && `by score alone ${slot.moved.rank + 1}.`].filter(Boolean).join(", ");
            return (
              <tr key={i} className={chosen !== null && chosen === slot.merchant ? "chosen" : ""}>
                <td>{i + 1}</td>
                <td>{slot.merchant ? <UnstyledButton className="link" onClick={() => onChoose(slot.merchant as string, i)}>{name}</UnstyledButton> : name}</td>
                <td>{notes}</td>
                <td className="number">{slot.score === undefined ? "" : (slot.score / 65536).toFixed(2)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <Text size="xs" mt={4}>{reply.kept} could be placed, {Object.values(reply.dropped).reduce((sum, n) => sum + n, 0)} could not. Ranked by {reply.scorer === "dense" || reply.scorer === "tract" ? "the model" : `the prior${reply.model_error ? `: ${reply.model_error}` : ""}`}.</Text>
      {reply.notices?.map((notice) => <Text size="xs" key={notice}>{notice}</Text>)}
    </Paper>
  );
}
