// When the message is opened, by which software, and what is known of the reader.

import { Button, Group, NativeSelect, SegmentedControl, Slider, Stack, Switch, Text } from "@mantine/core";
import type { PlaceOf, ProfileOf, Reader } from "./engine.js";
import { GRADES, MAILBOXES, SOURCES, percent } from "./words.js";

export interface MomentState { minute: number; grade: string; mailbox: string; trip: boolean }
export const WEEK = 7 * 1440;

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

export function When({ state, start, timezone, local, onChange }: { state: MomentState; start: number; timezone: string; local: string; onChange: (minute: number) => void }) {
  const first = new Date(start * 1000).getUTCDay();
  const said = (minute: number) => new Intl.DateTimeFormat("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit", timeZone: timezone }).format(new Date((start + minute * 60) * 1000));
  const marks = Array.from({ length: 7 }, (_, i) => ({ value: i * 1440, label: DAYS[(first + i + 1) % 7] }));
  return (
    <div className="when">
      <Group justify="space-between"><Text fw={600} component="h3" size="sm">When it is opened</Text><Text size="sm" data-testid="local">{local || said(state.minute)}</Text></Group>
      <Slider value={state.minute} onChange={onChange} min={0} max={WEEK - 15} step={15} marks={marks} label={said} thumbLabel="Time of the week" thumbProps={{ "aria-valuetext": said(state.minute) } as never} mt={4} mb={24} />
      <Group gap={6}>
        {[["Lunch", 12 * 60], ["Afternoon", 15 * 60], ["Dinner", 18 * 60 + 30], ["Late", 23 * 60], ["Night", 4 * 60]].map(([name, minute]) => (
          <Button key={name} size="compact-xs" variant="default" onClick={() => onChange(Math.floor(state.minute / 1440) * 1440 + (minute as number))}>{name}</Button>
        ))}
      </Group>
    </div>
  );
}

export function Mail({ state, onChange }: { state: MomentState; onChange: (next: Partial<MomentState>) => void }) {
  return (
    <Stack gap="xs">
      <Group grow align="end">
        <NativeSelect label="Opened with" value={state.mailbox} data={MAILBOXES.map(({ value, label }) => ({ value, label }))} onChange={(event) => {
          const mailbox = event.currentTarget.value;
          onChange({ mailbox, grade: MAILBOXES.find(({ value }) => value === mailbox)?.grade ?? "none" });
        }} />
        <NativeSelect label="What the position comes from" value={state.grade} data={GRADES.map(({ value, label, about }) => ({ value, label: `${label}: ${about}` }))} onChange={(event) => onChange({ grade: event.currentTarget.value })} />
      </Group>
      <Switch label="A trip ended at the pin a quarter of an hour ago" checked={state.trip} onChange={(event) => onChange({ trip: event.currentTarget.checked })} />
    </Stack>
  );
}

export function Who({ readers, index, profile, onChange }: { readers: Reader[]; index: number | null; profile: ProfileOf | null; onChange: (index: number | null) => void }) {
  const next = (by: number) => onChange(index === null ? 0 : (index + by + readers.length) % readers.length);
  return (
    <Stack gap={4}>
      <Group gap="xs" align="end">
        <SegmentedControl size="xs" aria-label="Who reads" value={index === null ? "nobody" : "reader"} onChange={(value) => onChange(value === "nobody" ? null : 0)} data={[{ value: "reader", label: "A sample reader" }, { value: "nobody", label: "Nobody known" }]} />
      </Group>
      <Group gap="xs">
        {index !== null && <>
          <Button size="compact-sm" variant="default" aria-label="The reader before" onClick={() => next(-1)}>‹</Button>
          <Text size="sm" data-testid="who">Reader {index + 1} of {readers.length}</Text>
          <Button size="compact-sm" variant="default" aria-label="The next reader" onClick={() => next(1)}>›</Button>
          <Button size="compact-sm" variant="default" onClick={() => onChange(Math.floor(Math.random() * readers.length))}>Another</Button>
        </>}
      </Group>
      <Text size="sm">{index === null || !profile ? "Of this reader nothing is known: market, place and time decide." : `Simulated. ${profile.orders === 0 ? "Has not ordered yet" : profile.orders === 1 ? "One order" : `${profile.orders} orders`}${profile.last_order_days !== null ? `, the last ${profile.last_order_days === 0 ? "today" : profile.last_order_days === 1 ? "yesterday" : `${profile.last_order_days} days ago`}` : ""}; ${profile.places.length === 1 ? "one likely place" : `${profile.places.length} likely places`}${profile.member ? "; a member" : ""}${profile.consent ? "" : "; no consent to tailoring"}.`}</Text>
    </Stack>
  );
}

/** What the evidence made of the likely places, in words. */
export function Verdict({ place }: { place: PlaceOf | null }) {
  if (!place) return null;
  const home = place.places.findIndex(({ latitude, longitude }) => latitude === place.point?.latitude && longitude === place.point.longitude);
  const where = place.cell ? `Decided by ${SOURCES[place.source] ?? place.source}${home >= 0 ? `, for likely place ${home + 1}` : ""}, ${percent(place.certainty)} sure` : "The place is honestly unknown: the campaign's own cards are shown";
  return (
    <div data-testid="verdict">
      <Text size="sm"><b>{where}.</b>{place.travelling ? " The reader is travelling: they are rather elsewhere than at any likely place." : ""}</Text>
      {place.places.length > 0 && (
        <table className="places">
          <thead><tr><th scope="col">Place</th><th scope="col">Usual at this hour</th><th scope="col">With the evidence</th></tr></thead>
          <tbody>
            {place.places.map((likely, i) => <tr key={i}><th scope="row">Likely place {i + 1}</th><td>{percent(likely.before)}</td><td><Bar share={likely.after} /></td></tr>)}
            <tr><th scope="row">Elsewhere</th><td>{percent(place.elsewhere.before)}</td><td><Bar share={place.elsewhere.after} /></td></tr>
          </tbody>
        </table>
      )}
    </div>
  );
}

function Bar({ share }: { share: number }) {
  return <span className="share"><i style={{ width: `${100 * share}%` }} />{percent(share)}</span>;
}
