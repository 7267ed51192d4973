// Where the network does not answer, what the page kept does (src/offline.ts): its own files. What is asked of a Worker behind the same
// domain, whose addresses carry tokens, is never kept, nor answered from here.

const CACHE = "freshrank";
const OWN = /^(index\.html|files\.json|(assets|data|cards)\/.*)?$/;

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  const own = `${origin}${pathname}`.startsWith(self.registration.scope) && OWN.test(`${origin}${pathname}`.slice(self.registration.scope.length));
  if (request.method === "GET" && own) event.respondWith(answer(request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  try {
    const fresh = await fetch(request);
    if (fresh.status === 200) await cache.put(request, fresh.clone());
    return fresh;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
