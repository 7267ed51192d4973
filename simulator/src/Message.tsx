// The email as a phone shows it.

import { Badge, Button, Paper, Stack, Text, UnstyledButton } from "@mantine/core";
import type { Reply, ReplySlot } from "./types";
import { offer, openUntil, pool } from "./words";

export function Message({ reply, dark, chosen, onChoose }: { reply: Reply; dark: boolean; chosen: number | null; onChoose: (slot: number) => void }) {
  return (
    <section aria-label="The message" className={`phone ${dark ? "dark" : "light"}`}>
      <div className="screen">
        <p className="sender">Your brand · {reply.local}</p>
        <h2>{reply.title || "Your message"}</h2>
        {reply.slots.map((slot, i) => (
          <UnstyledButton key={i} className={`card ${chosen === i ? "chosen" : ""}`} aria-pressed={chosen === i} onClick={() => onChoose(i)} data-slot={i}>
            {slot.merchant ? <Merchant slot={slot} /> : <Fallback slot={slot} />}
            <span className="meta">
              {i + 1} · {pool(slot)}
            </span>
          </UnstyledButton>
        ))}
        {reply.notices?.map((notice) => (
          <p className="legal" key={notice}>
            {notice}
          </p>
        ))}
      </div>
    </section>
  );
}

function Merchant({ slot }: { slot: ReplySlot }) {
  const cuisines = (slot.card?.cuisines ?? "").split(";").filter(Boolean).map((label) => label.replace(/_/g, " "));
  const name = slot.card?.name ?? slot.merchant ?? "";
  const lines = [cuisines.slice(0, 2).join(", "), slot.distance_km === undefined ? "" : `${slot.distance_km.toFixed(1)} km`].filter(Boolean);
  const tags = [openUntil(slot), offer(slot), ...(slot.badges ?? [])].filter((tag) => tag !== null);
  return (
    <>
      <span className="art" style={{ background: art(cuisines[0] ?? name) }} aria-hidden>
        {name.slice(0, 1).toUpperCase()}
      </span>
      <span className="words">
        <strong>{name}</strong>
        <span className="line">{lines.join(" · ")}</span>
        <span className="tags">
          {tags.map((tag) => (
            <span className="tag" key={tag}>
              {tag}
            </span>
          ))}
          {slot.sponsored && <span className="tag ad">Sponsored</span>}
        </span>
      </span>
    </>
  );
}

function Fallback({ slot }: { slot: ReplySlot }) {
  return (
    <>
      <span className="art" style={{ background: "#495057" }} aria-hidden>
        …
      </span>
      <span className="words">
        <strong>{slot.fallback?.text ?? "The campaign's own card"}</strong>
        <span className="line">Nobody could be shown here</span>
      </span>
    </>
  );
}

/** A colour of the cuisine's own, dark enough for white letters. */
function art(label: string): string {
  let hash = 7;
  for (const c of label) hash = (hash * 31 + (c.codePointAt(0) ?? 0)) % 360;
  return `linear-gradient(135deg, hsl(${hash} 55% 38%), hsl(${(hash + 40) % 360} 60% 28%))`;
}

export function Summary({ reply }: { reply: Reply }) {
  const filled = reply.slots.filter((slot) => slot.merchant).length;
  const dropped = Object.values(reply.dropped).reduce((sum, n) => sum + n, 0);
  return (
    <Paper p="sm" withBorder>
      <Stack gap={4}>
        <Text size="sm">
          {filled} of {reply.slots.length} slots filled, from {reply.kept} merchants that could be shown; {dropped} could not.
        </Text>
        {reply.model_error && (
          <Text size="sm" c="red.8">
            The model did not answer ({reply.model_error}); the order is the fallback's.
          </Text>
        )}
        <div>
          {Object.entries(reply.dropped).map(([code, n]) => (
            <Badge key={code} variant="outline" color="gray" autoContrast className="count" mr={4} tt="none">
              {code.replace(/_/g, " ")}: {n}
            </Badge>
          ))}
        </div>
      </Stack>
    </Paper>
  );
}

export function CopyLink({ href }: { href: string }) {
  return (
    <Button size="xs" variant="default" onClick={() => void navigator.clipboard?.writeText(href)} component="a" href={href}>
      Link to this edit and place
    </Button>
  );
}
