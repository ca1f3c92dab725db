// A second visit: cached files are not downloaded again, and the page works offline.

import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

/** A proxy to the stack that records requests and can be cut off. */
async function wayTo(address) {
  const asked = [];
  const server = createServer((from, to) => {
    asked.push(from.url);
    const onward = request(new URL(from.url, address), { method: from.method, headers: from.headers }, (answer) => {
      to.writeHead(answer.statusCode, answer.headers);
      answer.pipe(to);
    });
    onward.on('error', () => to.destroy());
    from.pipe(onward);
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    asked,
    address: `http://127.0.0.1:${server.address().port}/`,
    cut() {
      server.closeAllConnections();
      server.close();
    },
  };
}

describe('a second visit', () => {
  let way;
  let browser;
  let first;

  before(async () => {
    way = await wayTo(pageAddress());
    browser = await launch({ serviceWorkers: 'allow' });
    const page = await openPage(browser.context, way.address);
    first = await runAll(page);
    await page.waitForSelector('#page[data-offline]');
    await page.close();
  });
  after(async () => {
    await browser?.close();
    way?.cut();
  });

  const models = () => way.asked.filter((path) => path.endsWith('/edge.fog')).length;

  test('the model is not fetched again', async () => {
    assert.equal(models(), 1);
    const page = await openPage(browser.context, way.address);
    assert.equal(await page.getAttribute('#page', 'data-kept'), 'true');
    assert.equal(models(), 1);
    await page.close();
  });

  test('a kept model that has gone bad is fetched again', async () => {
    const page = await openPage(browser.context, way.address);
    await page.evaluate(async () => {
      const store = await caches.open('fogline-models');
      const [key] = await store.keys();
      const bytes = new Uint8Array(await (await store.match(key)).arrayBuffer());
      bytes[bytes.length >> 1] ^= 0x10;
      await store.put(key, new Response(bytes));
    });
    await page.close();
    const again = await openPage(browser.context, way.address);
    assert.equal(models(), 2);
    assert.equal(await again.getAttribute('#page', 'data-kept'), 'false');
    await again.close();
  });

  test('without a network the page works, and says that the cloud cannot be reached', async () => {
    way.cut();
    const page = await openPage(browser.context, way.address);
    await page.waitForSelector('#page[data-cloud="away"]');
    assert.match(await page.textContent('#cloud-state'), /cannot be reached/);
    const answers = await runAll(page);
    for (const [at, { sample, origin, label, degraded }] of answers.entries()) {
      // After a few failures the engine stops asking the cloud (circuit breaker).
      if (first[at].origin === 'cloud') assert.match(degraded, /^(cloud_unreachable|circuit_open)$/, sample);
      else assert.deepEqual({ origin, label, degraded }, { origin: first[at].origin, label: first[at].label, degraded: null }, sample);
    }
    // Files that are loaded later must be cached too.
    const [own] = await cardsOf(page, async () => {
      const bytes = await page.evaluate(async () => [...new Uint8Array(await (await fetch('samples/ship.png')).arrayBuffer())]);
      await page.setInputFiles('#file', { name: 'own.png', mimeType: 'image/png', buffer: Buffer.from(bytes) });
    });
    assert.equal(own.picture, 'own.png');
    await page.close();
  });
});
