// Offline use: a service worker caches what this visit used.

/**
 * Caches the page; `files` are the URLs that the worker loaded. Marks `page` when it is done.
 *
 * @param {HTMLElement} page
 * @param {string[]} files
 */
export async function keepPage(page, files) {
  if (!navigator.serviceWorker) return; // missing over plain HTTP and in some private windows
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
    // The browser forbids it; the page still works online.
  }
}
