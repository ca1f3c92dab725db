// The drawing of the network: its structure from the manifest, and a picture's path.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { exactBytes, percent } from '../page/words.js';
import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

describe('the network', () => {
  let browser;
  let page;
  let manifest;
  let results;

  before(async () => {
    // Without animations, so that bars have their final length at once.
    browser = await launch({ reducedMotion: 'reduce' });
    page = await openPage(browser.context, pageAddress());
    manifest = await page.evaluate(async () => {
      const { model } = await (await fetch('config.json')).json();
      return (await fetch(model)).json();
    });
    results = await runAll(page);
  });
  after(() => browser?.close());

  /** What each stage shows: state, drawn bars, and the positions of needle and threshold on the gauge. */
  const stages = () => page.locator('.stage').evaluateAll((all) => all.map((stage) => {
    const scale = (bar) => new DOMMatrix(getComputedStyle(bar, '::after').transform).a;
    const track = stage.querySelector('.track')?.getBoundingClientRect();
    const at = (part) => {
      const { left, width } = stage.querySelector(part).getBoundingClientRect();
      return (left + width / 2 - track.left) / track.width;
    };
    return {
      name: stage.dataset.name,
      state: stage.dataset.state,
      slabs: [...stage.querySelectorAll('.slab')].map(({ textContent }) => textContent),
      bars: [...stage.querySelectorAll('.bar')].map(scale),
      top: stage.querySelector('[data-top] .class')?.textContent,
      needle: track && at('.needle'),
      line: track && at('.line'),
    };
  }));

  const press = async (wanted) => {
    const { sample } = results.find(wanted);
    const [card] = await cardsOf(page, () => page.click(`button[data-sample="${sample}"]`));
    return { card, shown: Object.fromEntries((await stages()).map((stage) => [stage.name, stage])) };
  };

  test('its stages are the manifest\'s exits, the split and the cloud, with their blocks and bits', async () => {
    const shown = await stages();
    assert.deepEqual(shown.map(({ name }) => name), [...manifest.exits.map(({ name }) => name), 'split', 'cloud']);
    const blocks = manifest.exits.map(({ after_block: end }, at) => end - (manifest.exits[at - 1]?.after_block ?? 0));
    const [first, second] = shown.map(({ slabs }) => slabs);
    assert.deepEqual(first, ['8-bit stem', ...Array(blocks[0]).fill('1-bit')]);
    assert.deepEqual(second, Array(blocks[1]).fill('1-bit'));
    assert.deepEqual(shown.at(-1).slabs, ['full precision']);
  });

  test('a hard picture passes every exit, each with its probabilities, its measure and the threshold', async () => {
    const { card, shown } = await press(({ origin }) => origin === 'cloud');
    for (const { name, thresholds } of manifest.exits) {
      const { state, bars, needle, line } = shown[name];
      assert.equal(state, 'passed', name);
      assert.equal(bars.length, manifest.classes.length, name);
      assert.ok(Math.abs(bars.reduce((sum, share) => sum + share, 0) - 1) < 1e-3, `${name}: ${bars}`);
      const threshold = thresholds.entropy / Math.log(manifest.classes.length);
      assert.ok(Math.abs(line - threshold) < 0.02, `${name}: the line is at ${line}, the threshold at ${threshold}`);
      assert.ok(needle > line, `${name} was not sure, with its needle at ${needle}`);
    }
    assert.deepEqual([shown.split.state, shown.cloud.state, shown.cloud.top], ['passed', 'sure', card.label]);
    assert.ok(Math.abs(Math.max(...shown.cloud.bars) - card.confidence) < 1e-3);
    const said = await page.textContent('#answer');
    for (const part of [card.label, percent(card.confidence), 'finished in the cloud', exactBytes(card.bytes), 'on the network']) assert.ok(said.includes(part), `${part} in: ${said}`);
  });

  test('an easy one ends where an exit is sure, and the stages behind stay dark', async () => {
    const { card, shown } = await press(({ origin }) => origin === 'exit-1');
    const { state, needle, line, top } = shown['exit-1'];
    assert.deepEqual([state, top], ['sure', card.label]);
    assert.ok(needle <= line, `${needle} is not below ${line}`);
    for (const name of ['exit-2', 'split', 'cloud']) assert.equal(shown[name].state, 'skipped', name);
  });
});
