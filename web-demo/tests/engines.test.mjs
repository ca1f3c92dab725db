// The builds of the engine: the page loads the fastest one its browser can run, and all give the same answers.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { openPage, runAll } from './page.mjs';

/** The results of all samples, and the engine that the page downloaded. */
async function runWith(browser, prepare = async () => {}) {
  const engines = [];
  const page = await openPage(browser.context, pageAddress(), async (fresh) => {
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
  let relaxed;
  before(async () => {
    browser = await launch();
    relaxed = await runWith(browser);
  });
  after(() => browser?.close());

  test('a browser with relaxed SIMD gets the engine that uses it', () => {
    assert.deepEqual(relaxed.engines, ['/pkg/relaxed/fogline_edge_bg.wasm']);
  });

  test('one with SIMD alone gets the same answers', async () => {
    // Chromium has no flag to disable this instruction, so replace its opcode (253, 128, 2) with an invalid one.
    const { engines, answers } = await runWith(browser, (page) => page.addInitScript(() => {
      const { validate } = WebAssembly;
      WebAssembly.validate = (module) => !module.join().includes('253,128,2') && validate(module);
    }));
    assert.deepEqual(engines, ['/pkg/fogline_edge_bg.wasm']);
    assert.deepEqual(answers, relaxed.answers);
  });

  test('one without SIMD gets the same answers', async () => {
    // Without SSSE3, V8 has no SIMD; a flag simulates that.
    const old = await launch({ args: ['--js-flags=--no-enable-ssse3'] });
    try {
      const { engines, answers } = await runWith(old);
      assert.deepEqual(engines, ['/pkg/scalar/fogline_edge_bg.wasm']);
      assert.deepEqual(answers, relaxed.answers);
    } finally {
      await old.close();
    }
  });
});
