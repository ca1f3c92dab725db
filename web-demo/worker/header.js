// Reads a picture file's format, size and completeness from its bytes, before anything is decoded.
//
// A 20 MB PNG can decode to gigabytes, a file's extension proves nothing, and browsers differ on truncated files: some
// paint the rest grey, and the half-grey picture would be classified.

/** @typedef {{ kind: string, name?: string, width: number, height: number, complete: boolean }} Header */

// Formats that only some browsers decode: the first bytes, their offset, the MIME type and the name.
/** @type {[string, number, string, string][]} */
const OTHERS = [
  ['GIF8', 0, 'image/gif', 'GIF'],
  ['BM', 0, 'image/bmp', 'BMP'],
  ['II*\0', 0, 'image/tiff', 'TIFF'],
  ['MM\0*', 0, 'image/tiff', 'TIFF'],
  ['<svg', 0, 'image/svg+xml', 'SVG'],
  ['<?xml', 0, 'image/svg+xml', 'SVG'],
  ['\xff\x0a', 0, 'image/jxl', 'JPEG XL'],
  ['JXL ', 4, 'image/jxl', 'JPEG XL'],
  ['ftypavi', 4, 'image/avif', 'AVIF'],
  ['ftyphe', 4, 'image/heic', 'HEIC'],
  ['ftypmif1', 4, 'image/heic', 'HEIC'],
  ['ftypmsf1', 4, 'image/heic', 'HEIC'],
];

/** @type {(bytes: Uint8Array, at: number, length: number) => string} */
const ascii = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));

/**
 * MIME type, width, height and completeness, or null if the bytes are not JPEG, PNG or WebP. Width and height are 0 if the
 * file ends before them.
 *
 * @param {Uint8Array} bytes
 */
export function readHeader(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] === 0xff && bytes[1] === 0xd8 && bytes[2] === 0xff) return readJpeg(bytes, view);
  if (ascii(bytes, 0, 8) === '\x89PNG\r\n\x1a\n') return readPng(bytes, view);
  if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 4) === 'WEBP') return readWebp(bytes, view);
  return null;
}

/**
 * The same for a format that only some browsers decode, or null if it is none of those. Completeness is left to the
 * browser.
 *
 * @param {Uint8Array} bytes
 * @returns {Header | null}
 */
export function otherFormat(bytes) {
  const found = OTHERS.find(([start, at]) => ascii(bytes, at, start.length) === start);
  if (!found) return null;
  const [, , kind, name] = found;
  return { kind, name, ...sidesOf(bytes, name), complete: true };
}

/** @type {(bytes: Uint8Array, name: string) => { width: number, height: number }} */
function sidesOf(bytes, name) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (name === 'GIF' && bytes.length >= 10) return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
  if (name === 'BMP' && bytes.length >= 26) return { width: Math.abs(view.getInt32(18, true)), height: Math.abs(view.getInt32(22, true)) };
  // The largest picture in an ISO file; the others are its thumbnail and tiles.
  const sides = { width: 0, height: 0 };
  for (const { index } of ascii(bytes, 0, 4096).matchAll(/ispe/g)) {
    if (index + 16 > bytes.length) break;
    const [width, height] = [view.getUint32(index + 8), view.getUint32(index + 12)];
    if (width * height > sides.width * sides.height) Object.assign(sides, { width, height });
  }
  return sides;
}

/** @type {(bytes: Uint8Array, view: DataView) => Header} */
function readJpeg(bytes, view) {
  const header = { kind: 'image/jpeg', width: 0, height: 0, complete: false };
  let at = 2;
  while (at + 1 < bytes.length) {
    if (bytes[at] !== 0xff) {
      // Entropy-coded data or padding: skip to the next marker.
      at = bytes.indexOf(0xff, at);
      if (at < 0) return header;
      continue;
    }
    const marker = bytes[at + 1];
    if (marker === 0xff) {
      at += 1; // a fill byte
    } else if (marker === 0xd9) {
      header.complete = true;
      return header;
    } else if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      at += 2; // a stuffed zero, or a marker without a segment
    } else {
      // Skip whole segments: an embedded thumbnail has its own end marker.
      if (at + 4 > bytes.length) return header;
      const length = view.getUint16(at + 2);
      const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
      if (isFrame && at + 9 <= bytes.length) {
        header.height = view.getUint16(at + 5);
        header.width = view.getUint16(at + 7);
      }
      at += 2 + Math.max(length, 2);
    }
  }
  return header;
}

/** @type {(bytes: Uint8Array, view: DataView) => Header} */
function readPng(bytes, view) {
  const header = { kind: 'image/png', width: 0, height: 0, complete: false };
  let at = 8;
  while (at + 12 <= bytes.length) {
    const length = view.getUint32(at);
    const name = ascii(bytes, at + 4, 4);
    if (at + 12 + length > bytes.length) return header;
    if (name === 'IHDR' && length >= 8) {
      header.width = view.getUint32(at + 8);
      header.height = view.getUint32(at + 12);
    }
    if (name === 'IEND') {
      header.complete = true;
      return header;
    }
    at += 12 + length;
  }
  return header;
}

/** @type {(bytes: Uint8Array, view: DataView) => Header} */
function readWebp(bytes, view) {
  const header = { kind: 'image/webp', width: 0, height: 0, complete: false };
  if (bytes.length < 30) return header;
  const uint24 = (/** @type {number} */ at) => bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16);
  switch (ascii(bytes, 12, 4)) {
    case 'VP8 ':
      header.width = view.getUint16(26, true) & 0x3fff;
      header.height = view.getUint16(28, true) & 0x3fff;
      break;
    case 'VP8L': {
      const sizes = view.getUint32(21, true);
      header.width = (sizes & 0x3fff) + 1;
      header.height = ((sizes >>> 14) & 0x3fff) + 1;
      break;
    }
    case 'VP8X':
      header.width = uint24(24) + 1;
      header.height = uint24(27) + 1;
      break;
    default:
      return header;
  }
  header.complete = view.getUint32(4, true) + 8 <= bytes.length;
  return header;
}
