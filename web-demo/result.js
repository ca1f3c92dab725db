// One classified picture as a card: the picture, the answer and where it came from, the way it
// took, and what that cost.

import { element } from './element.js';
import { bar, pathDiagram } from './path.js';
import { exactBytes, exitTitle, milliseconds, percent } from './words.js';

const MOST_SCORES = 10;

/** "device", "cloud" or "degraded": the three ways in which a picture can end. */
export function outcomeOf(result) {
  if (result.degraded) return 'degraded';
  return result.origin === 'cloud' ? 'cloud' : 'device';
}

/** Where the answer came from, in words. */
export function outcomeText(result) {
  switch (outcomeOf(result)) {
    case 'device':
      return `stayed on this device (${exitTitle(result.origin).toLowerCase()})`;
    case 'cloud':
      return 'finished in the cloud';
    default:
      return `degraded: best guess of ${exitTitle(result.origin).toLowerCase()}, without the cloud`;
  }
}

/** One sentence for a screen reader. */
export function spokenResult(picture, result) {
  return `${picture.name}: ${result.label}, ${percent(result.confidence)}, ${outcomeText(result)}, ${sentText(result)}.`;
}

/**
 * The card. Its data attributes say the same as its text, for tests and other programs;
 * `data-degraded` is there only on a degraded answer.
 */
export function resultCard(picture, sample, result, manifest) {
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
      'data-total-ms': result.timings.totalMs,
      'data-degraded': result.degraded?.reason,
    },
    element('figure', {}, picture.thumbnail, element('figcaption', {}, sample?.title ?? picture.name)),
    element(
      'div',
      { class: 'findings' },
      element(
        'p',
        { class: 'answer' },
        element('strong', {}, result.label),
        ` ${percent(result.confidence)} `,
        element('span', { class: 'outcome' }, outcomeText(result)),
      ),
      degradedNote(result),
      pathDiagram(result, manifest),
      costLine(result),
      scoreTable(result, manifest),
    ),
  );
}

function degradedNote(result) {
  if (!result.degraded) return null;
  const { reason, message } = result.degraded;
  return element(
    'p',
    { class: 'degraded' },
    element('strong', {}, 'Degraded answer. '),
    'No exit was sure and the cloud gave no answer. ',
    message ? `${message} ` : null,
    element('code', {}, reason),
  );
}

/** What left this device. Of an attempt that failed, nobody can say how much got out. */
function sentText(result) {
  const sent = exactBytes(result.bytesSent);
  return `${result.degraded && result.bytesSent > 0 ? 'up to ' : ''}${sent} left this device`;
}

function costLine(result) {
  const { edgeMs, cloudMs, totalMs } = result.timings;
  const times = [
    `${milliseconds(edgeMs)} on this device`,
    ...(cloudMs > 0 ? [`${milliseconds(cloudMs)} for the cloud`] : []),
    `${milliseconds(totalMs)} in all`,
  ];
  return element(
    'p',
    { class: 'cost' },
    element('strong', { class: 'bytes' }, sentText(result)),
    ` · ${times.join(', ')}`,
  );
}

function scoreTable(result, manifest) {
  const ranked = Array.from(result.scores, (score, index) => ({ score, name: manifest.classes[index] }))
    .sort((a, b) => b.score - a.score)
    .slice(0, MOST_SCORES);
  const rows = ranked.map(({ name, score }) => element(
    'li',
    {},
    element('span', {}, name),
    bar(score),
    element('span', {}, percent(score)),
  ));
  return element(
    'details',
    { class: 'scores' },
    element('summary', {}, 'Scores'),
    element('ol', {}, ...rows),
  );
}
