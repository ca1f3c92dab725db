// Pictures that the page brings along, as buttons: drawings, and where the server has them a dataset's own test
// pictures. Each remembers on its face where its last answer came from, so that a row of them shows at a glance
// which pictures stay.

import { codedError, errorText } from '../shared/errors.js';
import { element } from './element.js';
import { outcomeOf } from './result.js';

const BADGES = { device: 'on device', cloud: 'cloud', degraded: 'fell back' };

/**
 * Fills `list` with a button for each picture of an index, a JSON list of `{file, title}` or, where its class is known,
 * `{file, label}`; `press` gets the sample. Returns the samples.
 */
export async function showSamples(list, index, press) {
  const samples = await (await fetchSample(index)).json();
  for (const sample of samples) {
    sample.title ??= sample.label;
    sample.address = new URL(sample.file, new URL(index, document.baseURI)).href;
    sample.badge = element('span', { class: 'badge' });
    sample.button = element(
      'button',
      { type: 'button', 'data-sample': sample.file, 'data-label': sample.label, disabled: true },
      element('img', { src: sample.address, alt: '', width: 96, height: 96 }),
      element('span', { class: 'title' }, sample.title),
      sample.badge,
    );
    sample.button.addEventListener('click', () => press(sample));
    list.append(element('li', {}, sample.button));
  }
  return samples;
}

/** The sample's picture file, as if the visitor had chosen it. */
export async function sampleFile(sample) {
  const blob = await (await fetchSample(sample.address)).blob();
  return new File([blob], sample.file, { type: blob.type });
}

/** Whether an answer names the sample's class; null where nobody knows, or the pair does not know that class. */
export function isRight(sample, result, classes) {
  return classes.includes(sample?.label) ? result.label === sample.label : null;
}

/** Writes where the answer came from on the sample's button, and whether it is right; no result wipes it off. */
export function markSample(sample, result = null, right = null) {
  const outcome = result && outcomeOf(result);
  const mark = { true: '✓ ', false: '✗ ' }[right] ?? '';
  sample.badge.textContent = outcome ? mark + BADGES[outcome] : '';
  for (const name of ['data-outcome', 'data-right']) sample.button.removeAttribute(name);
  if (outcome) sample.button.dataset.outcome = outcome;
  if (right !== null) sample.button.dataset.right = right;
}

async function fetchSample(address) {
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer;
  } catch (cause) {
    throw codedError('sample_missing', `The sample ${address} could not be fetched: ${errorText(cause)}.`, cause);
  }
}
