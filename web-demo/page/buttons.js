// Enables and disables the buttons, and says how many requests wait for a batch to end.

import { button, input, part } from './element.js';
import { clearProblems } from './problems.js';
import { state } from './state.js';

/** @import { Line } from './line.js' */

/** @type {Set<string>} */
const underWay = new Set(); // ids of buttons whose run has not finished

/**
 * Keeps the buttons in step with the page's state.
 *
 * @param {Line} line
 */
export function keepButtons(line) {
  line.addEventListener('change', () => showWaiting(line.waiting));
  state.addEventListener('change', () => {
    enable();
    showWaiting(line.waiting);
  });
}

/**
 * Runs a button's action unless it is already running.
 *
 * @param {string} id
 * @param {() => Promise<unknown>} run
 */
export async function once(id, run) {
  if (underWay.has(id)) return;
  clearProblems();
  underWay.add(id);
  state.change();
  await run();
  underWay.delete(id);
  state.change();
}

function enable() {
  const { pair, samples, gallery } = state;
  const ready = pair !== null;
  for (const sample of [...samples, ...gallery]) sample.button.disabled = !ready;
  button('run-gallery').disabled = !ready || gallery.length === 0;
  button('run-all').disabled = !ready || samples.length === 0;
  // Not `disabled` while they run: that would lose the keyboard focus.
  for (const id of ['run-all', 'run-gallery']) part(id).setAttribute('aria-disabled', String(underWay.has(id)));
  for (const id of ['file', 'folder']) input(id).disabled = !ready;
  button('webcam').disabled = !ready;
  const batch = part('batch');
  button('clear').disabled = batch.dataset.state === 'running' || (part('results').childElementCount === 0 && batch.hidden);
}

/**
 * Says how many pictures wait for the batch to end.
 *
 * @param {number} waiting
 */
function showWaiting(waiting) {
  const held = part('batch').dataset.state === 'running' ? waiting : 0;
  part('batch-waiting').textContent = held > 0 ? `${held} more waiting for the batch to end` : '';
}
