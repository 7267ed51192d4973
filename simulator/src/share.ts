// A link for a colleague: the campaign, the edit of a layer, the place and the time. A reader is never in it: no profile, no id.

export interface Shared { campaign: string; layer: string; yaml?: string; at: number; latitude?: number; longitude?: number; grade: string; mailbox: string }

const KEYS = ["campaign", "layer", "yaml", "at", "latitude", "longitude", "grade", "mailbox"] as const;

export function toHash(shared: Shared): string {
  // Position to some 100 m: enough for a street corner, and nobody's door.
  const round = (degrees?: number) => degrees === undefined ? undefined : Math.round(degrees * 1000) / 1000;
  const kept = { ...shared, latitude: round(shared.latitude), longitude: round(shared.longitude) };
  const plain = new TextEncoder().encode(JSON.stringify(Object.fromEntries(KEYS.map((key) => [key, kept[key]]))));
  return `#s=${btoa(String.fromCharCode(...plain)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")}`;
}

/** What a link says; whatever else somebody put into it is not looked at. */
export function fromHash(hash: string): Partial<Shared> | null {
  const text = /^#s=([\w-]+)$/.exec(hash)?.[1];
  if (!text) return null;
  try {
    const bytes = Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
    const found = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    const is = (key: string, type: string) => typeof found[key] === type && (type !== "number" || Number.isFinite(found[key]));
    const types = { campaign: "string", layer: "string", yaml: "string", at: "number", latitude: "number", longitude: "number", grade: "string", mailbox: "string" };
    return Object.fromEntries(KEYS.filter((key) => is(key, types[key])).map((key) => [key, found[key]]));
  } catch {
    return null;
  }
}
