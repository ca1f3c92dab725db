// Takes in the visitor's own pictures: chosen, dropped or pasted; single files, folders or zip files. Each becomes
// `{file, path}`, where the path includes its folders.

import { codedError } from '../shared/errors.js';
import { pickPictures } from '../shared/pictures.js';

/** @import { FileAt } from './types' */
/** @typedef {{ path: string, error: unknown }} Failed */

const MOST_SINGLE = 24;

/**
 * Calls `take` with the files of each choice, drop or paste, and `fail` for each that cannot be read.
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
      // Otherwise choosing the same file again would not fire a change event.
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
    // The whole page is the target, so that the browser never navigates to a dropped file.
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
    // Also for an empty folder, so that the visitor gets a message.
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
 * Sorts files that came together: `wanted` ones become `single` answers or a batch; `zips` are always a batch.
 *
 * @param {FileAt[]} pictures
 */
export function sortFiles(pictures) {
  const zips = pictures.filter(({ file }) => /\.zip$/i.test(file.name));
  const rest = pictures.filter((picture) => !zips.includes(picture));
  // Folders contain other files too, which are skipped; every individually chosen file gets an answer.
  const inFolders = rest.some(({ path }) => path.includes('/'));
  const { pictures: wanted, leftOut } = inFolders ? pickPictures(rest) : { pictures: rest, leftOut: '' };
  const single = wanted.length > 0 && wanted.length <= MOST_SINGLE && zips.length === 0 && !inFolders;
  return { wanted, zips, single, leftOut };
}

/**
 * Lists the dropped files, including those in folders; unreadable ones are added to `failed`.
 *
 * @param {DataTransfer} transfer
 * @param {Failed[]} failed
 */
async function dropped(transfer, failed) {
  // Both lists exist only during the event, before the first await.
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
    // A reader returns up to a hundred entries at a time, and an empty list at the end.
    for (let some; (some = await entriesOf(reader)).length > 0;) {
      for (const inner of some) await walk(inner, found, failed);
    }
  } catch (cause) {
    failed.push({ path, error: codedError('picture_unreadable', 'The file could not be read.', cause) });
  }
}

/** @type {(entry: FileSystemFileEntry) => Promise<File>} */
const fileOf = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

/** @type {(reader: FileSystemDirectoryReader) => Promise<FileSystemEntry[]>} */
const entriesOf = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
