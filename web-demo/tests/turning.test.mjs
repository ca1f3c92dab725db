// A batch's figures follow the thresholds, the policy and the pair: they are recomputed from its scores, or marked as outdated.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { zipSync } from 'fflate';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage } from './page.mjs';

const SAMPLES = new URL('../samples/', import.meta.url);
const drawings = readdirSync(SAMPLES).filter((file) => file.endsWith('.png'));

describe('a batch that is turned', () => {
  const root = mkdtempSync(join(tmpdir(), 'fogline-turning-'));
  let browser;
  let page;
  let own;

  before(async () => {
    for (const [at, file] of drawings.entries()) {
      // One picture is in the wrong class's folder.
      const folder = join(root, at === 0 ? 'dog' : file.replace('.png', ''));
      mkdirSync(folder, { recursive: true });
      cpSync(new URL(file, SAMPLES), join(folder, file));
    }
    browser = await launch();
    page = await openPage(browser.context, pageAddress());
    await run(() => page.setInputFiles('#folder', root));
    own = await report();
  });
  after(async () => {
    await browser?.close();
    rmSync(root, { recursive: true });
  });

  const run = async (act) => {
    await page.locator('#batch').evaluate((batch) => batch.removeAttribute('data-state'));
    await act();
    await page.waitForSelector('#batch[data-state="done"]');
  };

  /** The report's figures, its histogram of exits, and its confusion matrix. */
  const report = async () => ({
    ...await page.locator('.report').evaluate((element) => ({ ...element.dataset })),
    ended: await page.locator('.histogram li').evaluateAll((all) => all.map((row) => [...row.children].map(({ textContent }) => textContent).join(' ').trim())),
    cells: await page.locator('.confusion td').allTextContents(),
    energy: await page.locator('.figures').evaluate((list) => /[\d.]+ times/.exec(list.textContent)?.[0]),
  });

  /** Drags sliders without releasing them, so that no picture is classified. */
  const turn = async (values) => {
    for (const [exit, value] of values.entries()) {
      await page.locator(`[id="threshold-exit-${exit + 1}"]`).evaluate((slider, to) => {
        slider.value = to;
        slider.dispatchEvent(new Event('input'));
      }, value);
    }
    await page.evaluate(() => new Promise((resolve) => {
      requestAnimationFrame(() => requestAnimationFrame(resolve));
    }));
  };

  const again = () => run(() => page.click('#batch-again'));

  test('what the first exit answers then is known without asking anybody, and is what another run says', async () => {
    let asked = 0;
    await page.route('**/cloud/infer', (route) => {
      asked += 1;
      return route.continue();
    });
    await turn([99, 99]);
    const reckoned = await report();
    assert.equal(asked, 0);
    assert.deepEqual([reckoned.unknown, reckoned.bytes], ['0', '0']);
    assert.equal(reckoned.ended[0], `Exit 1  ${drawings.length}`);
    await run(() => page.setInputFiles('#folder', root));
    assert.deepEqual(await report(), reckoned);
    await page.unroute('**/cloud/infer');
  });

  test('what would go further than it went is counted, not guessed, and answered at a press', async () => {
    await turn([0, 0]);
    const open = await report();
    assert.equal(open.unknown, String(drawings.length));
    assert.match(await page.textContent('.further'), new RegExp(`^${drawings.length} pictures would now go further than in this run`));
    const figures = await page.locator('.figures strong').allTextContents();
    assert.deepEqual(figures.slice(0, 4), ['–', '–', '–', '–']);
    assert.doesNotMatch(await page.textContent('#curve-text'), /This batch/);
    await again();
    const cloud = await report();
    assert.deepEqual([cloud.unknown, cloud.ended.at(-1)], ['0', `Cloud  ${drawings.length}`]);
    assert.match(await page.textContent('#curve-text'), /This batch: 100% to the cloud/);
  });

  test('a slider that is turned while a batch runs is followed at its end', async () => {
    let release;
    const held = new Promise((resolve) => {
      release = resolve;
    });
    await page.route('**/cloud/infer', async (route) => {
      await held;
      await route.continue();
    });
    await page.locator('#batch').evaluate((batch) => batch.removeAttribute('data-state'));
    await page.setInputFiles('#folder', root);
    await page.waitForFunction(() => document.querySelector('#batch-progress').value > 0 || document.querySelector('#batch').dataset.state === 'running');
    await turn([99, 99]);
    assert.equal(await page.locator('.report').count(), 0, 'no report of half a batch');
    release();
    await page.waitForSelector('#batch[data-state="done"]');
    await page.unroute('**/cloud/infer');
    assert.equal((await report()).ended[0], `Exit 1  ${drawings.length}`);
  });

  test('back at the pair\'s own thresholds every figure is as it was', async () => {
    await page.click('#reset');
    await page.waitForFunction((bytes) => document.querySelector('.report').dataset.bytes === bytes, own.bytes);
    assert.deepEqual(await report(), own);
  });

  test('another measure is reckoned from the same scores, as a run by it is', async () => {
    await page.selectOption('#policy', 'margin');
    await page.waitForFunction(() => document.querySelector('#controls #policy').value === 'margin');
    await turn([]);
    const reckoned = await report();
    assert.equal(reckoned.unknown, '0');
    await run(() => page.setInputFiles('#folder', root));
    assert.deepEqual(await report(), reckoned);
    await page.selectOption('#policy', 'entropy');
  });

  test('maps that take more than the picture files are said to, and why', async () => {
    const tiny = await page.evaluate(async () => {
      const canvas = new OffscreenCanvas(8, 8);
      canvas.getContext('2d').fillRect(0, 0, 4, 8);
      return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())];
    });
    await turn([0, 0]);
    await run(() => page.setInputFiles('#file', { name: 'a.zip', mimeType: 'application/zip', buffer: Buffer.from(zipSync({ 'cat/a.png': new Uint8Array(tiny) })) }));
    const text = await page.textContent('.report');
    assert.match(text, /sent\. The picture files have only \d+ bytes: a map takes about as many for every picture/);
    assert.doesNotMatch(text, /instead of/);
    await page.click('#reset');
  });

  test('the pictures behind a count are shown, and one that is pressed is answered', async () => {
    await run(() => page.setInputFiles('#folder', root));
    const wrong = page.locator('.confusion td:not([data-right]) button').first();
    await wrong.click();
    assert.match(await page.textContent('.behind'), /classified as .*, most confident first/);
    const picture = page.locator('.behind button').first();
    assert.ok(await picture.locator('img').evaluate((image) => image.decode().then(() => image.naturalWidth > 0)));
    const path = await picture.getAttribute('title');
    const [card] = await cardsOf(page, () => picture.click());
    assert.equal(card.picture, path.split('/').at(-1));
  });

  test('those in a zip too, though another has been opened since', async () => {
    const zip = (name, file) => ({
      name,
      mimeType: 'application/zip',
      buffer: Buffer.from(zipSync({ [`ship/${file}`]: readFileSync(new URL(file, SAMPLES)) })),
    });
    await run(() => page.setInputFiles('#file', [zip('a.zip', 'ship.png'), zip('b.zip', 'frog.png')]));
    await page.locator('.confusion td[data-right] button').click();
    const [card] = await cardsOf(page, () => page.locator('.behind button').click());
    assert.deepEqual([card.picture, card.label], ['ship/ship.png', 'ship']);
  });

  test('of another pair the batch is marked as the earlier one\'s, and runs again at a press', async () => {
    await run(() => page.setInputFiles('#folder', root));
    await cardsOf(page, () => page.locator('#samples button').first().click());
    const first = await page.textContent('#model-select option:checked');
    const other = await page.locator('#model-select option:not(:checked)').first().textContent();
    const before = await report();
    // The shown picture is classified again by the new pair.
    await cardsOf(page, () => page.selectOption('#model-select', { label: other }));
    assert.ok((await page.textContent('#batch-owner')).includes(`These answers are from the previous model, ${first}`));
    assert.ok(await page.locator('#batch').evaluate((batch) => batch.hasAttribute('data-earlier')));
    assert.deepEqual(await report(), before, 'as it was left');
    assert.doesNotMatch(await page.textContent('#curve-text'), /This batch/);
    assert.equal(await page.getAttribute('#tally', 'data-total'), '1', 'the tally is of the new pair');
    assert.ok((await page.locator('#results .name').nth(1).textContent()).endsWith(`by ${first}`));
    await run(() => page.click('#batch-owner button'));
    assert.ok(await page.isHidden('#batch-owner'));
    assert.equal((await report()).done, String(drawings.length));
    await page.selectOption('#model-select', { label: first });
    await page.locator('#batch-owner', { hasText: other }).waitFor();
  });
});
