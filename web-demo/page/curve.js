// The chart of accuracy and energy by offload rate: the calibration curve, the current thresholds, and measured results.

import uPlot from '../lib/chart.js';
import { stays } from './controls.js';
import { part } from './element.js';
import { percent, times } from './words.js';

/**
 * @import { Controls } from './controls.js'
 * @import { Score } from './score.js'
 * @import { Energy, Pair } from './types'
 */

/** @typedef {{ x: number, accuracy?: number, saving?: number | null }} Mark */
/**
 * How a series is drawn: as a line, or as points of a size, filled or hollow.
 *
 * @typedef {{ label: string, scale: 'accuracy' | 'saving', colour: string, line?: number[], size?: number, hollow?: boolean }} Look
 */

const HEIGHT = 260;
/** @type {Look[]} */
const LOOKS = [
  { label: 'accuracy, as calibrated', scale: 'accuracy', colour: '--goes', line: [] },
  { label: 'energy reduction, as calibrated', scale: 'saving', colour: '--stays', line: [5, 4] },
  { label: 'current thresholds, accuracy', scale: 'accuracy', colour: '--goes', size: 12 },
  { label: 'current thresholds, energy reduction', scale: 'saving', colour: '--stays', size: 12 },
  { label: 'this batch, accuracy', scale: 'accuracy', colour: '--warns', size: 13 },
  { label: 'all test pictures, accuracy', scale: 'accuracy', colour: '--goes', size: 9, hollow: true },
  { label: 'the paper, energy reduction', scale: 'saving', colour: '--fails', size: 11, hollow: true },
];
const NAMES = { accuracy: 'accuracy', saving: 'energy reduction' };

/**
 * How many times less energy than the twin, if `shares` of all pictures end at the exits and the rest in the cloud. If
 * pictures take several ways, `ways` has the shares by way, with the cloud after the exits.
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

/** The chart in `place`, described by the text in `line`. */
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
   * Shows a pair's curve under the current policy and, if the pair has a report, its test results and the paper's.
   *
   * @param {Pair} pair
   * @param {Controls} controls
   */
  show({ energy, report }, controls) {
    const { points, at } = controls;
    /** @type {(point: { shares: number[], accuracy: number }) => Mark} */
    const place = (point) => ({ x: 1 - stays(point), accuracy: point.accuracy, saving: reduction(energy, point) });
    this.#marks.calibrated = points.map(place);
    this.#marks.now = at >= 0 ? place(points[at]) : null;
    this.#marks.tested = report && controls.isOwn ? { x: report.share.cloud, accuracy: report.accuracy.system } : null;
    this.#marks.paper = report?.paper ? { x: 1 - report.paper.edge_share, saving: report.paper.reduction } : null;
    this.#draw();
  }

  /**
   * Marks the result of a batch; null removes the mark.
   *
   * @param {Score | null} score
   */
  measure(score) {
    const run = score?.accuracy == null || score.offload === null ? null : { x: score.offload, accuracy: score.accuracy };
    if (!run && !this.#marks.run) return;
    this.#marks.run = run;
    this.#draw();
  }

  #draw() {
    const { calibrated = [], now, run, tested, paper } = this.#marks;
    const marks = [calibrated, calibrated, [now], [now], [run], [tested], [paper]];
    const shown = LOOKS.map((look, at) => /** @type {const} */ ([look, marks[at].filter((mark) => mark != null)])).filter(([, some]) => some.length > 0);
    const all = shown.flatMap(([, some]) => some);
    part('curve').hidden = all.length === 0;
    if (all.length === 0) return;
    this.line.textContent = this.#sentence();
    this.place.setAttribute('aria-label', `Chart of accuracy and energy reduction by the share of pictures sent to the cloud. ${this.line.textContent}`);
    const xs = [...new Set(all.map(({ x }) => x))].sort((a, b) => a - b);
    /** @type {[number[], ...(number | null)[][]]} */
    const data = [xs, ...shown.map(([{ scale }, some]) => xs.map((x) => some.find((mark) => mark.x === x)?.[scale] ?? null))];
    this.#chart?.destroy();
    this.#chart = new uPlot(options(this.place, shown.map(([look]) => look)), data, this.place);
  }

  #sentence() {
    const { calibrated = [], now, run, tested, paper } = this.#marks;
    /** @type {(name: string, mark: Mark) => string} */
    const said = (name, { x, accuracy, saving }) => [
      `${name}: ${percent(x)} to the cloud`,
      accuracy === undefined ? null : `accuracy ${percent(accuracy)}`,
      saving == null ? null : `${times(saving)} less energy than the full-precision twin`,
    ].filter(Boolean).join(', ');
    return [
      now ? said('Current thresholds, on the held-out calibration pictures', now) : null,
      calibrated.length > 0 && !now ? 'The calibration never tried these thresholds; run a batch with known classes to measure them' : null,
      run ? said('This batch', run) : null,
      tested ? said('All test pictures', tested) : null,
      paper ? said('The paper', paper) : null,
    ].filter(Boolean).map((sentence) => `${sentence}.`).join(' ');
  }
}

