// Accuracy and energy against the share of pictures that go to the cloud: the calibration's curve,
// where the page stands on it now, and what was measured beside it.

import uPlot from '../lib/chart.js';
import { stays } from './controls.js';
import { part } from './element.js';
import { percent, times } from './words.js';

/**
 * @import { Controls } from './controls.js'
 * @import { Score } from './score.js'
 * @import { Energy, Pair } from './types'
 */

/** @typedef {{ x: number, right?: number, less?: number | null }} Mark */
/** @typedef {[label: string, scale: 'right' | 'less', colour: string, dash: number[] | null, size: number]} Look */

const HEIGHT = 260;
/** @type {Look[]} */
const LINES = [
  ['right, as calibrated', 'right', '--goes', [], 0],
  ['times less energy, as calibrated', 'less', '--stays', [5, 4], 0],
  ['now', 'right', '--text', null, 11],
  ['now, energy', 'less', '--text', null, 11],
  ['this run', 'right', '--warns', null, 13],
  ['test pictures', 'right', '--goes', null, 9],
  ['the paper, energy', 'less', '--fails', null, 11],
];

/**
 * How many times less energy than the twin, where `shares` of all pictures end at the exits, and the others in the cloud. Where
 * pictures go several ways, `ways` has their shares by way, the cloud's behind the exits'.
 *
 * @param {Energy} energy
 * @param {{ shares: number[], ways?: number[][] }} point
 */
function reduction(energy, { shares, ways = [[...shares, 1 - stays({ shares })]] }) {
  const { twin } = energy;
  const costs = ways.map((ended, way) => {
    const { exits, cloud } = energy.ways[way];
    return ended.reduce((sum, share, at) => sum + share * [...exits, cloud][at].computation, 0);
  });
  const system = costs.reduce((sum, cost) => sum + cost, 0);
  return system > 0 ? twin.computation / system : null;
}

/** The chart in `place` with its sentence in `line`. */
export class Curve {
  /** @type {uPlot | null} */
  #chart = null;
  /** @type {{ calibrated?: Mark[], now?: Mark | null, run?: Mark | null, tested?: Mark | null, paper?: Mark | null }} */
  #marks = {};

  /**
   * @param {HTMLElement} place
   * @param {HTMLElement} line
   */
  constructor(place, line) {
    this.place = place;
    this.line = line;
    new ResizeObserver(() => this.#chart?.setSize({ width: place.clientWidth, height: HEIGHT })).observe(place);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  /**
   * Shows a pair: its curve under a policy, and of its report, where it has one, test pictures and paper.
   *
   * @param {Pair} pair
   * @param {Controls} controls
   */
  show({ energy, report }, controls) {
    const { points, at } = controls;
    /** @type {(point: { shares: number[], accuracy: number }) => Mark} */
    const place = (point) => ({ x: 1 - stays(point), right: point.accuracy, less: reduction(energy, point) });
    this.#marks.calibrated = points.map(place);
    this.#marks.now = at >= 0 ? place(points[at]) : null;
    this.#marks.tested = report && controls.isOwn ? { x: report.share.cloud, right: report.accuracy.system } : null;
    this.#marks.paper = report?.paper ? { x: 1 - report.paper.edge_share, less: report.paper.reduction } : null;
    this.#draw();
  }

  /**
   * Marks what a run measured; null takes the mark away.
   *
   * @param {Score | null} score
   */
  measure(score) {
    this.#marks.run = score?.accuracy == null ? null : { x: score.offload, right: score.accuracy };
    this.#draw();
  }

  #draw() {
    const { calibrated = [], now, run, tested, paper } = this.#marks;
    const marks = [calibrated, calibrated, [now], [now], [run], [tested], [paper]];
    const shown = LINES.map((line, at) => /** @type {const} */ ([line, marks[at].filter((mark) => mark != null)])).filter(([, some]) => some.length > 0);
    const all = shown.flatMap(([, some]) => some);
    part('curve').hidden = all.length === 0;
    if (all.length === 0) return;
    this.line.textContent = this.#sentence();
    this.place.setAttribute('aria-label', `Chart of accuracy and energy by share in the cloud. ${this.line.textContent}`);
    const xs = [...new Set(all.map(({ x }) => x))].sort((a, b) => a - b);
    /** @type {[number[], ...(number | null)[][]]} */
    const data = [xs, ...shown.map(([[, scale], some]) => xs.map((x) => some.find((mark) => mark.x === x)?.[scale] ?? null))];
    this.#chart?.destroy();
    this.#chart = new uPlot(options(this.place, shown.map(([line]) => line)), data, this.place);
  }

  #sentence() {
    const { calibrated = [], now, run, tested, paper } = this.#marks;
    /** @type {(name: string, mark: Mark) => string} */
    const said = (name, { x, right, less }) => [
      `${name}: ${percent(x)} to the cloud`,
      right === undefined ? null : `${percent(right)} right`,
      less == null ? null : `${times(less)} less energy than the twin`,
    ].filter(Boolean).join(', ');
    return [
      now ? said('Now, on the held-out pictures of the calibration', now) : null,
      calibrated.length > 0 && !now ? 'The calibration never tried these thresholds; a batch with known classes measures them' : null,
      run ? said('This run', run) : null,
      tested ? said('All test pictures', tested) : null,
      paper ? said('The paper', paper) : null,
    ].filter(Boolean).map((sentence) => `${sentence}.`).join(' ');
  }
}

/**
 * A little more than what is shown, so that no mark lies on the edge.
 *
 * @param {number} margin
 * @param {number} most
 * @returns {uPlot.Scale}
 */
function around(margin, most) {
  return { range: (_, low, high) => (low === null ? [0, 1] : [Math.max(0, low - margin), Math.min(most, high + margin)]) };
}

/** @type {(place: HTMLElement, lines: Look[]) => uPlot.Options} */
function options(place, lines) {
  const style = getComputedStyle(place);
  /** @param {string} name */
  const colour = (name) => style.getPropertyValue(name);
  const axis = { stroke: colour('--faint'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line') } };
  /** @type {(chart: uPlot, values: number[]) => string[]} */
  const share = (_, values) => values.map((value) => percent(value));
  return {
    width: place.clientWidth,
    height: HEIGHT,
    cursor: { show: false },
    legend: { live: false },
    scales: { x: { time: false, range: [0, 1] }, right: around(0.03, 1), less: around(1, Infinity) },
    axes: [
      { ...axis, label: 'to the cloud', values: share },
      { ...axis, scale: 'right', label: 'right', values: share, size: 56 },
      { ...axis, scale: 'less', side: 1, label: 'times less energy', grid: { show: false } },
    ],
    series: [{}, ...lines.map(([label, scale, name, dash, size]) => ({
      label,
      scale,
      stroke: colour(name),
      fill: size > 0 ? colour(name) : undefined,
      width: dash ? 2 : 0,
      dash: dash ?? undefined,
      spanGaps: true,
      points: { show: size > 0, size, fill: colour(name) },
    }))],
  };
}
