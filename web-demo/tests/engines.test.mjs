// The two builds of the engine: the page takes the one that its browser can run, and both say the same.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { openPage, runAll } from './page.mjs';

/** The results of all samples, and the engine's file that the page fetched. */
async function runWith(context, prepare) {
  const engines = [];
  const page = await openPage(context, pageAddress(), async (fresh) => {
    fresh.on('request', (request) => {
      if (request.url().endsWith('.wasm')) engines.push(new URL(request.url()).pathname);
    });
    await prepare(fresh);
  });
  const results = await runAll(page);
  await page.close();
  return { engines, answers: results.map(({ sample, origin, label, confidence, bytes }) => ({ sample, origin, label, confidence, bytes })) };
}

describe('engines', () => {
  let browser;
  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  test('with and without relaxed SIMD the answers are the same', async () => {
    const relaxed = await runWith(browser.context, async () => {});
    assert.deepEqual(relaxed.engines, ['/pkg/relaxed/fogline_edge_bg.wasm']);
    const plain = await runWith(browser.context, (page) => page.addInitScript(() => {
      WebAssembly.validate = () => false;
    }));
    assert.deepEqual(plain.engines, ['/pkg/fogline_edge_bg.wasm']);
    assert.deepEqual(plain.answers, relaxed.answers);
  });
});
