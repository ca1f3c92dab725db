// The cloud switch: on, slow, off; degraded answers are marked.

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

  /** The times on the newest card, and the function's time in the response's header. */
  const timed = async (mode) => {
    const [answer, result] = await Promise.all([page.waitForResponse('**/cloud/infer'), ask(mode)]);
    const { edgeMs, wireMs, functionMs } = await page.locator('#results article').first().evaluate((card) => ({ ...card.dataset }));
    const said = /\bfogline;dur=([\d.]+)/.exec(answer.headers()['server-timing'] ?? '');
    const cost = await page.locator('#results article .cost').first().textContent();
    return { edge: Number(edgeMs), wire: Number(wireMs), cloud: Number(functionMs), said: Number(said?.[1]), total: result.totalMs, cost };
  };

  test('an answer breaks its time down into edge, network and cloud', async () => {
    const { edge, wire, cloud, said, total, cost } = await timed('on');
    assert.ok(edge > 0 && wire > 0 && cloud > 0, `${edge} ${wire} ${cloud} ms`);
    assert.equal(cloud, said, 'the cloud\'s time is what the function says');
    assert.ok(Math.abs(edge + wire + cloud - total) < 0.01, `${edge} + ${wire} + ${cloud} is ${total} ms`);
    assert.match(cost, /[\d.]+ ms on this device, [\d.]+ ms on the network, [\d.]+ ms in the cloud, [\d.]+ ms in total/);
  });

  test('without the function\'s own time, network and cloud are one figure', async () => {
    await page.route('**/cloud/infer', async (route) => {
      const answer = await route.fetch();
      const { 'server-timing': said, ...headers } = answer.headers();
      assert.ok(said, 'there was something to take away');
      await route.fulfill({ response: answer, headers });
    });
    const { cost } = await timed('on');
    await page.unroute('**/cloud/infer');
    assert.match(cost, / on this device, [\d.]+ ms on the network and in the cloud, /);
  });

  test('off: the best exit guesses, nothing is sent, and it is called degraded', async () => {
    const { degraded, bytes, origin } = await ask('off');
    assert.deepEqual({ degraded, bytes }, { degraded: 'no_cloud', bytes: 0 });
    assert.match(origin, /^exit-/);
    assert.equal(await page.locator('[data-name="cloud"]').getAttribute('data-state'), 'failed');
    assert.equal(await page.getAttribute('#page', 'data-cloud'), 'off');
  });

  test('slow: the answer comes, late', async () => {
    const { wire, cloud, said } = await timed('slow');
    // The delay counts as network time, not as the function's.
    assert.ok(wire > 2500, `${wire} ms on the network`);
    assert.equal(cloud, said);
  });

  test('a function that wants a token gets the one that a visitor types, and no other', async () => {
    const asked = [];
    const refuse = (route) => route.fulfill({ status: 401, json: { error: 'unauthorized', message: 'this function takes requests with a token' } });
    await page.route('**/cloud/infer', (route) => {
      const token = route.request().headers().authorization;
      asked.push(token);
      return token === 'Bearer right' ? route.continue() : refuse(route);
    });
    assert.ok(await page.isHidden('#cloud-door'));
    // The page shows it as soon as it opens.
    const other = await openPage(browser.context, pageAddress(), (fresh) => fresh.route('**/cloud/health', refuse));
    await other.locator('#cloud-door').waitFor();
    await other.close();
    assert.equal((await ask('on')).degraded, 'unauthorized');
    assert.equal(await page.getAttribute('#page', 'data-cloud'), 'closed');
    const type = async (token) => {
      await page.fill('#token', token);
      const [{ origin, degraded }] = await cardsOf(page, () => page.press('#token', 'Enter'));
      return origin === 'cloud' ? 'cloud' : degraded;
    };
    assert.equal(await type('wrong'), 'unauthorized');
    assert.match(await page.textContent('#cloud-state'), /rejected this token/);
    assert.equal(await page.evaluate(() => document.activeElement.id), 'token');
    await page.fill('#token', 'not…ASCII');
    assert.ok(!await page.locator('#token').evaluate((input) => input.checkValidity()));
    assert.equal(await type(' right '), 'cloud');
    assert.notEqual(await page.evaluate(() => document.activeElement.nodeName), 'BODY');
    assert.deepEqual(asked, [undefined, 'Bearer wrong', 'Bearer right']);
    assert.ok(await page.isHidden('#cloud-door'));
    await page.unroute('**/cloud/infer');
  });

  test('on: as before', async () => {
    const { origin, totalMs } = await ask('on');
    assert.equal(origin, 'cloud');
    assert.ok(totalMs < 2500, `${totalMs} ms`);
    assert.equal(await page.locator('[data-name="cloud"]').getAttribute('data-state'), 'sure');
  });
});
