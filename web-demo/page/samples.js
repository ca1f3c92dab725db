// The page's pictures as buttons: drawings and, if the server has them, a dataset's test pictures. Each button shows where
// its last answer came from, so that a row of them shows at a glance which pictures stay on the device.

import { codedError, errorText } from '../shared/errors.js';
import { element } from './element.js';
import { outcomeOf } from './result.js';

/** @import { Answer, Sample } from './types' */

const BADGES = { device: 'on device', cloud: 'cloud', degraded: 'fell back' };

/**
 * Fills `list` with a button for each picture of an index, a JSON list of `{file, title?, label?}`: `label` is its class and
 * `title` its name if that differs. A click calls `press` with the sample. Returns the samples.
 *
 * @param {HTMLElement} list
 * @param {string} index
 * @param {(sample: Sample) => void} press
 * @returns {Promise<Sample[]>}
 */
export async function showSamples(list, index, press) {
  list.replaceChildren();
  /** @type {{ file: string, title?: string, label?: string }[]} */
  const listed = await (await fetchSample(index)).json();
  return listed.map(({ file, label, title = label ?? file }) => {
    const address = new URL(file, new URL(index, document.baseURI)).href;
    const badge = element('span', { class: 'badge' });
    const button = element(
      'button',
      { type: 'button', 'data-sample': file, 'data-label': label, disabled: true },
      element('img', { src: address, alt: '', width: 96, height: 96 }),
      element('span', { class: 'title' }, title),
      badge,
    );
    const sample = { file, title, label, address, badge, button };
    button.addEventListener('click', () => press(sample));
    list.append(element('li', {}, button));
    return sample;
  });
}

/**
 * The sample's picture file, as if the visitor had chosen it.
 *
 * @param {Sample} sample
 */
export async function sampleFile(sample) {
  const blob = await (await fetchSample(sample.address)).blob();
  return new File([blob], sample.file, { type: blob.type });
}

/**
 * A note if none of the samples shows a class that the pair knows, otherwise ''.
 *
 * @param {Sample[]} samples
 * @param {string[]} classes
 */
export function strangeNote(samples, classes) {
  const labels = samples.flatMap(({ label }) => label ?? []);
  if (labels.length === 0 || labels.some((label) => classes.includes(label))) return '';
  return `None of these pictures shows a class that this model knows. It can only name the most similar of ${classes.slice(0, 3).join(', ')} and ${classes.length - 3} others.`;
}

/**
 * Whether an answer names the sample's class; null if that class is unknown, or unknown to the pair.
 *
 * @param {Sample | null} sample
 * @param {Answer} result
 * @param {string[]} classes
 */
export function isRight(sample, result, classes) {
  return sample?.label && classes.includes(sample.label) ? result.label === sample.label : null;
}

/**
 * Marks the sample's button with where the answer came from and whether it is right; without a result, clears the mark.
 *
 * @param {Sample} sample
 * @param {Answer | null} result
 * @param {boolean | null} right
 */
export function markSample(sample, result = null, right = null) {
  const outcome = result && outcomeOf(result);
  sample.badge.textContent = outcome ? markOf(right) + BADGES[outcome] : '';
  for (const name of ['data-outcome', 'data-right']) sample.button.removeAttribute(name);
  if (outcome) sample.button.dataset.outcome = outcome;
  if (right !== null) sample.button.dataset.right = String(right);
}

/** @param {boolean | null} right */
function markOf(right) {
  if (right === null) return '';
  return right ? '✓ ' : '✗ ';
}

/** @param {string} address */
async function fetchSample(address) {
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer;
  } catch (cause) {
    throw codedError('sample_missing', `The sample ${address} could not be downloaded: ${errorText(cause)}.`, cause);
  }
}
