// Shows the result of one picture: the answer, where it came from, and what it cost.

import { element } from './element.js';
import { exactBytes, exitTitle, milliseconds, percent } from './words.js';

/** @import { Answer, Picture, Sample } from './types' */

/**
 * Where the answer came from: the device, the cloud, or the device because the cloud failed.
 *
 * @param {Answer} result
 * @returns {'device' | 'cloud' | 'degraded'}
 */
export function outcomeOf(result) {
  if (result.degraded) return 'degraded';
  return result.origin === 'cloud' ? 'cloud' : 'device';
}

/**
 * Describes where the answer came from.
 *
 * @param {Answer} result
 */
function outcomeText(result) {
  switch (outcomeOf(result)) {
    case 'device':
      return `stayed on this device (${exitTitle(result.origin).toLowerCase()})`;
    case 'cloud':
      return 'finished in the cloud';
    default:
      return `degraded: best guess by ${exitTitle(result.origin).toLowerCase()}, without the cloud`;
  }
}

/**
 * The result as one sentence for screen readers.
 *
 * @param {Picture} picture
 * @param {Answer} result
 */
export function spokenResult(picture, result) {
  return `${picture.name}: ${result.label}, ${percent(result.confidence)}, ${outcomeText(result)}, ${sentText(result)}.`;
}

/**
 * The card of a result. Its data attributes repeat its text for tests and other programs; `data-degraded` is set only on a
 * degraded answer, `data-right` only if the sample's class is known. `look` shows the picture's path in the network.
 *
 * @type {(picture: Picture, sample: Sample | null, result: Answer, right: boolean | null, look: () => void) => HTMLElement}
 */
export function resultCard(picture, sample, result, right, look) {
  const button = element('button', { type: 'button', class: 'look' }, 'Show its path');
  button.addEventListener('click', look);
  return element(
    'article',
    {
      class: 'card',
      'aria-label': `Result for ${picture.name}`,
      'data-picture': picture.name,
      'data-sample': sample?.file,
      'data-outcome': outcomeOf(result),
      'data-origin': result.origin,
      'data-label': result.label,
      'data-confidence': result.confidence,
      'data-bytes': result.bytesSent,
      // As a string: `true` would become an attribute without a value.
      'data-right': right === null ? null : String(right),
      'data-edge-ms': result.timings.edgeMs,
      'data-wire-ms': wireMs(result),
      'data-function-ms': result.timings.functionMs,
      'data-total-ms': result.timings.totalMs,
      'data-degraded': result.degraded?.reason,
    },
    thumbnailOf(picture),
    element(
      'div',
      { class: 'findings' },
      element('p', { class: 'name' }, sample?.title ?? picture.name),
      ...verdictOf(result, right),
    ),
    button,
  );
}

/**
 * The answer in up to three lines: class, origin and correctness; why it is degraded, if it is; what it cost.
 *
 * @param {Answer} result
 * @param {boolean | null} right
 */
export function verdictOf(result, right = null) {
  return [
    element(
      'p',
      { class: 'answer' },
      element('strong', {}, result.label),
      ` ${percent(result.confidence)} `,
      element('span', { class: 'outcome', 'data-outcome': outcomeOf(result) }, outcomeText(result)),
      right === null ? null : element('span', { class: 'truth', 'data-right': String(right) }, right ? ' ✓ right' : ' ✗ wrong'),
    ),
    degradedNote(result),
    costLine(result),
  ].filter((line) => line !== null);
}

/**
 * Why the picture stayed or went, for a visitor who has never heard of early exits; nothing for a degraded answer, which
 * explains itself.
 *
 * @param {Answer} result
 */
export function reasonOf(result) {
  const reasons = {
    device: `${exitTitle(result.origin)} was sure enough to answer, so this picture never left your device.`,
    cloud: `No exit was sure, so the cloud got ${exactBytes(result.bytesSent)} of features, not the picture.`,
    degraded: null,
  };
  const reason = reasons[outcomeOf(result)];
  return reason ? [element('p', { class: 'reason' }, reason)] : [];
}

