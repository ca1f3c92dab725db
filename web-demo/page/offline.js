// The page without a network: a service worker keeps what this visit used.

/**
 * Has the page kept; `files` are those of the worker. Says on `page` when it is.
 *
 * @param {HTMLElement} page
 * @param {string[]} files
 */
export async function keepPage(page, files) {
  if (!navigator.serviceWorker) return; // over plain HTTP, in some private windows
  try {
    await navigator.serviceWorker.register('sw.js');
    const { active } = await navigator.serviceWorker.ready;
    const used = performance.getEntriesByType('resource').map(({ name }) => name);
    const own = [document.baseURI.split('#')[0], ...used, ...files].filter((address) => address.startsWith(`${location.origin}/`));
    const lasting = own.filter((address) => !address.includes('/cloud/') && !address.endsWith('.fog'));
    navigator.serviceWorker.addEventListener('message', ({ data }) => page.toggleAttribute('data-offline', data.kept), { once: true });
    navigator.serviceWorker.startMessages();
    active?.postMessage({ keep: [...new Set(lasting)] });
  } catch {
    // A browser that forbids it: the page works as long as there is a network.
  }
}
