// The gallery: a dataset's test pictures with their classes, if the server has them.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, jumpsOf, openPage, problemOf, runAll } from './page.mjs';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const drawing = (name) => readFileSync(new URL(`../samples/${name}.png`, import.meta.url));

// Drawings as a dataset would list them; one has the wrong class, and one a class that no pair knows.
const PICTURES = [
  ...['airplane', 'ship', 'frog', 'horse', 'truck'].map((name) => ({ name, label: name })),
  { name: 'ship', label: 'truck' },
  { name: 'frog', label: 'goldfish' },
].flatMap((picture) => [picture, picture, picture]);
const index = PICTURES.map(({ label }, at) => ({ file: `${at}.png`, label }));

/** Adds a gallery to the page's configuration; requests for its index get `answer`. */
const hang = (answer = { json: index }) => async (page) => {
  await page.route('**/config.json', async (route) => {
    const config = await (await route.fetch()).json();
    await route.fulfill({ json: { ...config, gallery: 'gallery/index.json' } });
  });
  await page.route('**/gallery/*', (route) => {
    const file = new URL(route.request().url()).pathname.split('/').at(-1);
    return route.fulfill(file === 'index.json' ? answer : { contentType: 'image/png', body: drawing(PICTURES[parseInt(file, 10)].name) });
  });
};

describe('the gallery', () => {
  let browser;
  let page;
  before(async () => {
    browser = await launch();
    page = await openPage(browser.context, pageAddress(), hang());
  });
  after(() => browser?.close());

  const tile = (at) => page.locator('#gallery button').nth(at);
  const press = async (at) => {
    const [card] = await cardsOf(page, () => tile(at).click());
    return { ...card, right: await page.locator('#results article').first().getAttribute('data-right') };
  };

  test('every picture is there with its class', async () => {
    assert.deepEqual(await page.locator('#gallery .title').allTextContents(), index.map(({ label }) => label));
    const sizes = await page.locator('#gallery img').evaluateAll((images) => Promise.all(images.map((image) => image.decode().then(() => image.naturalWidth))));
    assert.ok(sizes.every((size) => size === 128), sizes.join());
  });

  test('a picture is answered as any other, and the answer is judged by its class', async () => {
    const drawn = (await runAll(page)).find(({ sample }) => sample === 'ship.png');
    const honest = await press(3);
    assert.deepEqual([honest.label, honest.origin, honest.right], [drawn.label, drawn.origin, String(drawn.label === 'ship')]);
    const lie = await press(15);
    assert.deepEqual([lie.label, lie.right], [drawn.label, String(drawn.label === 'truck')]);
    assert.notEqual(honest.right, lie.right, 'the drawing of a ship is called a ship');
    assert.match(await tile(3).locator('.badge').textContent(), /^✓ /);
    assert.match(await tile(15).locator('.badge').textContent(), /^✗ /);
  });

  test('of a class that the pair does not know nobody says whether it is right', async () => {
    const { right } = await press(18);
    assert.equal(right, null);
    assert.match(await tile(18).locator('.badge').textContent(), /^(on device|cloud)$/);
  });

  test('all of them make a batch, and each remembers what came of it', async () => {
    await page.click('#clear');
    assert.equal(await page.locator('#gallery [data-outcome]').count(), 0);
    const states = await page.locator('#batch').evaluate((batch) => new Promise((resolve) => {
      const seen = [];
      new MutationObserver(() => {
        seen.push(batch.dataset.state);
        // A second press must not start anything.
        if (batch.dataset.state === 'done') setTimeout(() => resolve(seen), 200);
      }).observe(batch, { attributeFilter: ['data-state'] });
      document.querySelector('#run-gallery').click();
      document.querySelector('#run-gallery').click();
    }));
    assert.deepEqual(states, ['running', 'done'], 'pressed twice, it runs once');
    const report = await page.locator('.report').evaluate((element) => ({ ...element.dataset }));
    assert.equal(Number(report.done), PICTURES.length);
    assert.equal(Number(report.labelled), PICTURES.filter(({ label }) => label !== 'goldfish').length);
    assert.equal(await page.locator('#gallery [data-outcome]').count(), PICTURES.length);
    assert.equal(await page.locator('#gallery [data-right="true"]').count(), Number(report.right));
    assert.ok(Number(report.right) > 0 && Number(report.right) < Number(report.labelled), report.right);
  });

  test('it is reached by keyboard, fits a phone, and axe finds nothing serious', async () => {
    await tile(0).focus();
    await page.keyboard.press('Tab');
    assert.ok(await tile(1).evaluate((button) => button === document.activeElement));
    await page.setViewportSize({ width: 360, height: 740 });
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    await page.emulateMedia({ reducedMotion: 'reduce' });
    await page.evaluate(AXE);
    const { violations } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.filter(({ impact }) => ['serious', 'critical'].includes(impact)).map(({ id }) => id), []);
  });

  test('nothing jumps because of it', async () => {
    const { sum, shifts } = await jumpsOf(browser.context, pageAddress(), hang());
    assert.ok(sum < 0.02, JSON.stringify(shifts));
  });

  test('a server without one shows none', async () => {
    const plain = await openPage(browser.context, pageAddress(), (fresh) => fresh.route('**/config.json', async (route) => {
      const { gallery, ...config } = await (await route.fetch()).json();
      await route.fulfill({ json: config });
    }));
    assert.ok(await plain.locator('#gallery-part').isHidden());
    await plain.close();
  });

  test('one that is missing is said, and the page is of use without', async () => {
    const poor = await openPage(browser.context, pageAddress(), hang({ status: 404 }));
    const { code } = await problemOf(poor, () => poor.reload());
    assert.equal(code, 'sample_missing');
    await poor.locator('#results article').waitFor();
    await poor.close();
  });
});
