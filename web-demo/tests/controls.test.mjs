// The controls: thresholds, policy, the slider along the calibration curve, and the pair.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { percent } from '../page/words.js';
import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage } from './page.mjs';

const TINY = new URL('../../edge-wasm/tests/tiny/', import.meta.url);

describe('controls', () => {
  let browser;
  let page;

  before(async () => {
    browser = await launch();
    page = await openPage(browser.context, pageAddress());
    await cardsOf(page, () => page.locator('#samples button').first().click());
  });
  after(() => browser?.close());

  /** Moves a slider to `value`, as a drag would, and returns the resulting card. */
  const turn = (id, value) => cardsOf(page, () => page.locator(`[id="${id}"]`).evaluate((slider, to) => {
    slider.value = to;
    slider.dispatchEvent(new Event('input'));
    slider.dispatchEvent(new Event('change'));
  }, value));

  const thresholds = () => page.locator('#thresholds output').allTextContents();

  test('with no entropy allowed, a picture goes all the way to the cloud', async () => {
    const own = await thresholds();
    await turn('threshold-exit-1', 0);
    const [gone] = await turn('threshold-exit-2', 0);
    assert.equal(gone.origin, 'cloud');
    assert.equal(await page.locator('[data-name="split"]').getAttribute('data-state'), 'passed');
    const [back] = await cardsOf(page, () => page.click('#reset'));
    assert.match(back.origin, /^exit-/);
    assert.deepEqual(await thresholds(), own);
  });

  test('with any entropy allowed, the first exit is sure of everything', async () => {
    const [kept] = await turn('threshold-exit-1', 99);
    assert.equal(kept.origin, 'exit-1');
    await cardsOf(page, () => page.click('#reset'));
  });

  test('another measure decides by its own thresholds, and the exits say so', async () => {
    const own = await thresholds();
    await cardsOf(page, () => page.selectOption('#policy', 'margin'));
    assert.notDeepEqual(await thresholds(), own);
    assert.match(await page.locator('[data-name="exit-1"] .measure').textContent(), /^lead over the second \d/);
    await cardsOf(page, () => page.selectOption('#policy', 'entropy'));
    assert.deepEqual(await thresholds(), own);
  });

  test('along the calibration\'s curve, where the pair has one, thresholds, chart and words move together', async () => {
    const address = await page.evaluate(() => fetch('config.json').then((answer) => answer.json()).then(({ model }) => model));
    const { curves } = await (await page.request.get(new URL(address, pageAddress()).href)).json();
    assert.equal(await page.locator('#trade-line').isVisible(), Boolean(curves));
    if (!curves) return;
    const [cloud] = await turn('trade', curves.entropy.length - 1);
    assert.equal(cloud.origin, 'cloud', 'nothing is kept');
    assert.match(await page.textContent('#curve-text'), /Current thresholds,[^.]*: 100% to the cloud/);
    const [edge] = await turn('trade', 0);
    assert.match(edge.origin, /^exit-/, 'everything is kept');
    assert.match(await page.textContent('#curve-text'), /Current thresholds,[^.]*: 0% to the cloud.*times less energy/);
    assert.ok(await page.locator('#chart canvas').isVisible());
    const report = await page.request.get(new URL(address.replace('manifest', 'report'), pageAddress()).href);
    const { paper } = await report.json();
    assert.ok((await page.textContent('#curve-text')).includes(`The paper: ${percent(1 - paper.edge_share)} to the cloud`));
    await turn('threshold-exit-1', 1.234);
    assert.match(await page.textContent('#curve-text'), /never tried/);
    await cardsOf(page, () => page.click('#reset'));
  });

  test('another pair is drawn as it is', async () => {
    const both = await openPage(browser.context, pageAddress(), async (fresh) => {
      await fresh.route('**/config.json', async (route) => {
        const config = await (await route.fetch()).json();
        await route.fulfill({ json: { ...config, models: [config.model, 'models/tiny-w1/1.0.0/manifest.json'] } });
      });
      await fresh.route('**/models/tiny-w1/1.0.0/*', (route) => {
        const file = new URL(route.request().url()).pathname.split('/').at(-1);
        return file === 'report.json' ? route.fulfill({ status: 204 }) : route.fulfill({ body: readFileSync(new URL(file, TINY)) });
      });
    });
    const classes = () => both.locator('[data-name="exit-1"] .class').allTextContents();
    assert.ok((await classes()).includes('airplane'));
    await both.selectOption('#model-select', { label: 'tiny-w1 1.0.0' });
    await both.locator('#model-facts', { hasText: 'tiny-w1' }).waitFor();
    const { classes: tiny, split } = JSON.parse(readFileSync(new URL('manifest.json', TINY)));
    assert.deepEqual(await classes(), tiny.slice(0, 10));
    assert.ok((await both.textContent('.packed')).includes(split.shape.join(' × ')));
    await cardsOf(both, () => both.locator('#samples button').first().click());
    await both.close();
  });
});
