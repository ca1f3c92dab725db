// A batch's score as a visitor reads it: totals, where the pictures ended, who was taken for whom.

import { element } from './element.js';
import { duration, energyText, exitTitle, percent, roughBytes, times } from './words.js';

/** @import { Score } from './score.js' */

const MOST_CLASSES = 20; // of a matrix that can be read
const MOST_CONFUSED = 20;

/**
 * "120 of 500, 41 s to go".
 *
 * @param {{ done: number, failed: number }} score
 * @param {number} total
 * @param {number} seconds
 */
export function progressText(score, total, seconds) {
  const done = score.done + score.failed;
  const left = done > 0 && done < total ? `, ${duration((seconds / done) * (total - done))} to go` : '';
  return `${done} of ${total}${left}`;
}

/**
 * The report. Its data attributes say the same as its text.
 *
 * @param {Score} score
 * @param {number} total
 * @param {number} seconds
 * @param {string} leftOut what is no picture, in words
 */
export function batchReport(score, total, seconds, leftOut) {
  return element(
    'div',
    {
      class: 'report',
      'data-total': total,
      'data-done': score.done,
      'data-failed': score.failed,
      'data-degraded': score.degraded,
      'data-labelled': score.labelled,
      'data-right': score.right,
      'data-bytes': score.bytesSent,
    },
    totals(score, seconds),
    leftOut ? element('p', { class: 'hint' }, leftOut) : null,
    endings(score),
    score.labelled > 0 ? confusion(score) : element('p', { class: 'hint' }, 'Folders named after the classes would tell how many of these answers are right.'),
  );
}

/** @type {(score: Score, seconds: number) => HTMLElement} */
function totals(score, seconds) {
  const { done, degraded, accuracy, reduction } = score;
  const figures = [
    done === 0 ? null : [percent(1 - score.offload), 'stayed on this device'],
    accuracy === null ? null : [percent(accuracy), `right, of ${score.labelled} with a known class`],
    reduction === null ? null : [times(reduction), `less energy than the full-precision twin: ${energyText(score.twin - score.picojoules)} saved, computation by the model`],
    [`${degraded > 0 ? 'up to ' : ''}${roughBytes(score.bytesSent)}`, `sent, instead of ${roughBytes(score.fileBytes)} of picture files`],
    [`${(done / Math.max(seconds, 0.001)).toFixed(1)} a second`, `${done} pictures in ${duration(seconds)}`],
    degraded > 0 ? [String(degraded), 'degraded: the cloud gave no answer, the best exit guessed'] : null,
    score.failed > 0 ? [String(score.failed), 'could not be read'] : null,
  ];
  return element('ul', { class: 'figures' }, ...figures.filter((figure) => figure !== null).map(([number, text]) => element('li', {}, element('strong', {}, number), ' ', element('span', {}, text))));
}

/** @param {Score} score */
function endings(score) {
  /** @type {[string, number, string][]} */
  const rows = [...score.origins].map(([name, count]) => [name === 'cloud' ? 'Cloud' : exitTitle(name), count, name === 'cloud' ? 'cloud' : 'device']);
  if (score.degraded > 0) rows.push(['Degraded', score.degraded, 'degraded']);
  const list = rows.map(([title, count, outcome]) => {
    const bar = element('span', { class: 'bar', 'aria-hidden': 'true' });
    bar.style.setProperty('--share', String(count / Math.max(1, score.done)));
    return element('li', { 'data-outcome': outcome }, element('span', {}, title), bar, element('span', {}, `${count}`));
  });
  return element('section', {}, element('h3', {}, 'Where they ended'), element('ol', { class: 'histogram' }, ...list));
}

/**
 * Who was taken for whom: a matrix of few classes, of many those that were most often confused.
 *
 * @param {Score} score
 */
function confusion(score) {
  return score.classes.length <= MOST_CLASSES ? matrix(score) : confused(score);
}

/** @param {Score} score */
function confused({ classes, confusion: rows }) {
  const wrong = rows.flatMap((row, is) => row.map((count, said) => ({ is, said, count })).filter(({ said, count }) => said !== is && count > 0));
  const listed = wrong.sort((a, b) => b.count - a.count).slice(0, MOST_CONFUSED);
  const items = listed.map(({ is, said, count }) => element('li', {}, `${count} × ${classes[is]}, taken for ${classes[said]}`));
  return element('section', {}, element('h3', {}, 'Most often confused'), items.length > 0 ? element('ol', { class: 'confused' }, ...items) : element('p', {}, 'None.'));
}

/** @param {Score} score */
function matrix({ classes, confusion: rows }) {
  const most = Math.max(1, ...rows.flat());
  const head = element('tr', {}, element('th', { scope: 'col' }, 'is ↓, taken for →'), ...classes.map((name) => element('th', { scope: 'col' }, element('span', {}, name))));
  const body = rows.map((row, is) => element(
    'tr',
    {},
    element('th', { scope: 'row' }, classes[is]),
    ...row.map((count, said) => {
      const cell = element('td', { 'data-right': is === said }, count > 0 ? `${count}` : '');
      cell.style.setProperty('--share', String(count / most));
      return cell;
    }),
  ));
  return element(
    'section',
    {},
    element('h3', {}, 'Taken for'),
    // Wide where there are many classes; whoever has no mouse scrolls it by keyboard.
    element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Confusion matrix' }, element('table', { class: 'confusion' }, element('thead', {}, head), element('tbody', {}, ...body))),
  );
}
