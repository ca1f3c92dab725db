// Loading the model from a plain web server, with progress.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { roughBytes } from '../page/words.js';
import { launch, pageAddress } from './browser.mjs';
import { openPage } from './page.mjs';

describe('loading', () => {
  let browser;
  let page;
  let served;

  before(async () => {
    browser = await launch();
    page = await openPage(browser.context, pageAddress(), async (fresh) => {
      fresh.on('response', (answer) => {
        if (answer.request().isNavigationRequest()) served = answer;
      });
      await fresh.addInitScript(() => {
        window.steps = [];
        new MutationObserver(() => {
          const [text, bar] = ['#progress-text', '#progress'].map((id) => document.querySelector(id));
          if (text) window.steps.push([text.textContent, bar.position]);
        }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ['value'] });
      });
    });
  });
  after(() => browser?.close());

  test('the model\'s download is shown as it goes on, up to its end', async () => {
    const total = await page.evaluate(async () => {
      const { model } = await (await fetch('config.json')).json();
      return (await (await fetch(model)).json()).files['edge.fog'].bytes;
    });
    const steps = (await page.evaluate(() => window.steps)).filter(([text]) => text.startsWith('Loading edge.fog: '));
    assert.ok(steps.every(([text]) => text.endsWith(` of ${roughBytes(total)}`)), steps.join());
    const positions = steps.map(([, position]) => position);
    assert.deepEqual(positions, [...positions].sort((a, b) => a - b));
    assert.equal(positions.at(-1), 1);
    assert.ok(await page.locator('#loading').isHidden());
  });

  test('no header isolates the page, and none is needed', async () => {
    const headers = served.headers();
    assert.equal(headers['cross-origin-opener-policy'], undefined);
    assert.equal(headers['cross-origin-embedder-policy'], undefined);
    assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  });

  test('the engine runs in a worker, and the page has none', async () => {
    assert.equal(page.workers().length, 1);
    assert.match(page.workers()[0].url(), /worker\.js$/);
    const [here, there] = await Promise.all([page, page.workers()[0]].map((where) => where.evaluate(() => performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.wasm')).length)));
    assert.deepEqual([here, there], [0, 1]);
  });
});