/**
 * The range of the values with a margin, so that no mark is on the edge.
 *
 * @param {number} margin
 * @param {number} most
 * @returns {uPlot.Scale}
 */
function around(margin, most) {
  return { range: (_, low, high) => (low === null ? [0, 1] : [Math.max(0, low - margin), Math.min(most, high + margin)]) };
}

/** @type {(place: HTMLElement, looks: Look[]) => uPlot.Options} */
function options(place, looks) {
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
    scales: { x: { time: false, range: [0, 1] }, accuracy: around(0.03, 1), saving: around(1, Infinity) },
    axes: [
      { ...axis, label: 'pictures sent to the cloud', values: share },
      // Each axis has the colour of its curve.
      { ...axis, stroke: colour('--goes'), scale: 'accuracy', label: 'accuracy', values: share, size: 56 },
      {
        ...axis,
        stroke: colour('--stays'),
        scale: 'saving',
        side: 1,
        label: 'energy reduction',
        values: (_, values) => values.map((value) => `${value}×`),
        grid: { show: false },
      },
    ],
    hooks: { draw: [(chart) => nameLines(chart, looks, colour)] },
    series: [{}, ...looks.map(({ label, scale, colour: name, line, size = 0, hollow }) => ({
      label,
      scale,
      stroke: colour(name),
      fill: size > 0 ? colour(hollow ? '--panel' : name) : undefined,
      width: line ? 2 : 0,
      dash: line,
      spanGaps: true,
      points: { show: size > 0, size, width: 2, stroke: colour(name), fill: colour(hollow ? '--panel' : name) },
    }))],
  };
}

/**
 * Labels each line: the saving at its left end and the accuracy at its right end, where they are furthest apart.
 *
 * @type {(chart: uPlot, looks: Look[], colour: (name: string) => string) => void}
 */
function nameLines(chart, looks, colour) {
  const { ctx, bbox, data } = chart;
  const unit = devicePixelRatio;
  ctx.save();
  ctx.font = `600 ${12 * unit}px system-ui, sans-serif`;
  for (const [at, { scale, colour: name, line }] of looks.entries()) {
    if (!line) continue;
    const values = /** @type {(number | null)[]} */ (data[at + 1]);
    const isSaving = scale === 'saving';
    const index = isSaving ? values.findIndex((value) => value !== null) : values.findLastIndex((value) => value !== null);
    if (index < 0) continue; // the manifest has no MACs
    const y = chart.valToPos(values[index] ?? 0, scale, true);
    ctx.fillStyle = colour(name);
    ctx.textAlign = isSaving ? 'left' : 'right';
    ctx.fillText(NAMES[scale], isSaving ? bbox.left + 14 * unit : bbox.left + bbox.width - 8 * unit, y - 9 * unit);
  }
  ctx.restore();
}
