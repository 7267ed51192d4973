// The page goes on without a network: once somebody has it, all of it is kept in their browser, while nobody waits.

const CACHE = "freshrank";

/** Keeps the page for when nothing answers; where a browser will not, the page is as good as its network. */
export async function keep(): Promise<void> {
  if (!("serviceWorker" in navigator) || !("caches" in window) || import.meta.env.DEV) return;
  try {
    await navigator.serviceWorker.register("sw.js");
    const cache = await caches.open(CACHE);
    const absolute = (path: string) => new URL(path, document.baseURI).href;
    const files: string[] = await (await fetch(absolute("files.json"))).json();
    // Data and pictures lie beside what was built; those that were asked for are needed again.
    const asked = performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => /\/(data|cards)\//.test(name) && name.startsWith(absolute("./")));
    const whole = new Set([absolute("./"), absolute("files.json"), ...files.map(absolute), ...asked]);
    const kept = new Set((await cache.keys()).map(({ url }) => url));
    for (const old of kept) if (old.includes("/assets/") && !whole.has(old)) await cache.delete(old);
    await cache.addAll([...whole].filter((url) => !kept.has(url) || !url.includes("/assets/")));
    document.documentElement.dataset.kept = "";
  } catch {
    // Private windows and full disks refuse, and nothing is lost by that.
  }
}
