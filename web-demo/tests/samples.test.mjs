// The samples: all are answered, some on the device and some in the cloud, and the page sends exactly the bytes it reports.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

describe('samples', () => {
  const complaints = [];
  const posts = [];
  let browser;
  let page;
  let results;

  before(async () => {
    const address = pageAddress();
    browser = await launch();
    page = await openPage(browser.context, address, async (fresh) => {
      fresh.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      fresh.on('pageerror', (error) => complaints.push(String(error)));
      fresh.on('request', (request) => {
        if (request.method() !== 'GET') posts.push(request);
      });
    });
    posts.length = 0;
    results = await runAll(page);
  });
  after(() => browser?.close());

  test('the page loads and works without a complaint in the console', () => {
    assert.deepEqual(complaints, []);
  });

  test('every sample is answered, with where the answer came from', () => {
    assert.ok(results.length >= 6, `${results.length} samples`);
    for (const result of results) {
      assert.match(result.origin, /^(exit-\d+|cloud)$/, result.sample);
      assert.notEqual(result.label, '', result.sample);
      assert.ok(result.confidence > 0 && result.confidence <= 1, result.sample);
      assert.equal(result.degraded, null, `${result.sample} is degraded though the cloud is up`);
    }
  });

  test('some samples stay on the device and some go to the cloud', () => {
    const origins = results.map(({ sample, origin }) => `${sample}: ${origin}`).join(', ');
    assert.ok(results.some(({ origin }) => origin !== 'cloud'), `none stayed: ${origins}`);
    assert.ok(results.some(({ origin }) => origin === 'cloud'), `none went: ${origins}`);
  });

  test('an edge answer sends 0 bytes, a cloud answer one coded map', () => {
    for (const { sample, origin, bytes } of results) {
      if (origin === 'cloud') {
        assert.ok(bytes >= 400 && bytes < 1024, `${sample}: ${bytes} bytes`);
      } else {
        assert.equal(bytes, 0, sample);
      }
    }
  });

  test('what the network saw is what the page says', () => {
    const sent = posts.map((request) => request.postDataBuffer()?.length ?? 0);
    const said = results.filter(({ origin }) => origin === 'cloud').map(({ bytes }) => bytes);
    assert.deepEqual(sent, said);
  });

  test('the tally and the badges say the same as the cards', async () => {
    const tally = await page.locator('#tally').evaluate((line) => ({ ...line.dataset }));
    const stayed = results.filter(({ origin }) => origin !== 'cloud').length;
    const bytes = results.reduce((sum, result) => sum + result.bytes, 0);
    assert.deepEqual(tally, { total: `${results.length}`, stayed: `${stayed}`, bytes: `${bytes}` });
    for (const { sample, origin } of results) {
      const outcome = await page.getAttribute(`button[data-sample="${sample}"]`, 'data-outcome');
      assert.equal(outcome, origin === 'cloud' ? 'cloud' : 'device', sample);
    }
  });

  test('the same picture gets the same answer again', async () => {
    const [first] = results;
    const [again] = await cardsOf(page, () => page.click(`button[data-sample="${first.sample}"]`));
    assert.deepEqual({ ...again, totalMs: 0 }, { ...first, totalMs: 0 });
  });

  test('a keyboard is enough: focus a sample, press Enter', async () => {
    await page.locator('#samples button').first().focus();
    await page.keyboard.press('Tab');
    const focused = await page.evaluate(() => document.activeElement.dataset.sample);
    const [result] = await cardsOf(page, () => page.keyboard.press('Enter'));
    assert.equal(result.sample, focused);
    const spoken = await page.textContent('#announcer');
    assert.ok(spoken.includes(result.label), `the live region says "${spoken}"`);
  });

  test('nothing is cut off at 360 pixels', async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
  });

  test('clearing leaves a clean page', async () => {
    await page.click('#clear');
    assert.equal(await page.locator('#results article').count(), 0);
    assert.equal(await page.getAttribute('#tally', 'data-total'), '0');
    assert.equal(await page.locator('#samples [data-outcome]').count(), 0);
  });
});
