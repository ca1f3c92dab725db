// While waiting for the cloud, the page shows the picture, its exits and its map, and the visitor can cancel.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

describe('a picture on its way to the cloud', () => {
  let browser;
  let page;
  let hard;
  let easy;
  let release;

  before(async () => {
    browser = await launch();
    page = await openPage(browser.context, pageAddress());
    const results = await runAll(page);
    hard = results.find(({ origin }) => origin === 'cloud');
    easy = results.find(({ origin }) => origin === 'exit-1');
    // The test decides when the cloud answers.
    await page.route('**/cloud/infer', async (route) => {
      await new Promise((resolve) => {
        release = resolve;
      });
      await route.continue().catch(() => {});
    });
  });
  after(() => browser?.close());

  const press = ({ sample }) => page.click(`button[data-sample="${sample}"]`);
  const state = (name) => page.getAttribute(`[data-name="${name}"]`, 'data-state');
  const waiting = () => page.locator('[data-name="cloud"][data-state="waiting"]').waitFor();
  const picture = () => page.getAttribute('#subject canvas', 'aria-label');

  /** Presses the easy sample, then the hard one; returns what is shown before the cloud answers. */
  const ask = async () => {
    await cardsOf(page, () => press(easy));
    const before = await page.locator('#results article').count();
    await press(hard);
    await waiting();
    assert.equal(await page.locator('#results article').count(), before, 'no answer yet');
  };

  test('the new picture stands there at once, with its exits and its map, and the cloud pulses', async () => {
    await ask();
    assert.equal(await picture(), `The picture ${hard.sample}`);
    assert.deepEqual([await state('exit-1'), await state('split')], ['passed', 'passed']);
    const shares = await page.locator('[data-name="exit-1"] .share').allTextContents();
    assert.ok(shares.every((share) => share.endsWith('%')), shares.join());
    assert.match(await page.textContent('#answer'), /\? \d+% asking the cloud….* a map of 1,024 bytes is on its way/);
    const animated = await page.locator('[data-name="cloud"] .head').evaluate((head) => head.getAnimations().length);
    assert.ok(animated > 0, 'it pulses');
    // Not blank: a map of signs has both colours, and the lines between channels are transparent.
    const colours = await page.locator('#map canvas').evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    assert.equal(colours, 3);
    const [card] = await cardsOf(page, () => release());
    assert.deepEqual([card.origin, card.label], ['cloud', hard.label]);
    assert.equal(await state('cloud'), 'sure');
    assert.ok(await page.isVisible('#map'), 'the map stays beside its answer');
    assert.ok(await page.isHidden('#answer-cancel'));
  });

  test('of a picture that stays no map is shown', async () => {
    await cardsOf(page, () => press(easy));
    assert.ok(await page.isHidden('#map'));
  });

  test('whoever does not wait cancels, keeps the best guess, and goes on', async () => {
    await ask();
    const cards = await page.locator('#results article').count();
    await page.click('#answer-cancel');
    await page.locator('[data-name="cloud"][data-state="failed"]').waitFor();
    assert.match(await page.textContent('#answer'), /cancelled: best guess by exit \d/);
    assert.notEqual(await page.evaluate(() => document.activeElement.nodeName), 'BODY');
    release();
    assert.equal(await page.locator('#results article').count(), cards, 'a cancelled picture has no answer');
    assert.equal(await page.textContent('#problems'), '');
    const [next] = await cardsOf(page, () => press(easy));
    assert.equal(next.origin, 'exit-1');
  });

  test('a cloud that is switched off is said to be, and nothing is drawn on its way there', async () => {
    await page.check('input[name="cloud"][value="off"]');
    await cardsOf(page, () => press(hard));
    assert.deepEqual([await state('split'), await state('cloud')], ['held', 'failed']);
    const said = await page.textContent('#answer');
    assert.match(said, /the cloud is switched off/);
    assert.doesNotMatch(said, /configured/);
    const arrow = await page.locator('#network .beyond').evaluate((part) => getComputedStyle(part, '::before').content);
    assert.equal(arrow, '"✗"');
    await page.check('input[name="cloud"][value="on"]');
  });
});
