// Decodes a picture file to pixels. The engine does the cropping and resizing in Rust, so that page and gateway give the
// same answer for the same file.

import { codedError } from '../shared/errors.js';
import { otherFormat, readHeader } from './header.js';

/** @import { Header } from './header.js' */

// The same limits as the gateway's, see docs/pictures.md.
const MOST_BYTES = 52_428_800;
const MOST_PIXELS = 52_000_000;
// As large as the largest input of a network.
const THUMBNAIL_SIDE = 224;
// Some browsers silently return blank canvases above 16 megapixels or 16,384 pixels per side, so pixels are read in smaller
// tiles.
const TILE_SIDE = 2048;

/**
 * Opens a picture file. Returns its name, size in bytes, pixels and, if wanted, a thumbnail.
 *
 * @param {File} file
 */
export async function openPicture(file, wantsThumbnail = false) {
  const name = file.name || 'pasted picture';
  if (file.size > MOST_BYTES) {
    throw codedError('picture_bytes', `The file has ${megabytes(file.size)} MB. The limit is ${megabytes(MOST_BYTES)} MB.`);
  }
  const bytes = await readBytes(file);
  const header = readHeader(bytes) ?? otherFormat(bytes);
  if (!header) {
    throw codedError('picture_kind', 'This is not a JPEG, PNG or WebP picture.');
  }
  refuseLarge(header.width, header.height);
  if (!header.complete) {
    throw codedError('picture_truncated', 'The picture file is incomplete. Copy or download it again.');
  }
  const bitmap = await decode(bytes, header);
  try {
    refuseLarge(bitmap.width, bitmap.height);
    const thumbnail = wantsThumbnail ? drawThumbnail(bitmap) : null;
    return { name, bytes: file.size, imageData: readPixels(bitmap), thumbnail };
  } finally {
    bitmap.close();
  }
}

/** @param {File} file */
async function readBytes(file) {
  try {
    return new Uint8Array(await file.arrayBuffer());
  } catch (cause) {
    // A dropped folder, or a file that was moved meanwhile.
    throw codedError('picture_unreadable', 'The file could not be read. A folder cannot be classified.', cause);
  }
}

/** @type {(width: number, height: number) => void} */
function refuseLarge(width, height) {
  if (width * height > MOST_PIXELS) {
    throw codedError(
      'picture_pixels',
      `The picture has ${width} × ${height} pixels, ${megabytes(width * height)} megapixels. The limit is ${MOST_PIXELS / 1e6}.`,
    );
  }
}

// Rounded up, so that a size over the limit never reads as the limit itself.
const megabytes = (/** @type {number} */ count) => Math.ceil(count / 1e5) / 10;

/** @type {(bytes: Uint8Array<ArrayBuffer>, header: Header) => Promise<ImageBitmap>} */
async function decode(bytes, { kind, name }) {
  try {
    // Keep the file's own pixel values: no colour profile or screen may change them.
    return await createImageBitmap(new Blob([bytes], { type: kind }), {
      colorSpaceConversion: 'none',
      premultiplyAlpha: 'none',
    });
  } catch (cause) {
    if (name) throw codedError('picture_kind', `This browser cannot decode ${name}. Use JPEG, PNG or WebP.`, cause);
    throw codedError('picture_undecodable', 'The picture is damaged: the browser cannot decode it.', cause);
  }
}

/**
 * The pixels of a bitmap.
 *
 * @param {ImageBitmap} bitmap
 */
export function readPixels(bitmap) {
  const { width, height } = bitmap;
  const pixels = new Uint8ClampedArray(width * height * 4);
  const { context } = canvasOf(Math.min(width, TILE_SIDE), Math.min(height, TILE_SIDE), { willReadFrequently: true });
  for (let top = 0; top < height; top += TILE_SIDE) {
    for (let left = 0; left < width; left += TILE_SIDE) {
      const columns = Math.min(TILE_SIDE, width - left);
      const rows = Math.min(TILE_SIDE, height - top);
      context.clearRect(0, 0, columns, rows);
      context.drawImage(bitmap, -left, -top);
      const tile = context.getImageData(0, 0, columns, rows).data;
      for (let row = 0; row < rows; row += 1) {
        const line = tile.subarray(row * columns * 4, (row + 1) * columns * 4);
        pixels.set(line, ((top + row) * width + left) * 4);
      }
    }
  }
  return new ImageData(pixels, width, height);
}

/**
 * Draws the central square, which is all that the network sees.
 *
 * @param {ImageBitmap} bitmap
 */
function drawThumbnail(bitmap) {
  const square = Math.min(bitmap.width, bitmap.height);
  const [left, top] = [bitmap.width, bitmap.height].map((length) => Math.floor((length - square) / 2));
  const side = Math.min(square, THUMBNAIL_SIDE);
  const { canvas, context } = canvasOf(side, side);
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, left, top, square, square, 0, 0, side, side);
  return canvas.transferToImageBitmap();
}

/** @type {(width: number, height: number, settings?: { willReadFrequently: boolean }) => { canvas: OffscreenCanvas, context: OffscreenCanvasRenderingContext2D }} */
function canvasOf(width, height, settings) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', settings);
  if (!context) throw codedError('picture_undecodable', 'The browser provides no canvas to read pixels from.');
  return { canvas, context };
}
