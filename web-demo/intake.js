// The three ways in for a visitor's own picture: choose, drop, paste.

/** Calls `take` with the files of each choice, drop or paste. */
export function listenForFiles(input, take) {
  input.addEventListener('change', () => {
    const files = [...input.files];
    // Without this, choosing the same file again would be no change and do nothing.
    input.value = '';
    if (files.length > 0) take(files);
  });

  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
  const mark = (dragging) => document.documentElement.toggleAttribute('data-dragging', dragging);

  document.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    // The whole page is the target: a near miss must not make the browser leave for the file.
    event.preventDefault();
    event.dataTransfer.dropEffect = input.disabled ? 'none' : 'copy';
    mark(!input.disabled);
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener('drop', (event) => {
    mark(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const files = [...event.dataTransfer.files];
    if (files.length > 0 && !input.disabled) take(files);
  });

  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0 || input.disabled) return;
    event.preventDefault();
    take(files);
  });
}
