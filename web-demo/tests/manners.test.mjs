// Accessibility, keyboard use, small screens, and no requests to third parties.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, jumpsOf, openPage, runAll } from './page.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PHONE = { width: 360, height: 740 };

describe('manners', () => {
  let browser;
  let page;
  const asked = new Set();

  before(async () => {
    browser = await launch();
    page = await openPage(browser.context, pageAddress(), async (fresh) => {
      fresh.on('request', (request) => asked.add(new URL(request.url()).origin));
    });
    await runAll(page);
    await page.setInputFiles('#file', ['ship', 'frog'].flatMap((name) => Array.from({ length: 13 }, () => new URL(`../samples/${name}.png`, import.meta.url).pathname)));
    await page.waitForSelector('#batch[data-state="done"]');
  });
  after(() => browser?.close());

  test('nobody but the page\'s own server is asked for anything', () => {
    assert.deepEqual([...asked].filter((origin) => origin !== 'null'), [new URL(pageAddress()).origin]);
  });

  test('the content policy allows no inline code, no inline style and no eval', async () => {
    const policy = await page.getAttribute('meta[http-equiv="Content-Security-Policy"]', 'content');
    assert.match(policy, /script-src 'self' 'wasm-unsafe-eval';/);
    assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'|\*[ ;]/);
  });

  test('nor does it allow a map to go anywhere but to a function, whatever the configuration says', async () => {
    const asked = [];
    const stranger = createServer((request, response) => {
      asked.push(request.url);
      response.writeHead(204, { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' }).end();
    });
    await new Promise((ready) => { stranger.listen(0, '127.0.0.1', ready); });
    const misled = await openPage(browser.context, pageAddress(), (fresh) => fresh.route('**/config.json', async (route) => {
      const config = await (await route.fetch()).json();
      await route.fulfill({ json: { ...config, cloud: `http://127.0.0.1:${stranger.address().port}` } });
    }));
    const cards = await runAll(misled);
    assert.ok(cards.some(({ degraded }) => degraded === 'cloud_unreachable'), 'a hard one was there');
    assert.deepEqual(asked, []);
    await misled.close();
    stranger.close();
  });

  test('nothing jumps while the page loads and answers', async () => {
    const { sum, shifts } = await jumpsOf(browser.context, pageAddress());
    // Web Vitals considers up to 0.1 good.
    assert.ok(sum < 0.02, JSON.stringify(shifts));
  });

  for (const [colorScheme, size] of [['light', null], ['dark', null], ['light', PHONE]]) {
    test(`axe finds nothing serious: ${colorScheme}${size ? ', on a phone' : ''}`, async () => {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      if (size) await page.setViewportSize(size);
      // The content security policy blocks injected scripts, but not those evaluated by the debugger.
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => window.axe.run());
      const found = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
      assert.deepEqual(found.map(({ id, nodes }) => [id, ...nodes.map(({ html }) => html.slice(0, 120))]), []);
    });
  }

  test('on a phone nothing is cut off, and the network stands upright', async () => {
    await page.setViewportSize(PHONE);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), PHONE.width);
    const [first, second] = await page.locator('.stage').evaluateAll((stages) => stages.map((stage) => stage.getBoundingClientRect().top));
    assert.ok(second > first);
  });

  test('on a phone a sample\'s answer is seen where the sample is', async () => {
    const phone = await openPage(browser.context, pageAddress(), (fresh) => fresh.setViewportSize(PHONE));
    await cardsOf(phone, () => phone.locator('#samples button').last().click());
    const seen = (what) => phone.locator(what).evaluate((element) => {
      const { top, bottom } = element.getBoundingClientRect();
      return top >= 0 && bottom < innerHeight + 1;
    });
    assert.deepEqual([await seen('#shown'), await seen('#samples')], [true, true]);
    await phone.close();
  });

  test('every control is reached by keyboard, in the order of the page', async () => {
    await page.setViewportSize({ width: 1280, height: 900 });
    const reached = [];
    // Tab through twice: wherever the browser starts, the second round is complete.
    for (let step = 0; step < 100; step += 1) {
      await page.keyboard.press('Tab');
      reached.push(await page.evaluate(() => document.activeElement.id || document.activeElement.dataset.sample));
    }
    reached.splice(0, reached.indexOf('airplane.png'));
    const wanted = ['airplane.png', 'run-all', 'file', 'folder', 'webcam', 'policy', 'threshold-exit-1', 'threshold-exit-2', 'reset', 'clear'];
    assert.deepEqual(reached.filter((id) => wanted.includes(id)).slice(0, wanted.length), wanted);
  });
});
