// The related systems: chosen from the menu, run up to the cloud, and drawn correctly.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

describe('the related systems', () => {
  let browser;
  let page;

  before(async () => {
    browser = await launch();
    page = await openPage(browser.context, pageAddress());
  });
  after(() => browser?.close());

  /** Chooses a pair by name; returns its manifest and the results of all samples. */
  const run = async (name) => {
    const label = (await page.locator('#model-select option').allTextContents()).find((text) => text.startsWith(`${name} `));
    assert.ok(label, `the menu has no ${name}`);
    await page.selectOption('#model-select', { label });
    await page.locator('#model-facts', { hasText: name }).waitFor();
    const cards = await runAll(page);
    assert.deepEqual(cards.map(({ degraded }) => degraded), cards.map(() => null), 'every answer is a whole one');
    return { manifest: await page.evaluate(async (at) => (await fetch(`models/${at}/manifest.json`)).json(), label.replace(' ', '/')), cards };
  };

  /** The stage with this name. */
  const stage = (name) => page.locator(`.stage[data-name="${name}"]`);

  test('AppealNet decides by what an exit predicts of itself, and its gauge says so', async () => {
    await run('cifar10-w1-appeal');
    assert.equal(await page.inputValue('#policy'), 'appeal');
    assert.match(await stage('exit-1').locator('.measure').textContent(), /^its own prediction 0\.\d\d, sure from 0\.\d\d$/);
    await cardsOf(page, () => page.selectOption('#policy', 'entropy'));
    assert.match(await stage('exit-1').locator('.measure').textContent(), /^entropy /);
  });

  test('MEANet\'s extension answers for hard classes, without the cloud', async () => {
    const { manifest } = await run('cifar10-w1-meanet');
    // Exits that are always sure: then every sample of a hard class meets the extension.
    for (const exit of [1, 2]) {
      await page.locator(`#threshold-exit-${exit}`).evaluate((slider) => {
        slider.value = slider.max;
        slider.dispatchEvent(new Event('input', { bubbles: true }));
      });
    }
    const cards = await runAll(page);
    const hard = manifest.exits.at(-1).extends;
    assert.ok(cards.some(({ origin }) => origin === 'extension'), 'no sample met the extension');
    for (const { origin, label, bytes } of cards) {
      if (origin === 'extension') assert.deepEqual([hard.includes(label), bytes], [true, 0]);
      if (origin.startsWith('exit-')) assert.ok(!hard.includes(label), `${origin} answered for ${label}`);
    }
    const { sample } = cards.find(({ origin }) => origin === 'extension');
    await cardsOf(page, () => page.click(`button[data-sample="${sample}"]`));
    assert.deepEqual([await stage('extension').getAttribute('data-state'), await stage('split').getAttribute('data-state')], ['sure', 'skipped']);
    assert.equal(await stage('extension').locator('.measure').textContent(), 'decides between the hard classes');
    // The extension has no threshold, so there is no slider.
    assert.equal(await page.locator('#thresholds input').count(), manifest.exits.length - 1);
  });

  test('with several ways, the blocks behind the first exit show the bits that the picture was given', async () => {
    const { manifest, cards } = await run('cifar10-w1-usdn');
    const bits = manifest.parts.filter(({ way }) => way !== undefined).map(({ macs }) => `${Object.keys(macs)[0]}-bit`);
    const shown = new Set();
    for (const { sample } of cards.filter(({ origin }) => origin !== 'exit-1')) {
      await cardsOf(page, () => page.click(`button[data-sample="${sample}"]`));
      const slabs = await stage('exit-2').locator('.slab').allTextContents();
      assert.ok(slabs.length > 0 && slabs.every((text) => text === slabs[0]) && bits.includes(slabs[0]), `${slabs} of ${bits}`);
      shown.add(slabs[0]);
    }
    assert.ok(shown.size > 0, 'no sample passed the first exit');
    assert.match(await page.textContent('#curve-text'), /Current thresholds,.*? \d\.\d times less energy/);
  });

  test('hashed weights are a smaller download that answers as any pair does', async () => {
    const { manifest: plain } = await run('cifar10-w1');
    const { manifest: hashed } = await run('cifar10-w1-hashed');
    assert.ok(hashed.files['edge.fog'].bytes < 0.8 * plain.files['edge.fog'].bytes);
  });
});
