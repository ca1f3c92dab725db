// The pictures in a zip file, by path.

import { unzipSync } from './lib/zip.js';
import { codedError } from './words.js';

const MOST_BYTES = 1_000_000_000;
const MOST_PICTURE = 20_000_000;
// Every look into the zip reads its whole list; so many pictures, of so many bytes, come out at once.
const HANDFUL = 64;
const HANDFUL_BYTES = 40_000_000;

let bytes = null;
let paths = [];
const open = new Map();

/** Opens a zip file; gives the paths of the pictures in it. */
export async function listZip(file) {
  if (file.size > MOST_BYTES) {
    throw codedError('zip_bytes', `The zip file has ${Math.ceil(file.size / 1e6)} MB. The most this page takes is ${MOST_BYTES / 1e6} MB.`);
  }
  bytes = new Uint8Array(await file.arrayBuffer());
  paths = [];
  open.clear();
  inflate(({ name }) => {
    if (/\.(jpe?g|png|webp)$/i.test(name) && !name.startsWith('__MACOSX/')) paths.push(name);
    return false;
  });
  return paths;
}

/** One of its pictures as a file. */
export function unzip(path) {
  if (!open.has(path)) {
    open.clear();
    const at = paths.indexOf(path);
    const wanted = new Set(paths.slice(at, at + HANDFUL));
    let sum = 0;
    const take = (entry) => wanted.has(entry.name) && isHonest(entry) && (sum += entry.originalSize) <= HANDFUL_BYTES;
    const alone = (entry) => entry.name === path && isHonest(entry);
    let found;
    try {
      found = inflate(take);
    } catch {
      found = inflate(alone); // a damaged one among them must not cost the others
    }
    for (const [name, content] of Object.entries(found)) open.set(name, content);
  }
  const content = open.get(path);
  if (!content) {
    throw codedError('picture_bytes', `A picture in the zip has more than ${MOST_PICTURE / 1e6} MB, or is packed in a way that this page does not know.`);
  }
  return new File([content], path);
}

/** Whether an entry may be inflated: a bomb promises gigabytes, or less than it is packed in, which nothing becomes. */
function isHonest({ size, originalSize, compression }) {
  const known = compression === 0 || compression === 8;
  return known && originalSize <= MOST_PICTURE && size <= originalSize * 1.01 + 1000;
}

function inflate(filter) {
  try {
    return unzipSync(bytes, { filter });
  } catch (cause) {
    throw codedError('zip_damaged', 'This is no zip file, or a damaged one.', cause);
  }
}
