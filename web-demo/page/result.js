// One classified picture: the answer, where it came from, and what that cost.

import { element } from './element.js';
import { exactBytes, exitTitle, milliseconds, percent } from './words.js';

/** @import { Answer, Picture, Sample } from './types' */

/**
 * The three ways in which a picture can end.
 *
 * @param {Answer} result
 * @returns {'device' | 'cloud' | 'degraded'}
 */
export function outcomeOf(result) {
  if (result.degraded) return 'degraded';
  return result.origin === 'cloud' ? 'cloud' : 'device';
}

/**
 * Where the answer came from, in words.
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
      return `degraded: best guess of ${exitTitle(result.origin).toLowerCase()}, without the cloud`;
  }
}

/**
 * One sentence for a screen reader.
 *
 * @param {Picture} picture
 * @param {Answer} result
 */
export function spokenResult(picture, result) {
  return `${picture.name}: ${result.label}, ${percent(result.confidence)}, ${outcomeText(result)}, ${sentText(result)}.`;
}

/**
 * The card. Its data attributes say the same as its text, for tests and other programs;
 * `data-degraded` is there only on a degraded answer, `data-right` only where the sample's class is known. `look` shows
 * its way in the network.
 *
 * @type {(picture: Picture, sample: Sample | null, result: Answer, right: boolean | null, look: () => void) => HTMLElement}
 */
export function resultCard(picture, sample, result, right, look) {
  const button = element('button', { type: 'button', class: 'look' }, 'Show its way');
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
      // `true` alone would be an attribute without a value.
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
 * The answer in three lines: what it is, who says so and whether rightly, why it is degraded, what it cost.
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
 * What stands for the answer while the cloud is asked: the best exit's guess, what is on its way, a button to give up.
 *
 * @param {Answer} guess
 * @param {number} bytes of the map
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
 * The same when nobody waits any more.
 *
 * @param {Answer} guess
 * @param {number} bytes of the map
 */
export function givenUp(guess, bytes) {
  return [
    guessLine(guess, 'degraded', `cancelled: best guess of ${exitTitle(guess.origin).toLowerCase()}`),
    element('p', { class: 'cost' }, `Nobody can say how much of the map's ${exactBytes(bytes)} had left this device by then.`),
  ];
}

/** @type {(guess: Answer, outcome: string, text: string) => HTMLElement} */
function guessLine({ label, confidence }, outcome, text) {
  return element('p', { class: 'answer' }, element('strong', {}, `${label}?`), ` ${percent(confidence)} `, element('span', { class: 'outcome', 'data-outcome': outcome }, text));
}

/**
 * A picture's thumbnail, drawn once for each place that shows it.
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
    reason === 'no_cloud' ? 'No exit was sure, and the cloud is switched off. ' : 'No exit was sure and the cloud gave no answer. ',
    message && reason !== 'no_cloud' ? `${asSentence(message)} ` : null,
    element('code', {}, reason),
  );
}

/**
 * The engine's clause, or the browser's words, as a sentence.
 *
 * @param {string} text
 */
function asSentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

/**
 * What left this device. Of an attempt that failed, nobody can say how much got out.
 *
 * @param {Answer} result
 */
function sentText(result) {
  const sent = exactBytes(result.bytesSent);
  return `${result.degraded && result.bytesSent > 0 ? 'up to ' : ''}${sent} left this device`;
}

/**
 * Milliseconds that passed on the wire, tries and pauses included; null where the function does not say what it took.
 *
 * @param {Answer} result
 */
function wireMs({ timings: { cloudMs, functionMs } }) {
  // Two clocks: on a short wire the difference may come out below nothing.
  return functionMs === null ? null : Math.max(0, cloudMs - functionMs);
}

/** @param {Answer} result */
function costLine(result) {
  const { edgeMs, cloudMs, functionMs, totalMs } = result.timings;
  const wire = wireMs(result);
  const parts = [
    `${milliseconds(edgeMs)} on this device`,
    wire === null || functionMs === null ? null : `${milliseconds(wire)} on the wire, ${milliseconds(functionMs)} in the cloud`,
    wire === null && cloudMs > 0 ? `${milliseconds(cloudMs)} on the wire and in the cloud` : null,
    cloudMs > 0 ? `${milliseconds(totalMs)} in all` : null,
  ].filter(Boolean);
  return element(
    'p',
    { class: 'cost' },
    element('strong', { class: 'bytes' }, sentText(result)),
    ` · ${parts.join(', ')}`,
  );
}
