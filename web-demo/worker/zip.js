// Reads the pictures in a zip file, by their index: names may occur twice.

import { unzipSync } from '../lib/zip.js';
import { codedError } from '../shared/errors.js';
import { pickPictures } from '../shared/pictures.js';

/**
 * @import { UnzipFileInfo } from 'fflate'
 * @import { Zipped } from '../shared/types'
 */

const MOST_BYTES = 1_000_000_000;
const MOST_PICTURE = 52_428_800; // the limit for a single file
// Each access reads the zip's whole directory, so this many pictures, up to this many bytes, are extracted at once.
const HANDFUL = 64;
const HANDFUL_BYTES = 60_000_000;

let bytes = new Uint8Array();
/** @type {Zipped[]} */
let pictures = [];
/** @type {Map<number, Uint8Array<ArrayBuffer>>} */
const open = new Map(); // contents by index

/**
 * Opens a zip file, closing the previous one. Returns its pictures as `{path, zipped}`, where `zipped` is the index, and a
 * description of the other files.
 *
 * @param {File} file
 */
export async function listZip(file) {
  if (file.size > MOST_BYTES) {
    throw codedError('zip_bytes', `The zip file has ${Math.ceil(file.size / 1e6)} MB. The limit is ${MOST_BYTES / 1e6} MB.`);
  }
  const content = new Uint8Array(await file.arrayBuffer());
  /** @type {Zipped[]} */
  const files = [];
  inflate(content, ({ name }, zipped) => {
    // Some Windows programs write backslashes.
    files.push({ path: name.replaceAll('\\', '/'), zipped });
    return false;
  });
  // Only now: an invalid zip leaves the previous one open.
  const found = pickPictures(files);
  [bytes, pictures] = [content, found.pictures];
  open.clear();
  return found;
}

/**
 * The picture at this index as a file.
 *
 * @param {number} zipped
 */
export function unzip(zipped) {
  const at = pictures.findIndex((picture) => picture.zipped === zipped);
  if (!open.has(zipped)) {
    open.clear();
    try {
      take(new Set(pictures.slice(at, at + HANDFUL).map((picture) => picture.zipped)));
    } catch {
      take(new Set([zipped])); // a damaged entry must not affect the others
    }
  }
  const content = open.get(zipped);
  if (!content) {
    throw codedError('picture_bytes', `A picture in the zip has more than ${MOST_PICTURE / 1e6} MB, or uses a compression method that this page does not support.`);
  }
  return new File([content], pictures[at].path);
}

/**
 * Decompresses the entries at these indices, within the limits.
 *
 * @param {Set<number>} wanted
 */
function take(wanted) {
  /** @type {Map<string, number>} */
  const places = new Map();
  let sum = 0;
  const found = inflate(bytes, (entry, place) => {
    // Entries come out by name: a second one of the same name waits for its turn.
    if (!wanted.has(place) || places.has(entry.name) || !isHonest(entry)) return false;
    sum += entry.originalSize;
    if (sum > HANDFUL_BYTES) return false;
    places.set(entry.name, place);
    return true;
  });
  for (const [name, content] of Object.entries(found)) open.set(/** @type {number} */ (places.get(name)), content);
}

/**
 * Whether an entry may be decompressed: a zip bomb declares gigabytes, or a size below its compressed size.
 *
 * @param {UnzipFileInfo} entry
 */
function isHonest({ size, originalSize, compression }) {
  const known = compression === 0 || compression === 8;
  return known && originalSize <= MOST_PICTURE && size <= originalSize * 1.01 + 1000;
}

/**
 * Contents by name of the entries that `filter` accepts; it is called with each entry and its index.
 *
 * @param {Uint8Array} zip
 * @param {(entry: UnzipFileInfo, place: number) => boolean} filter
 */
function inflate(zip, filter) {
  let place = -1;
  try {
    return unzipSync(zip, { filter: (entry) => filter(entry, place += 1) });
  } catch (cause) {
    throw codedError('zip_damaged', 'This is not a zip file, or it is damaged.', cause);
  }
}
