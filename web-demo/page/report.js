// The report of a batch: totals, where the pictures were answered, and the confusion matrix.

import { element } from './element.js';
import { duration, energyText, exitTitle, percent, roughBytes, times } from './words.js';

/**
 * @import { Score } from './score.js'
 * @import { Listed } from './types'
 */

const MOST_CLASSES = 20; // in a readable matrix
const MOST_CONFUSED = 20;
const MOST_SHOWN = 40;
const UNKNOWN = '–'; // until the pictures that would go further are run again

/**
 * The progress, as in "120 of 500, 41 s to go".
 *
 * @param {number} done
 * @param {number} total
 * @param {number} seconds
 */
export function progressText(done, total, seconds) {
  const left = done > 0 && done < total ? `, ${duration((seconds / done) * (total - done))} to go` : '';
  return `${done} of ${total}${left}`;
}

/**
 * The report. Its data attributes repeat its text. `again` reruns the pictures whose ending is unknown, `look` shows one
 * picture.
 *
 * @param {Score} score
 * @param {{ total: number, leftOut: string, failed: number, pass: { pictures: number, seconds: number } }} run
 * @param {{ again: () => void, look: (picture: Listed) => void }} calls
 */
export function batchReport(score, run, { again, look }) {
  return element(
    'div',
    {
      class: 'report',
      'data-total': run.total,
      'data-done': score.done,
      'data-failed': run.failed,
      'data-degraded': score.degraded,
      'data-unknown': score.unknown.length,
      'data-labelled': score.labelled,
      'data-right': score.right,
      'data-bytes': score.bytesSent,
    },
    element('p', { class: 'hint now' }, 'With the measure and thresholds set above.'),
    score.isKnown ? null : furtherNote(score, again),
    totals(score, run),
    run.leftOut ? element('p', { class: 'hint left-out' }, run.leftOut) : null,
    endings(score),
    score.labelled > 0 ? confusion(score, look) : element('p', { class: 'hint' }, 'Put pictures into folders named after the classes to see how many answers are right.'),
  );
}

/** @type {(score: Score, again: () => void) => HTMLElement} */
function furtherNote({ unknown: { length }, wouldSend }, again) {
  const button = element('button', { type: 'button', id: 'batch-again' }, length === 1 ? 'Run it again' : `Run these ${length} again`);
  button.addEventListener('click', again);
  const sure = wouldSend > 0 ? `, ${wouldSend === length ? 'to the cloud' : `${wouldSend} of them to the cloud`}` : '';
  return element('p', { class: 'degraded further' }, `${length} ${length === 1 ? 'picture' : 'pictures'} would now go further than in this run${sure}. `, button);
}

/** @type {(score: Score, run: { failed: number, pass: { pictures: number, seconds: number } }) => HTMLElement} */
function totals(score, { failed, pass: { pictures, seconds } }) {
  const { done, degraded, switchedOff, offload, accuracy, reduction, labelled, isKnown } = score;
  const figures = [
    done === 0 ? null : [offload === null ? UNKNOWN : percent(1 - offload), 'stayed on this device'],
    labelled === 0 ? null : [accuracy === null ? UNKNOWN : percent(accuracy), `accuracy, on ${labelled} ${labelled === 1 ? 'picture' : 'pictures'} with a known class`],
    isKnown && reduction === null ? null : [
      reduction === null ? UNKNOWN : times(reduction),
      `less energy than the full-precision twin${reduction === null ? '' : `: ${energyText(score.twin - score.picojoules)} saved`} (an estimate, of computation only)`,
    ],
    [isKnown ? `${degraded > 0 ? 'up to ' : ''}${roughBytes(score.bytesSent)}` : UNKNOWN, sentText(score)],
    [`${(pictures / Math.max(seconds, 0.001)).toFixed(1)} per second`, `${pictures} pictures in ${duration(seconds)}`],
    degraded > 0 ? [String(degraded), `degraded: ${degraded === switchedOff ? 'the cloud is switched off' : 'the cloud gave no answer'}, the best exit guessed`] : null,
    failed > 0 ? [String(failed), 'could not be read'] : null,
  ];
  return element('ul', { class: 'figures' }, ...figures.filter((figure) => figure !== null).map(([number, text]) => element('li', {}, element('strong', {}, number), ' ', element('span', {}, text))));
}

/**
 * Compares the bytes sent with the picture files; explains it if the maps are larger, as for small pictures.
 *
 * @param {Score} score
 */
function sentText({ bytesSent, fileBytes }) {
  if (bytesSent <= fileBytes) return `sent, instead of ${roughBytes(fileBytes)} of picture files`;
  return `sent. The picture files have only ${roughBytes(fileBytes)}: a map takes about as many for every picture`;
}

