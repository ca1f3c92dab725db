// A visitor's own files: every picture format is accepted in every way, anything else is refused with a reason, and the page
// keeps working.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { bring, cardsOf, choose, encodeSample, openPage, problemOf } from './page.mjs';

const NOTES = Buffer.from('Not a picture, whatever its name says.');

/** A PNG header with this size and no picture data. */
function pngHeader(width, height) {
  const bytes = Buffer.alloc(57);
  bytes.write('\x89PNG\r\n\x1a\n', 'latin1');
  bytes.writeUInt32BE(13, 8);
  bytes.write('IHDR', 12, 'latin1');
  bytes.writeUInt32BE(width, 16);
  bytes.writeUInt32BE(height, 20);
  bytes.set([8, 2], 24);
  bytes.write('IDAT', 37, 'latin1');
  bytes.write('IEND', 49, 'latin1');
  return bytes;
}

describe('pictures', () => {
  let browser;
  let page;

  before(async () => {
    const address = pageAddress();
    browser = await launch();
    page = await openPage(browser.context, address);
  });
  after(() => browser?.close());

  const isRefused = async (act, code, name) => {
    const problem = await problemOf(page, act);
    assert.equal(problem.code, code);
    assert.ok(problem.text.includes(name), `the text names the file: ${problem.text}`);
    const [result] = await cardsOf(page, () => page.locator('#samples button').first().click());
    assert.ok(result.origin, 'the page goes on working');
  };

  for (const kind of ['image/jpeg', 'image/png', 'image/webp']) {
    test(`${kind} is taken by choosing, dropping and pasting`, async () => {
      const bytes = await encodeSample(page, kind);
      const name = `own.${kind.split('/')[1]}`;
      const [chosen] = await cardsOf(page, () => choose(page, name, kind, bytes));
      assert.equal(chosen.picture, name);
      assert.equal(chosen.sample, null);
      const [dropped] = await cardsOf(page, () => bring(page, 'drop', name, kind, bytes));
      const [pasted] = await cardsOf(page, () => bring(page, 'paste', name, kind, bytes));
      for (const other of [dropped, pasted]) {
        assert.deepEqual({ ...other, totalMs: 0 }, { ...chosen, totalMs: 0 });
      }
    });
  }

  test('a sample chosen as a file is answered as the sample is', async () => {
    const file = await page.locator('#samples button').first().getAttribute('data-sample');
    const bytes = await (await page.request.get(new URL(`samples/${file}`, page.url()).href)).body();
    const [pressed] = await cardsOf(page, () => page.click(`button[data-sample="${file}"]`));
    const [chosen] = await cardsOf(page, () => choose(page, file, 'image/png', bytes));
    assert.deepEqual({ ...chosen, sample: file, totalMs: 0 }, { ...pressed, totalMs: 0 });
  });

  test('a picture larger than a tile is read whole', async () => {
    const numbers = await page.evaluate(async () => {
      const canvas = new OffscreenCanvas(3000, 2500);
      const context = canvas.getContext('2d');
      context.fillStyle = '#7aa7d9';
      context.fillRect(0, 0, 3000, 2500);
      context.fillStyle = '#b02020';
      context.fillRect(300, 900, 2400, 900);
      const blob = await canvas.convertToBlob({ type: 'image/png' });
      return [...new Uint8Array(await blob.arrayBuffer())];
    });
    // Compare the pixels, in which seams between tiles would show, through the page's own module.
    const wrong = await page.evaluate(async (bytes) => {
      const { openPicture } = await import('./worker/picture.js');
      const file = new File([new Uint8Array(bytes)], 'large.png');
      const { imageData: { data, width, height } } = await openPicture(file);
      let differing = width === 3000 && height === 2500 ? 0 : Infinity;
      for (let y = 0; y < height; y += 1) {
        for (let x = 0; x < width; x += 1) {
          const inside = x >= 300 && x < 2700 && y >= 900 && y < 1800;
          const at = (y * width + x) * 4;
          const [r, g, b] = inside ? [0xb0, 0x20, 0x20] : [0x7a, 0xa7, 0xd9];
          if (data[at] !== r || data[at + 1] !== g || data[at + 2] !== b || data[at + 3] !== 255) differing += 1;
        }
      }
      return differing;
    }, numbers);
    assert.equal(wrong, 0, 'pixels differ');
    const [result] = await cardsOf(page, () => choose(page, 'large.png', 'image/png', Buffer.from(numbers)));
    assert.ok(result.origin);
  });

  // The gateway, eval and the recipe are tested with the same tree, from edge-wasm/tests/pictures/make.py.
  test('a tree of pictures is decoded and turned as gateway and recipe do', async () => {
    const tree = new URL('../../edge-wasm/tests/pictures/', import.meta.url);
    const { pictures } = JSON.parse(readFileSync(new URL('expected.json', tree)));
    for (const [path, row] of Object.entries(pictures)) {
      const bytes = readFileSync(new URL(`tree/${path}`, tree)).toString('base64');
      const got = await page.evaluate(async ([name, encoded]) => {
        const { openPicture } = await import('./worker/picture.js');
        const file = new File([Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0))], name);
        try {
          const { imageData: { data, width, height } } = await openPicture(file);
          const side = Math.min(width, height);
          const start = (((height - side) >> 1) + 3) * width + ((width - side) >> 1);
          return [...data.subarray(start * 4, (start + side) * 4)].filter((_, at) => at % 4 < 3);
        } catch (error) {
          return error.code;
        }
      }, [path, bytes]);
      if (row === null) assert.match(got, /^picture_(pixels|truncated)$/, path);
      else assert.equal(Buffer.from(got).toString('hex'), row, path);
    }
  });

  test('what only the browser decodes is taken, and what it does not is named', async () => {
    const gif = Buffer.from('R0lGODlhAQABAIAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64');
    const [card] = await cardsOf(page, () => choose(page, 'dot.gif', 'image/gif', gif));
    assert.ok(card.origin);
    const heic = Buffer.from('\0\0\0\x18ftypheic\0\0\0\0', 'latin1');
    const problem = await problemOf(page, () => choose(page, 'p.heic', 'image/heic', heic));
    assert.equal(problem.code, 'picture_kind');
    assert.ok(problem.text.includes('HEIC'), problem.text);
  });

  test('a file that is no picture is refused when chosen', () =>
    isRefused(() => choose(page, 'notes.png', 'image/png', NOTES), 'picture_kind', 'notes.png'));

  test('a file that is no picture is refused when dropped', () =>
    isRefused(() => bring(page, 'drop', 'notes.txt', 'text/plain', NOTES), 'picture_kind', 'notes.txt'));

  test('an empty file is refused', () =>
    isRefused(() => choose(page, 'empty.jpg', 'image/jpeg', Buffer.alloc(0)), 'picture_kind', 'empty.jpg'));

  for (const kind of ['image/jpeg', 'image/png', 'image/webp']) {
    test(`a truncated ${kind} is refused`, async () => {
      const bytes = await encodeSample(page, kind);
      const half = bytes.subarray(0, Math.floor(bytes.length / 2));
      await isRefused(() => choose(page, 'half', kind, half), 'picture_truncated', 'half');
    });
  }

  test('a complete file that cannot be decoded is refused', () =>
    isRefused(() => choose(page, 'hollow.png', 'image/png', pngHeader(64, 64)), 'picture_undecodable', 'hollow.png'));

  test('a picture of more than 52 megapixels is refused before it is decoded', () =>
    isRefused(() => choose(page, 'vast.png', 'image/png', pngHeader(40_000, 40_000)), 'picture_pixels', 'vast.png'));

  test('a file of more than 50 MiB is refused', async () => {
    // As a file on disk: Playwright takes 15 s to transfer this many bytes itself.
    const folder = mkdtempSync(join(tmpdir(), 'fogline-heavy-'));
    try {
      const file = join(folder, 'heavy.jpg');
      writeFileSync(file, Buffer.alloc((50 << 20) + 1));
      await isRefused(() => page.setInputFiles('#file', file), 'picture_bytes', 'heavy.jpg');
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('of several files, the bad one is named and the good ones are answered', async () => {
    const good = await encodeSample(page, 'image/png');
    const before = await page.locator('#results article').count();
    const problem = await problemOf(page, () => page.setInputFiles('#file', [
      { name: 'bad.png', mimeType: 'image/png', buffer: NOTES },
      { name: 'good.png', mimeType: 'image/png', buffer: good },
    ]));
    assert.ok(problem.text.includes('bad.png'));
    await page.locator('#results article').nth(before).waitFor();
    assert.equal(await page.locator('#results article').first().getAttribute('data-picture'), 'good.png');
  });
});
