// The cloud's switch: on, slow, off; a visitor sees which answers lack it.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

describe('the cloud\'s switch', () => {
  let browser;
  let page;
  let hard;

  before(async () => {
    browser = await launch();
    page = await openPage(browser.context, pageAddress());
    hard = (await runAll(page)).find(({ origin }) => origin === 'cloud');
    assert.ok(hard, 'no sample goes to the cloud');
  });
  after(() => browser?.close());

  const ask = async (mode) => {
    await page.check(`input[name="cloud"][value="${mode}"]`);
    const [result] = await cardsOf(page, () => page.click(`button[data-sample="${hard.sample}"]`));
    return result;
  };

  test('off: the best exit guesses, nothing is sent, and it is called degraded', async () => {
    const { degraded, bytes, origin } = await ask('off');
    assert.deepEqual({ degraded, bytes }, { degraded: 'no_cloud', bytes: 0 });
    assert.match(origin, /^exit-/);
    assert.equal(await page.locator('[data-name="cloud"]').getAttribute('data-state'), 'failed');
    assert.equal(await page.getAttribute('#page', 'data-cloud'), 'off');
  });

  test('slow: the answer comes, late', async () => {
    const { origin, totalMs } = await ask('slow');
    assert.equal(origin, 'cloud');
    assert.ok(totalMs > 2500, `${totalMs} ms`);
  });

  test('on: as before', async () => {
    const { origin, totalMs } = await ask('on');
    assert.equal(origin, 'cloud');
    assert.ok(totalMs < 2500, `${totalMs} ms`);
    assert.equal(await page.locator('[data-name="cloud"]').getAttribute('data-state'), 'sure');
  });
});
