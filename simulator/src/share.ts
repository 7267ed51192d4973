// A link holds the edit of a campaign and a place, never a reader.

import type { Draft, Point, Scene } from "./types";

export type Shared = { campaign: string; step: number; point: Point | null; draft: Draft | null };

export function link(scene: Scene, draft: Draft | null): string {
  const shared: Shared = { campaign: scene.campaign, step: scene.step, point: scene.point, draft };
  const bytes = new TextEncoder().encode(JSON.stringify(shared));
  const text = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return `${location.href.split("#")[0]}#${text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "")}`;
}

/** What a link holds; null where there is none, or nobody can read it. */
export function shared(hash: string): Shared | null {
  try {
    const text = atob(hash.slice(1).replace(/-/g, "+").replace(/_/g, "/"));
    const read = JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0)))) as Shared;
    const whole = typeof read.campaign === "string" && Number.isInteger(read.step) && (read.draft === null || typeof read.draft?.yaml === "string");
    return whole ? read : null;
  } catch {
    return null;
  }
}
