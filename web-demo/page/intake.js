// The ways in for a visitor's own pictures: choose, drop, paste; single ones, folders, zip files.
// Each comes as `{file, path}`, the path being what a folder calls it.

import { codedError } from '../shared/errors.js';

/** Calls `take` with what each choice, drop or paste brings, and `fail` with what could not be read of it. */
export function listenForFiles(inputs, take, fail) {
  const allowed = () => inputs.every((input) => !input.disabled);
  const bring = (pictures) => {
    if (pictures.length > 0) take(pictures);
  };

  for (const input of inputs) {
    input.addEventListener('change', () => {
      const files = [...input.files];
      // Without this, choosing the same file again would be no change and do nothing.
      input.value = '';
      bring(files.map((file) => ({ file, path: file.webkitRelativePath || file.name })));
    });
  }

  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
  const mark = (dragging) => document.documentElement.toggleAttribute('data-dragging', dragging);

  document.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    // The whole page is the target: a near miss must not make the browser leave for the file.
    event.preventDefault();
    event.dataTransfer.dropEffect = allowed() ? 'copy' : 'none';
    mark(allowed());
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener('drop', async (event) => {
    mark(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (!allowed()) return;
    const failed = [];
    // An empty folder too: whoever dropped it is told.
    take(await dropped(event.dataTransfer, failed));
    for (const { error, path } of failed) fail(error, path);
  });

  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0 || !allowed()) return;
    event.preventDefault();
    bring(files.map((file) => ({ file, path: file.name })));
  });
}

/** What was dropped, folders walked through; what cannot be read goes into `failed`. */
async function dropped(transfer, failed) {
  // Both lists are only there during the event, before anything is awaited.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  const files = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) {
    return files.map((file) => ({ file, path: file.name }));
  }
  const found = [];
  for (const entry of entries) await walk(entry, found, failed);
  return found;
}

async function walk(entry, found, failed) {
  const path = entry.fullPath.slice(1);
  try {
    if (entry.isFile) {
      found.push({ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
      return;
    }
    const reader = entry.createReader();
    // A reader gives a hundred at a time, and an empty list at the end.
    for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length > 0;) {
      for (const inner of some) await walk(inner, found, failed);
    }
  } catch (cause) {
    failed.push({ path, error: codedError('picture_unreadable', 'It could not be read.', cause) });
  }
}
