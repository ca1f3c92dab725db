// Draws one stage of the network: its layers, and below them the exit's probabilities and certainty.

import { element } from './element.js';
import { certainty, millions, mostOf, percent } from './words.js';

/** @import { ExitReport, Manifest, PolicyRule } from './types' */

/** @typedef {Manifest['parts'][number]} Part */

const MOST_CLASSES = 10;

/** @type {(name: string, title: string, layers: HTMLElement, ...head: HTMLElement[]) => HTMLElement} */
export function stage(name, title, layers, ...head) {
  return element(
    'li',
    { class: 'stage', 'data-name': name, 'data-state': 'idle' },
    layers,
    element(
      'div',
      { class: 'head' },
      element('p', { class: 'title' }, element('span', {}, title), element('span', { class: 'verdict' })),
      ...head,
    ),
  );
}

/**
 * Draws a stage's layers as slabs: the 8-bit stem, 1-bit blocks, or the cloud in full precision. `first` is the kind of a
 * wider layer before the blocks. Full-precision heads after the blocks are not drawn.
 *
 * @param {Part | undefined} part
 * @param {'stem' | 'in' | null} first
 * @param {number} blocks
 */
export function layersOf(part, first, blocks) {
  const macs = part?.macs ?? {};
  const widths = Object.keys(macs).map(Number).sort((a, b) => b - a);
  const width = widths.at(-1) ?? 1;
  const before = widths.filter((bits) => bits !== width && bits < 32);
  const stem = first && before.length > 0 ? [slab(before[0], first)] : [];
  const total = Object.values(macs).reduce((sum, count) => sum + count, 0);
  return element(
    'div',
    { class: 'layers' },
    element('div', { class: 'slabs' }, ...stem, ...Array.from({ length: blocks }, () => slab(width, 'block'))),
    element('p', { class: 'hint' }, `${millions(total)} MACs`),
  );
}

/** @type {(bits: number, kind: 'stem' | 'in' | 'block') => HTMLElement} */
function slab(bits, kind) {
  const name = bits === 32 ? 'full precision' : `${bits}-bit`;
  return element('span', { class: 'slab', 'data-bits': bits }, kind === 'stem' ? `${name} stem` : name);
}

/** @param {Manifest} manifest */
export function classBars({ classes }) {
  const rows = classes.slice(0, MOST_CLASSES).map((name) => element(
    'li',
    {},
    element('span', { class: 'class', title: name }, name),
    element('span', { class: 'bar', 'aria-hidden': 'true' }),
    element('span', { class: 'share' }, '–'),
  ));
  return element('ol', { class: 'classes', 'aria-label': 'Class probabilities' }, ...rows);
}

/**
 * Shows the class probabilities: all classes in a fixed order if there are few, else the most probable ones.
 *
 * @param {Element} bars
 * @param {string[]} classes
 * @param {number[] | null} scores
 */
export function setBars(bars, classes, scores) {
  const order = classes.map((_, index) => index);
  if (scores && classes.length > MOST_CLASSES) order.sort((a, b) => scores[b] - scores[a]);
  const top = scores ? Math.max(...scores) : 0;
  for (const [at, row] of [...bars.children].entries()) {
    const score = scores?.[order[at]] ?? 0;
    const [name, bar, share] = /** @type {Iterable<HTMLElement>} */ (row.children);
    name.textContent = name.title = classes[order[at]];
    // Set from JavaScript: the content security policy forbids style attributes.
    bar.style.setProperty('--share', String(score));
    share.textContent = scores ? percent(score) : '–';
    row.toggleAttribute('data-top', score > 0 && score === top);
  }
}

export function gauge() {
  return element(
    'div',
    { class: 'gauge' },
    element('div', { class: 'track', 'aria-hidden': 'true' }, element('span', { class: 'zone' }), element('span', { class: 'needle' }), element('span', { class: 'line' })),
    element('p', { class: 'hint measure' }, ' '),
  );
}

/**
 * Shows the measure as a needle, the threshold as a line, and the range in which the exit is sure as a zone.
 *
 * @type {(made: HTMLElement, policy: PolicyRule | null, exit: ExitReport, classes: number) => void}
 */
export function setGauge(made, policy, { certainty: measured, threshold, sure }, classes) {
  if (threshold === null) {
    child(made, '.measure').textContent = certainty(policy, { certainty: measured, threshold });
    return;
  }
  const most = policy ? mostOf(policy, classes) : 1;
  /** @param {number} value */
  const at = (value) => Math.min(1, Math.max(0, value / most));
  made.toggleAttribute('data-known', true);
  made.toggleAttribute('data-upwards', policy?.sure === 'at_least');
  made.toggleAttribute('data-sure', sure);
  made.style.setProperty('--needle', String(at(measured)));
  made.style.setProperty('--threshold', String(at(threshold)));
  child(made, '.measure').textContent = certainty(policy, { certainty: measured, threshold });
}

/** @type {(made: HTMLElement, name: string) => HTMLElement} */
export function child(made, name) {
  return /** @type {HTMLElement} */ (made.querySelector(name));
}
