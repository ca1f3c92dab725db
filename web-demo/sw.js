// The service worker: the page from the network while there is one, so that it is never stale, and
// from what it kept of itself when there is none. The model has a store of its own, in worker/pair.js.

const STORE = 'fogline-page';
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

worker.addEventListener('install', () => worker.skipWaiting());
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));

// The page names the files that it really used: of three engines, a browser keeps its own.
worker.addEventListener('message', (event) => {
  event.waitUntil(keep(event.data.keep).then((kept) => event.source?.postMessage({ kept })));
});

/** @param {string[]} addresses */
async function keep(addresses) {
  const store = await caches.open(STORE);
  const kept = await Promise.all(addresses.map(async (address) => {
    // What this visit has just fetched is in the browser's own cache still.
    const answer = await fetch(address, { cache: 'force-cache' }).catch(() => null);
    if (answer?.ok) await store.put(address, answer);
    return answer?.ok ?? false;
  }));
  return kept.every(Boolean);
}

worker.addEventListener('fetch', (event) => {
  const { method, url } = event.request;
  if (method === 'GET' && new URL(url).origin === worker.location.origin) event.respondWith(serve(event.request));
});

/** @param {Request} request */
async function serve(request) {
  try {
    return await fetch(request);
  } catch (error) {
    const store = await caches.open(STORE);
    const kept = await store.match(request, { ignoreSearch: request.mode === 'navigate', ignoreVary: true });
    if (kept) return kept;
    throw error;
  }
}
