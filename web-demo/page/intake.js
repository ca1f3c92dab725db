// The ways in for a visitor's own pictures: choose, drop, paste; single ones, folders, zip files.
// Each comes as `{file, path}`, the path being what a folder calls it.

import { codedError } from '../shared/errors.js';
import { pickPictures } from '../shared/pictures.js';

/** @import { FileAt } from './types' */
/** @typedef {{ path: string, error: unknown }} Failed */

const MOST_SINGLE = 24;

/**
 * Calls `take` with what each choice, drop or paste brings, and `fail` with what could not be read of it.
 *
 * @param {HTMLInputElement[]} inputs
 * @param {(pictures: FileAt[]) => void} take
 * @param {(error: unknown, path: string) => void} fail
 */
export function listenForFiles(inputs, take, fail) {
  const allowed = () => inputs.every((input) => !input.disabled);
  /** @param {FileAt[]} pictures */
  const bring = (pictures) => {
    if (pictures.length > 0) take(pictures);
  };

  for (const input of inputs) {
    input.addEventListener('change', () => {
      const files = [...input.files ?? []];
      // Without this, choosing the same file again would be no change and do nothing.
      input.value = '';
      bring(files.map((file) => ({ file, path: file.webkitRelativePath || file.name })));
    });
  }

  /** @param {DragEvent} event */
  const filesOf = ({ dataTransfer }) => (dataTransfer?.types.includes('Files') ? dataTransfer : null);
  /** @param {boolean} dragging */
  const mark = (dragging) => document.documentElement.toggleAttribute('data-dragging', dragging);

  document.addEventListener('dragover', (event) => {
    const files = filesOf(event);
    if (!files) return;
    // The whole page is the target: a near miss must not make the browser leave for the file.
    event.preventDefault();
    files.dropEffect = allowed() ? 'copy' : 'none';
    mark(allowed());
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener('drop', async (event) => {
    mark(false);
    const files = filesOf(event);
    if (!files) return;
    event.preventDefault();
    if (!allowed()) return;
    /** @type {Failed[]} */
    const failed = [];
    // An empty folder too: whoever dropped it is told.
    take(await dropped(files, failed));
    for (const { error, path } of failed) fail(error, path);
  });

  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0 || !allowed()) return;
    event.preventDefault();
    bring(files.map((file) => ({ file, path: file.name })));
  });
}

/**
 * What becomes of files that came together: `wanted` ones as `single` answers or as a batch, which `zips` always are.
 *
 * @param {FileAt[]} pictures
 */
export function sortFiles(pictures) {
  const zips = pictures.filter(({ file }) => /\.zip$/i.test(file.name));
  const rest = pictures.filter((picture) => !zips.includes(picture));
  // A folder holds more than pictures; of files that were chosen one by one, each gets its answer.
  const inFolders = rest.some(({ path }) => path.includes('/'));
  const { pictures: wanted, leftOut } = inFolders ? pickPictures(rest) : { pictures: rest, leftOut: '' };
  const single = wanted.length > 0 && wanted.length <= MOST_SINGLE && zips.length === 0 && !inFolders;
  return { wanted, zips, single, leftOut };
}

/**
 * What was dropped, folders walked through; what cannot be read goes into `failed`.
 *
 * @param {DataTransfer} transfer
 * @param {Failed[]} failed
 */
async function dropped(transfer, failed) {
  // Both lists are only there during the event, before anything is awaited.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  const files = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) {
    return files.map((file) => ({ file, path: file.name }));
  }
  /** @type {FileAt[]} */
  const found = [];
  for (const entry of entries) {
    if (entry) await walk(entry, found, failed);
  }
  return found;
}

/** @type {(entry: FileSystemEntry, found: FileAt[], failed: Failed[]) => Promise<void>} */
async function walk(entry, found, failed) {
  const path = entry.fullPath.slice(1);
  try {
    if (entry.isFile) {
      found.push({ path, file: await fileOf(/** @type {FileSystemFileEntry} */ (entry)) });
      return;
    }
    const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
    // A reader gives a hundred at a time, and an empty list at the end.
    for (let some; (some = await entriesOf(reader)).length > 0;) {
      for (const inner of some) await walk(inner, found, failed);
    }
  } catch (cause) {
    failed.push({ path, error: codedError('picture_unreadable', 'It could not be read.', cause) });
  }
}

/** @type {(entry: FileSystemFileEntry) => Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** @type {(reader: FileSystemDirectoryReader) => Promise<FileSystemEntry[]>} */
const entriesOf = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
