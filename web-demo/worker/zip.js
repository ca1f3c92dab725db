// The pictures in a zip file, by their places in its list: names may come twice.

import { unzipSync } from '../lib/zip.js';
import { codedError } from '../shared/errors.js';
import { pickPictures } from '../shared/pictures.js';

/**
 * @import { UnzipFileInfo } from 'fflate'
 * @import { Zipped } from '../shared/types'
 */

const MOST_BYTES = 1_000_000_000;
const MOST_PICTURE = 52_428_800; // as for a file
// Every look into the zip reads its whole list; so many pictures, of so many bytes, come out at once.
const HANDFUL = 64;
const HANDFUL_BYTES = 60_000_000;

let bytes = new Uint8Array();
/** @type {Zipped[]} */
let pictures = [];
/** @type {Map<number, Uint8Array<ArrayBuffer>>} */
const open = new Map(); // contents by place

/**
 * Opens a zip file, in place of the one before; gives the pictures in it, each as `{path, zipped}`, `zipped` being its place,
 * and in words what else is in it.
 *
 * @param {File} file
 */
export async function listZip(file) {
  if (file.size > MOST_BYTES) {
    throw codedError('zip_bytes', `The zip file has ${Math.ceil(file.size / 1e6)} MB. The most this page takes is ${MOST_BYTES / 1e6} MB.`);
  }
  const content = new Uint8Array(await file.arrayBuffer());
  /** @type {Zipped[]} */
  const files = [];
  inflate(content, ({ name }, zipped) => {
    // Some programs on Windows write their own separator.
    files.push({ path: name.replaceAll('\\', '/'), zipped });
    return false;
  });
  // Only now: a file that is no zip leaves the one before open.
  const found = pickPictures(files);
  [bytes, pictures] = [content, found.pictures];
  open.clear();
  return found;
}

/**
 * The picture at this place as a file.
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
      take(new Set([zipped])); // a damaged one among them must not cost the others
    }
  }
  const content = open.get(zipped);
  if (!content) {
    throw codedError('picture_bytes', `A picture in the zip has more than ${MOST_PICTURE / 1e6} MB, or is packed in a way that this page does not know.`);
  }
  return new File([content], pictures[at].path);
}

/**
 * Inflates the entries at these places, as far as they may be.
 *
 * @param {Set<number>} wanted
 */
function take(wanted) {
  /** @type {Map<string, number>} */
  const places = new Map();
  let sum = 0;
  const found = inflate(bytes, (entry, place) => {
    // They come out by name: the second of a name waits until it is its turn.
    if (!wanted.has(place) || places.has(entry.name) || !isHonest(entry)) return false;
    sum += entry.originalSize;
    if (sum > HANDFUL_BYTES) return false;
    places.set(entry.name, place);
    return true;
  });
  for (const [name, content] of Object.entries(found)) open.set(/** @type {number} */ (places.get(name)), content);
}

/**
 * Whether an entry may be inflated: a bomb promises gigabytes, or less than it is packed in, which nothing becomes.
 *
 * @param {UnzipFileInfo} entry
 */
function isHonest({ size, originalSize, compression }) {
  const known = compression === 0 || compression === 8;
  return known && originalSize <= MOST_PICTURE && size <= originalSize * 1.01 + 1000;
}

/**
 * Contents by name of the entries that `filter` wants; it gets each with its place.
 *
 * @param {Uint8Array} zip
 * @param {(entry: UnzipFileInfo, place: number) => boolean} filter
 */
function inflate(zip, filter) {
  let place = -1;
  try {
    return unzipSync(zip, { filter: (entry) => filter(entry, place += 1) });
  } catch (cause) {
    throw codedError('zip_damaged', 'This is no zip file, or a damaged one.', cause);
  }
}
