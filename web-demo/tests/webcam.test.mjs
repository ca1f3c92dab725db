// The webcam: permission first, then frame by frame, with the newest frame taking priority.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { openPage, problemOf } from './page.mjs';

describe('the webcam', () => {
  let browser;
  let page;

  before(async () => {
    // Chromium's fake camera, with permission granted.
    browser = await launch({ args: ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'] });
    page = await openPage(browser.context, pageAddress());
  });
  after(() => browser?.close());

  test('frames light their ways until the visitor has enough', async () => {
    await page.click('#webcam');
    await page.waitForFunction(() => document.querySelector('#video').videoWidth > 0);
    await page.waitForFunction(() => document.querySelector('#network').hasAttribute('data-lit'));
    assert.ok(await page.locator('#video').isVisible());
    const frames = await page.evaluate(() => new Promise((resolve) => {
      let seen = 0;
      const observer = new MutationObserver(() => {
        seen += 1;
        if (seen === 3) {
          observer.disconnect();
          resolve(seen);
        }
      });
      observer.observe(document.querySelector('#answer'), { childList: true });
    }));
    assert.equal(frames, 3);
    await page.click('#webcam');
    await page.locator('#video').waitFor({ state: 'hidden' });
    assert.equal(await page.locator('#results article').count(), 0, 'frames are shown, not collected');
    assert.equal(await page.textContent('#problems'), '');
  });

  test('however fast the button is pressed, no camera is left on', async () => {
    await page.evaluate(() => {
      const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      window.streams = [];
      navigator.mediaDevices.getUserMedia = async (what) => {
        const stream = await ask(what);
        window.streams.push(stream);
        return stream;
      };
    });
    for (const presses of [2, 3, 1]) {
      await page.evaluate((count) => Array.from({ length: count }, () => document.querySelector('#webcam').click()), presses);
      const on = presses === 3;
      await page.waitForFunction((many) => window.streams.filter((stream) => stream.active).length === many, Number(on));
      assert.equal(await page.getAttribute('#webcam', 'aria-pressed'), String(on));
    }
    assert.equal(await page.textContent('#problems'), '');
  });

  test('over a slow line frames are answered all the same', async () => {
    for (const slider of await page.locator('#thresholds input').all()) {
      await slider.evaluate((one) => {
        one.value = 0;
        one.dispatchEvent(new Event('input'));
      });
    }
    await page.route('**/cloud/infer', async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 1000));
      await route.continue().catch(() => {}); // where the webcam was stopped meanwhile, nobody waits for it any more
    });
    await page.click('#webcam');
    await page.locator('#answer [data-outcome="cloud"]').waitFor();
    await page.click('#webcam');
    await page.locator('#video').waitFor({ state: 'hidden' });
    await page.unroute('**/cloud/infer');
  });

  test('a newer frame takes the place of one that waits too long for the cloud', async () => {
    const given = [];
    page.on('requestfailed', (request) => {
      if (request.url().endsWith('/infer')) given.push(request.failure().errorText);
    });
    // The cloud never answers, as on a bad connection, so each new frame must replace the one before.
    await page.route('**/cloud/infer', () => {});
    await page.click('#webcam');
    for (const until = Date.now() + 20_000; given.length < 2 && Date.now() < until;) await page.waitForTimeout(100);
    await page.click('#webcam');
    await page.locator('#video').waitFor({ state: 'hidden' });
    await page.unroute('**/cloud/infer');
    assert.ok(given.length >= 2 && given.every((why) => why.includes('ABORTED')), given.join(', '));
    assert.equal(await page.textContent('#problems'), '', 'a frame that was given up is no problem');
  });

  test('a visitor who refuses is told what that means', async () => {
    const shy = await launch({ args: ['--use-fake-device-for-media-stream', '--deny-permission-prompts'] });
    try {
      const other = await openPage(shy.context, pageAddress());
      const { code } = await problemOf(other, () => other.click('#webcam'));
      assert.equal(code, 'webcam_refused');
      assert.equal(await other.getAttribute('#webcam', 'aria-pressed'), 'false');
    } finally {
      await shy.close();
    }
  });
});
