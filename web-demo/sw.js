// The service worker serves the page from the network, so that it is never stale, and from its cache when offline. The
// model has its own cache, in worker/pair.js.

const STORE = 'fogline-page';
const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

worker.addEventListener('install', () => worker.skipWaiting());
worker.addEventListener('activate', (event) => event.waitUntil(worker.clients.claim()));

// The page lists the files that it used, so that of the three engines only the browser's own is cached.
worker.addEventListener('message', (event) => {
  event.waitUntil(keep(event.data.keep).then((kept) => event.source?.postMessage({ kept })));
});

/** @param {string[]} addresses */
async function keep(addresses) {
  const store = await caches.open(STORE);
  const kept = await Promise.all(addresses.map(async (address) => {
    // What this visit has just downloaded is still in the browser's HTTP cache.
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
