// The ways in for a visitor's own pictures: choose, drop, paste; single ones, folders, zip files.
// Each comes as `{file, path}`, the path being what a folder calls it.

/** Calls `take` with what each choice, drop or paste brings. */
export function listenForFiles(inputs, take) {
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
    // An empty folder too: whoever dropped it is told.
    if (allowed()) take(await dropped(event.dataTransfer));
  });

  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0 || !allowed()) return;
    event.preventDefault();
    bring(files.map((file) => ({ file, path: file.name })));
  });
}

/** What was dropped, folders walked through. */
async function dropped(transfer) {
  // Both lists are only there during the event, before anything is awaited.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  const files = [...transfer.files];
  if (!entries.some((entry) => entry?.isDirectory)) {
    return files.map((file) => ({ file, path: file.name }));
  }
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ file, path: entry.fullPath.slice(1) });
    return;
  }
  const reader = entry.createReader();
  // A reader gives a hundred at a time, and an empty list at the end.
  for (let some; (some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject))).length > 0;) {
    for (const inner of some) await walk(inner, found);
  }
}
