// Every pair in the menu, at the widths of a phone, a tablet and a desktop: everything fits, and the classes are listed.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { aboutPair } from '../page/about.js';
import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage } from './page.mjs';

const WIDTHS = [360, 800, 1280];
const TINY = new URL('../../edge-wasm/tests/tiny/', import.meta.url);
const drawing = (name) => readFileSync(new URL(`../samples/${name}.png`, import.meta.url));

describe('pairs', () => {
  let browser;
  let page;
  before(async () => {
    browser = await launch({ reducedMotion: 'reduce' });
    page = await openPage(browser.context, pageAddress());
  });
  after(() => browser?.close());

  const press = (sample) => cardsOf(page, () => page.click(`button[data-sample="${sample}"]`));

  /** Of the page's drawings a hard and an easy one, or all that a pair brings. */
  const samples = async () => {
    const all = await page.locator('#samples button').evaluateAll((buttons) => buttons.map((button) => button.dataset.sample));
    return all.includes('cat.png') ? ['cat.png', 'automobile.png'] : all;
  };

  /** Chooses a pair and runs its first sample. */
  const open = async (label) => {
    if (await page.locator('#model-select option:checked').textContent() !== label) {
      await page.selectOption('#model-select', { label });
      await page.locator('#page[data-model="ready"]').waitFor();
      await page.locator('#model-facts', { hasText: label }).waitFor();
    }
    await page.waitForFunction(() => !document.querySelector('#results[aria-busy]'));
    await press((await samples())[0]);
  };

  /** Elements that overflow their box or overlap their neighbour. */
  const overflowing = () => page.evaluate(() => {
    const wide = [...document.querySelectorAll('#network *, #shown *, .head-line *')].filter((part) => (
      part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0 && !part.matches('video, select') && getComputedStyle(part).display !== 'inline'
    ));
    const over = [...document.querySelectorAll('#network .title')].filter(({ children: [title, verdict] }) => {
      const [a, b] = [title, verdict].map((part) => part.getBoundingClientRect());
      return a.right > b.left && a.bottom > b.top + 1;
    });
    return [...wide, ...over].map((part) => part.textContent);
  });

  test('each fits at every width, names of classes too', async () => {
    for (const label of await page.locator('#model-select option').allTextContents()) {
      await open(label);
      // The hard sample reaches every box; the widest number, '>99%', is an easy one's.
      for (const sample of await samples()) {
        await press(sample);
        for (const width of WIDTHS) {
          await page.setViewportSize({ width, height: 900 });
          assert.deepEqual(await overflowing(), [], `${label} at ${width}: ${sample}`);
          assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, label);
        }
      }
    }
  });

  test('boxes that are too full are found', async () => {
    await page.locator('.verdict').first().evaluate((verdict) => {
      verdict.textContent = 'unfathomablyunsureofeverythingthatitsees'.repeat(4);
    });
    assert.notDeepEqual(await overflowing(), []);
  });

  test('each says what it knows', async () => {
    const labels = await page.locator('#model-select option').allTextContents();
    const addresses = await page.locator('#model-select option').evaluateAll((all) => all.map(({ value }) => value));
    for (const [at, address] of addresses.entries()) {
      const manifest = await (await page.request.get(address)).json();
      await open(labels[at]);
      const said = await page.textContent('#model-about');
      assert.equal(said, aboutPair(manifest));
      assert.ok(said.startsWith(`Knows ${manifest.classes.length} classes`), said);
      const knows = manifest.samples !== undefined || ['airplane', 'cat', 'ship'].some((name) => manifest.classes.includes(name));
      assert.equal(await page.textContent('#samples-note') === '', knows, labels[at]);
    }
  });

  test('one that brings samples of its own shows those, and the next one the page\'s again', async () => {
    const other = await openPage(browser.context, pageAddress(), async (fresh) => {
      await fresh.route('**/config.json', async (route) => {
        const config = await (await route.fetch()).json();
        await route.fulfill({ json: { ...config, models: [config.model, 'models/tiny-w1/1.0.0/manifest.json'] } });
      });
      await fresh.route('**/models/tiny-w1/1.0.0/**', (route) => {
        const { pathname } = new URL(route.request().url());
        if (pathname.endsWith('/samples/index.json')) return route.fulfill({ json: [{ file: 'one.png', title: 'One', label: 'class-1' }] });
        if (pathname.endsWith('/one.png')) return route.fulfill({ contentType: 'image/png', body: drawing('frog') });
        if (pathname.endsWith('/report.json')) return route.fulfill({ status: 404 });
        const file = readFileSync(new URL(pathname.split('/').at(-1), TINY));
        return route.fulfill({ body: pathname.endsWith('.json') ? JSON.stringify({ ...JSON.parse(file), samples: 'samples/index.json' }) : file });
      });
    });
    const titles = () => other.locator('#samples .title').allTextContents();
    const drawn = await titles();
    await other.selectOption('#model-select', { label: 'tiny-w1 1.0.0' });
    await other.locator('#model-facts', { hasText: 'tiny-w1' }).waitFor();
    assert.deepEqual(await titles(), ['One']);
    assert.equal(await other.textContent('#samples-note'), '');
    await other.waitForFunction(() => !document.querySelector('#results[aria-busy]'));
    const [card] = await cardsOf(other, () => other.click('#samples button'));
    assert.equal(card.sample, 'one.png');
    await other.selectOption('#model-select', { index: 0 });
    await other.locator('#model-facts:not(:empty):not(:has-text("tiny-w1"))').waitFor();
    assert.deepEqual(await titles(), drawn);
    await other.close();
  });

  test('on a phone the hard sample is seen beside the easy one', async () => {
    const phone = await openPage(browser.context, pageAddress());
    await phone.setViewportSize({ width: 360, height: 740 });
    const { right } = await phone.locator('button[data-sample="cat.png"]').evaluate((button) => button.getBoundingClientRect());
    assert.ok(right <= 360, `it ends at ${right}`);
    await phone.close();
  });
});