/** @param {Score} score */
function endings(score) {
  /** @type {[string, number, string][]} */
  const rows = [...score.origins].map(([name, count]) => [name === 'cloud' ? 'Cloud' : exitTitle(name), count, name === 'cloud' ? 'cloud' : 'device']);
  if (score.degraded > 0) rows.push(['Degraded', score.degraded, 'degraded']);
  if (!score.isKnown) rows.push(['Not known', score.unknown.length, 'unknown']);
  const list = rows.map(([title, count, outcome]) => {
    const bar = element('span', { class: 'bar', 'aria-hidden': 'true' });
    bar.style.setProperty('--share', String(count / Math.max(1, score.done)));
    return element('li', { 'data-outcome': outcome }, element('span', {}, title), bar, element('span', {}, `${count}`));
  });
  return element('section', {}, element('h3', {}, 'Where they were answered'), element('ol', { class: 'histogram' }, ...list));
}

/**
 * The confusion matrix or, for many classes, a list of those most often confused. Clicking a count shows its pictures.
 *
 * @type {(score: Score, look: (picture: Listed) => void) => HTMLElement}
 */
function confusion(score, look) {
  const behind = element('div', { class: 'behind', 'aria-live': 'polite' });
  /** @type {(is: number, said: number) => HTMLElement} */
  const count = (is, said) => {
    const there = score.confusion[is][said];
    const button = element('button', { type: 'button', title: `${score.classes[is]}, classified as ${score.classes[said]}` }, String(there.length));
    button.addEventListener('click', () => behind.replaceChildren(...picturesOf(score, is, said, look)));
    return button;
  };
  const [title, list] = score.classes.length <= MOST_CLASSES ? ['Confusion matrix', matrix(score, count)] : ['Most often confused', confused(score, count)];
  return element('section', {}, element('h3', {}, title), list, behind);
}

/**
 * The pictures behind one count, the worst first: the most confident wrong answers, the least confident right ones.
 *
 * @type {(score: Score, is: number, said: number, look: (picture: Listed) => void) => HTMLElement[]}
 */
function picturesOf({ confusion: rows, classes }, is, said, look) {
  const worst = rows[is][said].toSorted((a, b) => (is === said ? a.confidence - b.confidence : b.confidence - a.confidence));
  const items = worst.slice(0, MOST_SHOWN).map(({ picture, confidence }) => {
    const { path, file } = picture;
    const name = path.split('/').at(-1) ?? path;
    const button = element('button', { type: 'button', title: path }, file ? imageOf(file) : null, element('span', { class: 'title' }, name), element('span', {}, percent(confidence)));
    button.addEventListener('click', () => look(picture));
    return element('li', {}, button);
  });
  const more = worst.length - items.length;
  return [
    element('p', {}, is === said ? `${classes[is]}, correct, least confident first` : `${classes[is]}, classified as ${classes[said]}, most confident first`, more > 0 ? `; ${more} more` : ''),
    element('ul', { class: 'pictures' }, ...items),
  ];
}

/** @param {File} file */
function imageOf(file) {
  const address = URL.createObjectURL(file);
  const image = element('img', { src: address, alt: '', width: 64, height: 64 });
  image.addEventListener('load', () => URL.revokeObjectURL(address), { once: true });
  return image;
}

/** @type {(score: Score, count: (is: number, said: number) => HTMLElement) => HTMLElement} */
function confused({ classes, confusion: rows }, count) {
  const wrong = rows.flatMap((row, is) => row.map(({ length }, said) => ({ is, said, length })).filter(({ said, length }) => said !== is && length > 0));
  const listed = wrong.sort((a, b) => b.length - a.length).slice(0, MOST_CONFUSED);
  const items = listed.map(({ is, said }) => element('li', {}, count(is, said), ` × ${classes[is]}, classified as ${classes[said]}`));
  return items.length > 0 ? element('ol', { class: 'confused' }, ...items) : element('p', {}, 'None.');
}

/** @type {(score: Score, count: (is: number, said: number) => HTMLElement) => HTMLElement} */
function matrix({ classes, confusion: rows }, count) {
  const most = Math.max(1, ...rows.flat().map(({ length }) => length));
  const head = element('tr', {}, element('th', { scope: 'col' }, 'actual ↓, predicted →'), ...classes.map((name) => element('th', { scope: 'col' }, element('span', {}, name))));
  const body = rows.map((row, is) => element(
    'tr',
    {},
    element('th', { scope: 'row' }, classes[is]),
    ...row.map(({ length }, said) => {
      const cell = element('td', { 'data-right': is === said }, length > 0 ? count(is, said) : '');
      cell.style.setProperty('--share', String(length / most));
      return cell;
    }),
  ));
  // Wide if there are many classes; focusable, so that it can be scrolled by keyboard.
  return element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Confusion matrix' }, element('table', { class: 'confusion' }, element('thead', {}, head), element('tbody', {}, ...body)));
}
