// The reader of picture headers, without a browser: hostile bytes must never make it throw, hang, or accept half a file as
// complete.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import { pickPictures } from '../shared/pictures.js';
import { otherFormat, readHeader } from '../worker/header.js';

const TREE = new URL('../../edge-wasm/tests/pictures/', import.meta.url);
const png = new Uint8Array(readFileSync(new URL('../samples/airplane.png', import.meta.url)));

// Start of image, an APP1 segment with a complete thumbnail, a frame of 5 x 3, a scan with a stuffed FF and a restart marker,
// end of image.
const jpeg = Uint8Array.from([
  0xff, 0xd8,
  0xff, 0xe1, 0x00, 0x08, 0xff, 0xd8, 0xff, 0xd9, 0x00, 0x00,
  0xff, 0xff, 0xc0, 0x00, 0x0b, 0x08, 0x00, 0x03, 0x00, 0x05, 0x01, 0x01, 0x11, 0x00,
  0xff, 0xda, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3f, 0x00,
  0x12, 0xff, 0x00, 0x34, 0xff, 0xd0, 0x56,
  0xff, 0xd9,
]);

function webp(chunk, body) {
  const bytes = new Uint8Array(20 + Math.max(body.length, 12));
  bytes.set(new TextEncoder().encode(`RIFF....WEBP${chunk}`));
  new DataView(bytes.buffer).setUint32(4, bytes.length - 8, true);
  bytes.set(body, 20);
  return bytes;
}

const whole = [
  ['PNG', png, 'image/png', 128, 128],
  ['JPEG', jpeg, 'image/jpeg', 5, 3],
  ['lossy WebP', webp('VP8 ', [0, 0, 0, 0x9d, 0x01, 0x2a, 7, 0x40, 9, 0x80]), 'image/webp', 7, 9],
  ['lossless WebP', webp('VP8L', [0x2f, 6, 0, 2, 0]), 'image/webp', 7, 9],
  ['extended WebP', webp('VP8X', [0, 0, 0, 0, 6, 0, 0, 8, 0, 0]), 'image/webp', 7, 9],
];

for (const [name, bytes, kind, width, height] of whole) {
  test(`${name}: kind, size and completeness`, () => {
    assert.deepEqual(readHeader(bytes), { kind, width, height, complete: true });
  });

  test(`${name}: no shorter file is whole`, () => {
    for (let length = 0; length < bytes.length; length += 1) {
      const header = readHeader(bytes.subarray(0, length));
      assert.ok(header === null || !header.complete, `${length} of ${bytes.length} bytes`);
    }
  });
}

test('bytes behind the end of a picture do no harm', () => {
  for (const [name, bytes] of whole) {
    assert.ok(readHeader(Uint8Array.from([...bytes, 1, 2, 3])).complete, name);
  }
});

test('any single wrong byte is survived', () => {
  for (const [, bytes] of whole) {
    for (let at = 0; at < Math.min(bytes.length, 256); at += 1) {
      for (const value of [0x00, 0x7f, 0xd9, 0xff]) {
        const wrong = bytes.slice();
        wrong[at] = value;
        readHeader(wrong);
      }
    }
  }
});

test('other files are no pictures', () => {
  for (const text of ['', 'GIF89a', '<svg/>', 'RIFF....WAVEfmt ', '\u00ff\u00d8']) {
    assert.equal(readHeader(new TextEncoder().encode(text)), null, text);
  }
});

test('other formats are named, with their sizes where they matter', () => {
  const of = (text) => {
    const { name, width, height } = otherFormat(Buffer.from(text, 'latin1')) ?? {};
    return [name, width, height];
  };
  assert.deepEqual(of('GIF89a\x07\0\x09\0'), ['GIF', 7, 9]);
  assert.deepEqual(of('\0\0\0\x18ftypheic\0\0\0\0'), ['HEIC', 0, 0]);
  const ispe = (width, height) => `\0\0\0\x14ispe\0\0\0\0\0\0\0${String.fromCharCode(width)}\0\0\0${String.fromCharCode(height)}`;
  assert.deepEqual(of(`\0\0\0\x18ftypavif\0\0\0\0${ispe(7, 9)}${ispe(70, 90)}${ispe(1, 2)}`), ['AVIF', 70, 90]);
  assert.deepEqual(of('\0\0\0\x18ftypavif\0\0\0\0ispe'), ['AVIF', 0, 0]);
  for (const text of ['', 'notes', '\0\0\0\x18ftypisom', 'PK']) assert.equal(otherFormat(Buffer.from(text)), null, text);
});

// The gateway, eval and the recipe are tested with the same tree, from edge-wasm/tests/pictures/make.py.
test('a tree of pictures is listed as gateway and recipe list it', () => {
  const expected = JSON.parse(readFileSync(new URL('expected.json', TREE)));
  const root = new URL('tree/', TREE);
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => ({ path: `${parentPath}/${name}`.slice(root.pathname.length).replace(/^\//, '') }));
  const { pictures, leftOut } = pickPictures(paths);
  assert.equal(leftOut, `${expected.left_out.replace('left', 'Left')}.`);
  assert.deepEqual(pictures.map(({ path }) => path).sort(), Object.keys(expected.pictures).sort());
  for (const [path, row] of Object.entries(expected.pictures)) {
    assert.equal(readHeader(readFileSync(new URL(path, root)))?.complete ?? false, row !== null, path);
  }
});
