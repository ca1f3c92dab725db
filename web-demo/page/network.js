// Draws the network that a manifest describes and highlights the path of one picture: a row of layers, the exit of each
// stage below it, a box around what runs on this device, and the cloud outside.

import { element } from './element.js';
import { child, classBars, gauge, layersOf, setBars, setGauge, stage } from './stage.js';
import { certainty, exactBytes, exitTitle, milliseconds } from './words.js';

/** @import { Answer, ExitReport, Manifest, PolicyRule } from './types' */

/** Draws the network into `place` and highlights paths in it. */
export class Network {
  #place;
  /** @type {Manifest | null} */
  #manifest = null;
  /** @type {HTMLElement[]} */
  #stages = [];
  #waits = false; // waiting for the cloud, with the exits highlighted

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place;
  }

  /**
   * Draws a pair's network.
   *
   * @param {Manifest} manifest
   */
  show(manifest) {
    this.#manifest = manifest;
    const trunks = manifest.parts.filter(({ role, way }) => role === 'trunk' && !way);
    const exits = manifest.exits.map((exit, at) => {
      const blocks = exit.after_block - (manifest.exits[at - 1]?.after_block ?? 0);
      const extension = exit.extends && manifest.parts.find(({ name }) => name === `exit-${at + 1}`);
      const layers = extension ? layersOf(extension, 'in', 2) : layersOf(trunks[at], at === 0 ? 'stem' : null, blocks);
      return stage(exit.name, exitTitle(exit.name), layers, classBars(manifest), gauge());
    });
    const { shape, bits } = manifest.split;
    const split = stage('split', 'Split', layersOf(trunks[exits.length], null, 1), element(
      'p',
      { class: 'packed' },
      element('strong', {}, exactBytes(mapBytes(manifest))),
      ` hold this feature map: ${shape.join(' × ')} values of ${bits} bit${bits === 1 ? '' : 's'}.`,
      manifest.files['split.coder'] ? ' A coder sends it in fewer.' : '',
    ));
    const cloudPart = manifest.parts.find(({ role }) => role === 'cloud');
    const cloud = stage('cloud', 'Cloud', layersOf(cloudPart, null, 1), classBars(manifest));
    this.#stages = [...exits, split, cloud];
    this.#place.replaceChildren(
      element('li', { class: 'device' }, element('span', { class: 'place' }, 'on this device'), element('ol', {}, ...exits, split)),
      element('li', { class: 'beyond' }, element('span', { class: 'place' }, 'in the cloud'), element('ol', {}, cloud)),
    );
  }

  /**
   * Highlights the path of one picture, or as much of it as is known while the cloud is asked or after cancelling.
   *
   * @param {Answer} result
   * @param {PolicyRule | null} policy that decided
   * @param {'waiting' | 'cancelled' | null} asked
   */
  light(result, policy, asked = null) {
    const manifest = this.#manifest;
    if (!manifest) return;
    const met = new Map(result.exits.map((exit) => [exit.name, exit]));
    const travelled = !result.exits.at(-1)?.sure;
    for (const [at, made] of this.#stages.entries()) {
      const { name } = made.dataset;
      made.style.setProperty('--step', String(at));
      if (name === 'split') lightSplit(made, manifest, result, travelled);
      else if (name === 'cloud') lightCloud(made, manifest, result, travelled, asked);
      else lightExit(made, manifest, result, met.get(name ?? ''), policy);
    }
    if (!this.#waits) {
      this.#place.toggleAttribute('data-lit', false);
      void this.#place.offsetWidth; // restart the animation
      this.#place.toggleAttribute('data-lit', true);
    }
    this.#waits = asked === 'waiting';
  }
}

/** @type {(made: HTMLElement, manifest: Manifest, result: Answer, exit: ExitReport | undefined, policy: PolicyRule | null) => void} */
function lightExit(made, manifest, result, exit, policy) {
  showWay(made, manifest, result.way);
  if (!exit) {
    fill(made, manifest, 'skipped', 'not reached');
    return;
  }
  const [state, verdict] = verdictOf(exit, result.origin === exit.name, result);
  fill(made, manifest, state, verdict, exit.scores);
  const measure = child(made, '.gauge');
  setGauge(measure, policy, exit, manifest.classes.length);
  measure.title = `${certainty(policy, exit)}, ${milliseconds(result.timings.edgeMs)} on this device`;
}

/** @type {(made: HTMLElement, manifest: Manifest, result: Answer, travelled: boolean) => void} */
function lightSplit(made, manifest, { degraded, bytesSent }, travelled) {
  if (!travelled) fill(made, manifest, 'skipped', 'not needed');
  else if (degraded && bytesSent === 0) fill(made, manifest, 'held', 'not sent');
  else fill(made, manifest, 'passed', bytesSent > 0 ? `${exactBytes(bytesSent)} sent` : 'packed');
}

/** @type {(made: HTMLElement, manifest: Manifest, result: Answer, travelled: boolean, asked: 'waiting' | 'cancelled' | null) => void} */
function lightCloud(made, manifest, result, travelled, asked) {
  if (!travelled) fill(made, manifest, 'skipped', 'not needed');
  else if (asked) fill(made, manifest, asked === 'waiting' ? 'waiting' : 'failed', asked === 'waiting' ? 'asked…' : '✗ cancelled');
  else if (result.degraded) fill(made, manifest, 'failed', result.degraded.reason === 'no_cloud' ? '✗ switched off' : '✗ no answer');
  else fill(made, manifest, 'sure', '✓ finished it', result.scores);
}

/**
 * Labels the layers before an exit with the bits of the way that a picture took.
 *
 * @param {HTMLElement} made
 * @param {Manifest} manifest
 */
function showWay(made, manifest, way = 0) {
  const at = manifest.exits.findIndex(({ name }) => name === made.dataset.name);
  const ways = manifest.parts.filter(({ name, way: own }) => name === `trunk-${at + 1}` && own !== undefined);
  if (ways.length === 0) return;
  const [bits] = Object.keys(ways[way].macs);
  for (const block of made.querySelectorAll('.slab')) {
    block.setAttribute('data-bits', bits);
    block.textContent = `${bits}-bit`;
  }
}

/** @type {(made: HTMLElement, manifest: Manifest, state: string, verdict: string, scores?: number[] | null) => void} */
function fill(made, manifest, state, verdict, scores = null) {
  made.dataset.state = state;
  child(made, '.verdict').textContent = verdict;
  const bars = made.querySelector('.classes');
  if (bars) setBars(bars, manifest.classes, scores);
  if (!scores) made.querySelector('.gauge')?.removeAttribute('data-known');
}

/**
 * Size of a packed map in bytes.
 *
 * @param {Manifest} manifest
 */
function mapBytes({ split: { shape: [channels, height, width], bits } }) {
  return Math.ceil((channels * height * width * bits) / 8);
}

/**
 * How to highlight an exit that the picture reached, and the text next to its name.
 *
 * @type {(exit: ExitReport, answered: boolean, result: Answer) => [state: string, verdict: string]}
 */
function verdictOf(exit, answered, { exits }) {
  const extended = exits.at(-1)?.threshold === null;
  if (extended && !answered) return ['passed', exit.sure ? '✓ sure, but of a hard class' : 'passed on'];
  if (exit.sure) return ['sure', exit.threshold === null ? '✓ answers' : '✓ sure'];
  return answered ? ['fallback', 'best guess'] : ['passed', '✗ not sure'];
}
