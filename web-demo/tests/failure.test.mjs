// What the page shows if a part fails: the cloud, the model, the engine, the configuration.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

describe('failures', () => {
  let address;
  let browser;
  let hard;
  const visitors = [];

  before(async () => {
    address = pageAddress();
    browser = await launch();
    const page = await openPage(browser.context, address);
    hard = (await runAll(page)).find(({ origin }) => origin === 'cloud');
    assert.ok(hard, 'no sample goes to the cloud, so nothing can be tested on its loss');
    await page.close();
  });
  after(() => Promise.all([browser, ...visitors].map((one) => one?.close())));

  /** The hard sample's card if the cloud responds with `answer`. */
  const withoutCloud = async (answer) => {
    const page = await openPage(browser.context, address, (fresh) => fresh.route('**/cloud/**', answer));
    const [result] = await cardsOf(page, () => page.click(`button[data-sample="${hard.sample}"]`));
    assert.match(result.origin, /^exit-\d+$/, 'an exit answers instead');
    assert.notEqual(result.label, '');
    const shown = await page.locator('#results article').first().textContent();
    assert.match(shown, /degraded/i, 'the card says so in words');
    assert.ok(shown.includes(result.degraded), `the card names the reason: ${result.degraded}`);
    assert.equal(await page.getAttribute('#tally', 'data-stayed'), '0', 'a fallback is not counted as staying');
    return { page, result };
  };

  test('with the cloud out of reach a hard sample gets a marked answer', async () => {
    const { page, result } = await withoutCloud((route) => route.abort());
    assert.equal(result.degraded, 'cloud_unreachable');
    await page.unroute('**/cloud/**');
    const [healed] = await cardsOf(page, () => page.click(`button[data-sample="${hard.sample}"]`));
    assert.equal(healed.origin, 'cloud', 'the cloud is asked again once it is back');
    await page.close();
  });

  test('with a cloud that refuses, too', async () => {
    const { page, result } = await withoutCloud((route) => route.fulfill({
      status: 503,
      contentType: 'application/json',
      body: JSON.stringify({ error: 'not_ready', message: 'No verified plan is loaded yet.' }),
    }));
    assert.ok(result.degraded);
    await page.close();
  });

  test('with a cloud that answers rubbish, too', async () => {
    const { page, result } = await withoutCloud((route) => route.fulfill({ status: 200, body: '<html>Welcome to the hotel Wi-Fi</html>' }));
    assert.ok(result.degraded);
    await page.close();
  });

  /** The error code on a page that cannot load its model because `pattern` gets `answer`. */
  const brokenPage = async (pattern, answer) => {
    // Use a fresh browser: a cached model would not be downloaded.
    const visitor = await launch();
    visitors.push(visitor);
    const page = await visitor.context.newPage();
    await page.route(pattern, answer);
    await page.goto(address);
    await page.waitForSelector('#page[data-model="failed"]');
    const code = await page.getAttribute('#page', 'data-error');
    assert.ok((await page.textContent('#model-problem')).includes(code), 'the visitor sees it');
    assert.ok(await page.locator('#run-all').isDisabled(), 'nothing can be asked of no model');
    assert.ok(await page.getByRole('button', { name: 'Try again' }).isVisible());
    return { page, code };
  };

  test('a corrupted edge.fog is refused, and trying again helps once it is whole', async () => {
    const { page, code } = await brokenPage('**/edge.fog*', async (route) => {
      const answer = await route.fetch();
      const bytes = await answer.body();
      bytes[Math.floor(bytes.length / 2)] ^= 0x10;
      await route.fulfill({ response: answer, body: bytes });
    });
    assert.equal(code, 'model_corrupt');
    await page.unroute('**/edge.fog*');
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.waitForSelector('#page[data-model="ready"]');
    await page.close();
  });

  test('a missing engine is a sentence on the page', async () => {
    const { page, code } = await brokenPage('**/pkg/**', (route) => route.fulfill({ status: 404 }));
    assert.equal(code, 'engine_missing');
    await page.close();
  });

  test('a missing config.json is a sentence on the page', async () => {
    const { page, code } = await brokenPage('**/config.json', (route) => route.fulfill({ status: 404 }));
    assert.equal(code, 'config_missing');
    await page.close();
  });
});
