// Photographs as the worker reads them, level by level. The engine scales what it is given to the same levels in the page as
// in the gateway: edge-wasm/tests/scaling.rs.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, choose, openPage } from './page.mjs';

const FOLDER = new URL('../../edge-wasm/tests/pictures/', import.meta.url);
const TOLD = JSON.parse(readFileSync(new URL('photographs.json', FOLDER)));

const photograph = (name) => readFileSync(new URL(`photographs/${name}`, FOLDER));

describe('photographs', () => {
  let browser;
  let page;

  before(async () => {
    browser = await launch();
    page = await openPage(browser.context, pageAddress());
  });
  after(() => browser?.close());

  /** The size of a picture, and the SHA-256 of its RGB bytes on white, as the engine takes them. */
  const read = (name) => page.evaluate(async ([file, encoded]) => {
    const { openPicture } = await import('./worker/picture.js');
    const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
    const { imageData: { data, width, height } } = await openPicture(new File([bytes], file));
    const rgb = new Uint8Array(width * height * 3);
    for (let from = 0, to = 0; from < data.length; from += 4, to += 3) {
      const alpha = data[from + 3];
      for (let part = 0; part < 3; part += 1) {
        rgb[to + part] = Math.floor((data[from + part] * alpha + 255 * (255 - alpha) + 127) / 255);
      }
    }
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', rgb));
    const whole = [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return { width, height, whole };
  }, [name, photograph(name).toString('base64')]);

  test('are decoded, turned and put on white as gateway and recipe do', async () => {
    for (const [name, { width, height, whole }] of Object.entries(TOLD.photographs)) {
      assert.deepEqual({ name, ...await read(name) }, { name, width, height, whole });
    }
  });

  test('are previewed as the square that the network sees', async () => {
    for (const [name, side] of [['rocket.jpg', 224], ['turned-6.jpg', 160], ['tiny.png', 32]]) {
      await cardsOf(page, () => choose(page, name, '', photograph(name)));
      const sides = await page.locator('#subject canvas, #results article:first-child canvas').evaluateAll((of) => of.map(({ width, height }) => [width, height]));
      assert.deepEqual(sides, [[side, side], [side, side]], name);
    }
  });

  test('of more than twelve megapixels are read whole, and answered', async () => {
    const { of, times } = TOLD.enlarged;
    const wrong = await page.evaluate(async ([name, encoded, scale]) => {
      const { openPicture } = await import('./worker/picture.js');
      const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
      const { imageData: small } = await openPicture(new File([bytes], name));
      const source = new OffscreenCanvas(small.width, small.height);
      source.getContext('2d').putImageData(small, 0, 0);
      const canvas = new OffscreenCanvas(small.width * scale, small.height * scale);
      const context = canvas.getContext('2d');
      context.imageSmoothingEnabled = false;
      context.drawImage(source, 0, 0, canvas.width, canvas.height);
      const file = new File([await canvas.convertToBlob({ type: 'image/png' })], 'large.png');
      const { imageData: { data, width, height } } = await openPicture(file);
      let differing = width === canvas.width && height === canvas.height ? 0 : Infinity;
      const [levels, expected] = [data, small.data].map((of) => new Uint32Array(of.buffer));
      for (let y = 0; y < height; y += 1) {
        const row = Math.floor(y / scale) * small.width;
        for (let x = 0; x < width; x += 1) {
          if (levels[y * width + x] !== expected[row + Math.floor(x / scale)]) differing += 1;
        }
      }
      window.large = file;
      return differing;
    }, [of, photograph(of).toString('base64'), times]);
    assert.equal(wrong, 0, 'pixels differ');
    // Dropped where it was made: to carry it to and fro would take a minute.
    const [card] = await cardsOf(page, () => page.evaluate(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(window.large);
      document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer }));
    }));
    assert.ok(card.origin);
  });
});