/**
 * Shown while waiting for the cloud: the best exit's guess, the bytes being sent, and a button to cancel.
 *
 * @param {Answer} guess
 * @param {number} bytes size of the map
 * @param {() => void} cancel
 */
export function waitingFor(guess, bytes, cancel) {
  const button = element('button', { type: 'button', id: 'answer-cancel' }, 'Cancel');
  button.addEventListener('click', cancel);
  return [
    guessLine(guess, 'waiting', 'asking the cloud…'),
    element('p', { class: 'cost' }, `${milliseconds(guess.timings.edgeMs)} on this device; a map of ${exactBytes(bytes)} is on its way. `, button),
  ];
}

/**
 * Shown after the visitor cancelled.
 *
 * @param {Answer} guess
 * @param {number} bytes size of the map
 */
export function givenUp(guess, bytes) {
  return [
    guessLine(guess, 'degraded', `cancelled: best guess by ${exitTitle(guess.origin).toLowerCase()}`),
    element('p', { class: 'cost' }, `Up to ${exactBytes(bytes)} of features may already have left this device.`),
  ];
}

/** @type {(guess: Answer, outcome: string, text: string) => HTMLElement} */
function guessLine({ label, confidence }, outcome, text) {
  return element('p', { class: 'answer' }, element('strong', {}, `${label}?`), ` ${percent(confidence)} `, element('span', { class: 'outcome', 'data-outcome': outcome }, text));
}

/**
 * A picture's thumbnail, as a new canvas.
 *
 * @param {Picture} picture
 */
export function thumbnailOf({ name, thumbnail }) {
  const canvas = element('canvas', { role: 'img', 'aria-label': `The picture ${name}`, width: thumbnail?.width, height: thumbnail?.height });
  if (thumbnail) canvas.getContext('2d')?.drawImage(thumbnail, 0, 0);
  return canvas;
}

/** @param {Answer} result */
function degradedNote(result) {
  if (!result.degraded) return null;
  const { reason, message } = result.degraded;
  return element(
    'p',
    { class: 'degraded' },
    element('strong', {}, 'Degraded answer. '),
    reason === 'no_cloud' ? 'No exit was sure, and the cloud is switched off. ' : 'No exit was sure, and the cloud did not answer. ',
    message && reason !== 'no_cloud' ? `${asSentence(message)} ` : null,
    element('code', {}, reason),
  );
}

/**
 * A message of the engine or the browser, as a sentence.
 *
 * @param {string} text
 */
function asSentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

/**
 * How many bytes left this device: an upper bound if sending failed.
 *
 * @param {Answer} result
 */
function sentText(result) {
  const sent = exactBytes(result.bytesSent);
  return `${result.degraded && result.bytesSent > 0 ? 'up to ' : ''}${sent} left this device`;
}

/**
 * Time on the network in milliseconds, including retries; null if the function does not report its own time.
 *
 * @param {Answer} result
 */
function wireMs({ timings: { cloudMs, functionMs } }) {
  // The two times come from different clocks: on a fast network their difference can be negative.
  return functionMs === null ? null : Math.max(0, cloudMs - functionMs);
}

/** @param {Answer} result */
function costLine(result) {
  const { edgeMs, cloudMs, functionMs, totalMs } = result.timings;
  const wire = wireMs(result);
  const parts = [
    `${milliseconds(edgeMs)} on this device`,
    wire === null || functionMs === null ? null : `${milliseconds(wire)} on the network, ${milliseconds(functionMs)} in the cloud`,
    wire === null && cloudMs > 0 ? `${milliseconds(cloudMs)} on the network and in the cloud` : null,
    cloudMs > 0 ? `${milliseconds(totalMs)} in total` : null,
  ].filter(Boolean);
  return element(
    'p',
    { class: 'cost' },
    element('strong', { class: 'bytes' }, sentText(result)),
    ` · ${parts.join(', ')}`,
  );
}
