// What the engine's short words are called on the page.

export const GRADES = [
  { value: "exact", label: "The app's own position", about: "to the street corner", km: 0.05 },
  { value: "network", label: "A direct connection", about: "the city at best", km: 9.5 },
  { value: "coarse", label: "A relay or a carrier", about: "the region", km: 30 },
  { value: "none", label: "A mail proxy", about: "tells nothing", km: 0 },
] as const;

export const MAILBOXES = [
  { value: "direct", label: "A person's own client", grade: "network" },
  { value: "apple", label: "Apple Mail (relay)", grade: "coarse" },
  { value: "gmail", label: "Gmail (proxy)", grade: "none" },
  { value: "yahoo", label: "Yahoo (proxy)", grade: "none" },
  { value: "outlook", label: "Outlook.com (proxy)", grade: "none" },
  { value: "sender", label: "Asked at the send", grade: "exact" },
  { value: "unknown", label: "Unknown", grade: "none" },
] as const;

export const POOLS: Record<string, string> = { pinned: "Pinned", ranked: "Ranked", relaxed: "Ranked, caps given up", explored: "Tried out", fallback: "Own card" };

export const SOURCES: Record<string, string> = { predicted: "a likely place of the reader", exact: "the position", last_event: "the last trip", unknown: "nothing" };

/** Reasons to drop: a word, and a colour that holds on light and dark. */
export const REASONS: Record<string, { label: string; color: string }> = {
  closed: { label: "Closed", color: "#4a6fa5" },
  closes_too_soon: { label: "Closes before the food is ready", color: "#6f8fc0" },
  hours_unknown: { label: "Hours unknown", color: "#8a8f98" },
  too_far: { label: "Too far", color: "#b07aa1" },
  rule: { label: "A rule excludes it", color: "#c2410c" },
  not_included: { label: "No rule includes it", color: "#9a6b1f" },
  excluded: { label: "Excluded", color: "#b91c1c" },
  age_restricted: { label: "Age-restricted", color: "#7c2d12" },
  chain_duplicate: { label: "Another outlet of its chain", color: "#0f766e" },
  first_pass: { label: "Not among the first-pass best", color: "#71717a" },
  kind: { label: "Not of this campaign's kinds", color: "#a1a1aa" },
  not_listed_yet: { label: "Not listed yet", color: "#a1a1aa" },
  across_border: { label: "Across the border", color: "#a1a1aa" },
  elsewhere: { label: "In another block of the message", color: "#a1a1aa" },
  paused: { label: "Paused", color: "#dc2626" },
  closed_today: { label: "Closed today", color: "#dc2626" },
  removed: { label: "Removed", color: "#dc2626" },
};

export const GROUPS: Record<string, string> = {
  reference: "Where everybody starts", place: "Distance and place", popularity: "Popular around here", "own history": "Ordered from before", taste: "The reader's taste",
  "price and offer": "Price and offer", quality: "Ratings and reliability", time: "Hour of the day", reader: "What kind of reader", "not explained": "Not explained",
};

export const score = (fixed: number): string => `${fixed > 0 ? "+" : fixed < 0 ? "−" : ""}${Math.abs(fixed / 65536).toFixed(2)}`;
export const percent = (share: number): string => `${Math.round(100 * share)} %`;
export const nice = (label: string): string => label.replace(/_/g, " ").replace(/^./, (letter) => letter.toUpperCase());
export const cuisines = (text: string, n = 2): string => text.split(";").filter(Boolean).slice(0, n).map(nice).join(" · ");

/** `fi/helsinki` as a person says it. */
export const place = (path: string): string => (path === "global" ? "Everywhere" : path.split("/").map((part) => (part.length === 2 ? part.toUpperCase() : nice(part))).join(" › "));

export function offer(given: { kind: string; value: number }): string {
  if (given.kind === "percent") return `${given.value} % off`;
  if (given.kind === "amount") return `${(given.value / 100).toFixed(given.value % 100 ? 2 : 0)} € off`;
  return given.kind === "free_delivery" ? "Free delivery" : "Offer";
}

/** 16 clusters of cuisines, told apart on light and dark. */
export const CLUSTERS = ["#e07a5f", "#3d9970", "#5b8def", "#c9a227", "#9b5de5", "#2a9d8f", "#d1495b", "#6a994e", "#ef8354", "#4d7ea8", "#b56576", "#7f9c3a", "#8d6cab", "#c77d3a", "#43aa8b", "#a26769"];
