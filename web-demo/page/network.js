// The network as its manifest describes it, with the way of one picture lit: layers in a row, under
// each stretch the exit that ends it, a box around what is on this device, the cloud outside.

import { element } from './element.js';
import { certainty, exactBytes, exitTitle, milliseconds, millions, percent } from './words.js';

const MOST_CLASSES = 10;

/** Draws the network into `place`, and lights ways in it. */
export class Network {
  #place;
  #manifest = null;
  #stages = [];

  constructor(place) {
    this.#place = place;
  }

  /** Draws a pair. */
  show(manifest) {
    this.#manifest = manifest;
    const trunks = manifest.parts.filter(({ role, way }) => role === 'trunk' && !way);
    const exits = manifest.exits.map((exit, at) => {
      const blocks = exit.after_block - (manifest.exits[at - 1]?.after_block ?? 0);
      const layers = exit.extends ? layersOf(manifest.parts.find(({ name }) => name === `exit-${at + 1}`), true, 2) : layersOf(trunks[at], at === 0, blocks);
      return stage(exit.name, exitTitle(exit.name), layers, classBars(manifest), gauge());
    });
    const { shape, bits } = manifest.split;
    const split = stage('split', 'Split', layersOf(trunks[exits.length], false, 1), element(
      'p',
      { class: 'packed' },
      element('strong', {}, exactBytes(mapBytes(manifest))),
      ` pack this map: ${shape.join(' × ')} at ${bits} bit${bits === 1 ? '' : 's'}.`,
    ));
    const cloudPart = manifest.parts.find(({ role }) => role === 'cloud');
    const cloud = stage('cloud', 'Cloud', layersOf(cloudPart, false, 1), classBars(manifest));
    this.#stages = [...exits, split, cloud];
    this.#place.replaceChildren(
      element('li', { class: 'device' }, element('span', { class: 'place' }, 'on this device'), element('ol', {}, ...exits, split)),
      element('li', { class: 'beyond' }, element('span', { class: 'place' }, 'in the cloud'), element('ol', {}, cloud)),
    );
  }

  /** Lights the way of one picture; without a result, none. */
  light(result = null, policy = null) {
    const asked = new Map(result?.exits.map((exit) => [exit.name, exit]) ?? []);
    const travelled = result !== null && !result.exits.at(-1).sure;
    for (const [at, made] of this.#stages.entries()) {
      const { name } = made.dataset;
      made.style.setProperty('--step', at);
      if (name === 'split') this.#fill(made, travelled ? 'passed' : 'skipped', travelled ? 'packed' : 'not needed');
      else if (name === 'cloud') this.#lightCloud(made, result, travelled);
      else this.#lightExit(made, asked.get(name), result, policy);
      if (!result) made.dataset.state = 'idle';
    }
    this.#place.toggleAttribute('data-lit', false);
    void this.#place.offsetWidth; // a new animation, not the old one's end
    this.#place.toggleAttribute('data-lit', result !== null);
  }

  #lightExit(made, exit, result, policy) {
    this.#showWay(made, result?.way);
    if (!exit) return this.#fill(made, 'skipped', result ? 'not reached' : '');
    const answered = result.origin === exit.name;
    const [state, verdict] = verdictOf(exit, answered, result);
    const detail = `${certainty(policy, exit)}, ${milliseconds(result.timings.edgeMs)} on this device`;
    this.#fill(made, state, verdict, exit.scores);
    setGauge(made.querySelector('.gauge'), policy, exit, this.#manifest.classes.length);
    made.querySelector('.gauge').title = detail;
    return undefined;
  }

  /** Names the bits of the way that a picture took, at the exit behind it. */
  #showWay(made, way = 0) {
    const at = this.#manifest.exits.findIndex(({ name }) => name === made.dataset.name);
    const ways = this.#manifest.parts.filter(({ name, way: own }) => name === `trunk-${at + 1}` && own !== undefined);
    if (ways.length === 0) return;
    const bits = Object.keys(ways[way].macs)[0];
    for (const block of made.querySelectorAll('.slab')) {
      block.dataset.bits = bits;
      block.textContent = `${bits}-bit`;
    }
  }

  #lightCloud(made, result, travelled) {
    if (!travelled) return this.#fill(made, 'skipped', result ? 'not needed' : '');
    if (result.degraded) return this.#fill(made, 'failed', '✗ no answer');
    return this.#fill(made, 'sure', '✓ finished it', result.scores);
  }

  #fill(made, state, verdict, scores = null) {
    made.dataset.state = state;
    made.querySelector('.verdict').textContent = verdict;
    const bars = made.querySelector('.classes');
    if (bars) setBars(bars, this.#manifest.classes, scores);
    if (!scores) made.querySelector('.gauge')?.removeAttribute('data-known');
  }
}

/** Bytes of a packed map. */
export function mapBytes({ split: { shape: [channels, height, width], bits } }) {
  return Math.ceil((channels * height * width * bits) / 8);
}

function stage(name, title, layers, ...head) {
  return element(
    'li',
    { class: 'stage', 'data-name': name, 'data-state': 'idle' },
    layers,
    element(
      'div',
      { class: 'head' },
      element('p', { class: 'title' }, title, ' ', element('span', { class: 'verdict' })),
      ...head,
    ),
  );
}

/** Slabs for a stretch of layers: the 8-bit stem, 1-bit blocks, the cloud in full precision. */
function layersOf(part, withStem, blocks) {
  const macs = part?.macs ?? {};
  const widths = Object.keys(macs).map(Number).sort((a, b) => b - a);
  const width = widths.at(-1) ?? 1;
  const stem = withStem && widths.length > 1 ? [slab(widths[0], 'stem')] : [];
  const total = Object.values(macs).reduce((sum, count) => sum + count, 0);
  return element(
    'div',
    { class: 'layers' },
    element('div', { class: 'slabs' }, ...stem, ...Array.from({ length: blocks }, () => slab(width, 'block'))),
    element('p', { class: 'hint' }, `${millions(total)} MACs`),
  );
}

function slab(bits, kind) {
  const name = bits === 32 ? 'full precision' : `${bits}-bit`;
  return element('span', { class: 'slab', 'data-bits': bits }, kind === 'stem' ? `${name} stem` : name);
}

function classBars({ classes }) {
  const rows = classes.slice(0, MOST_CLASSES).map((name) => element(
    'li',
    {},
    element('span', { class: 'class' }, name),
    element('span', { class: 'bar', 'aria-hidden': 'true' }),
    element('span', { class: 'share' }, '–'),
  ));
  return element('ol', { class: 'classes', 'aria-label': 'Class probabilities' }, ...rows);
}

/** Of many classes the most probable ones; of few all, always in the same rows. */
function setBars(bars, classes, scores) {
  const order = classes.map((_, index) => index);
  if (scores && classes.length > MOST_CLASSES) order.sort((a, b) => scores[b] - scores[a]);
  const top = scores ? Math.max(...scores) : 0;
  for (const [at, row] of [...bars.children].entries()) {
    const score = scores?.[order[at]] ?? 0;
    const [name, bar, share] = row.children;
    name.textContent = classes[order[at]];
    // Through the object model: the content policy forbids style attributes.
    bar.style.setProperty('--share', score);
    share.textContent = scores ? percent(score) : '–';
    row.toggleAttribute('data-top', score > 0 && score === top);
  }
}

function gauge() {
  return element(
    'div',
    { class: 'gauge' },
    element('div', { class: 'track', 'aria-hidden': 'true' }, element('span', { class: 'zone' }), element('span', { class: 'needle' }), element('span', { class: 'line' })),
    element('p', { class: 'hint measure' }, ' '),
  );
}

/** How an exit that was met is lit, and what stands beside its name. */
function verdictOf(exit, answered, { exits }) {
  const extended = exits.at(-1).threshold === null;
  if (extended && !answered) return ['passed', exit.sure ? '✓ sure, but of a hard class' : 'passed through'];
  if (exit.sure) return ['sure', exit.threshold === null ? '✓ answers' : '✓ sure'];
  return answered ? ['fallback', 'best guess'] : ['passed', '✗ not sure'];
}

/** The measure as a needle, the threshold as a line, and where an exit is sure as a zone. */
function setGauge(made, policy, { certainty: measured, threshold, sure }, classes) {
  if (threshold === null) {
    made.querySelector('.measure').textContent = certainty(policy, { threshold });
    return;
  }
  const most = policy === 'entropy' ? Math.log(classes) : 1;
  const at = (value) => Math.min(1, Math.max(0, value / most));
  made.toggleAttribute('data-known', true);
  made.toggleAttribute('data-upwards', policy !== 'entropy');
  made.toggleAttribute('data-sure', sure);
  made.style.setProperty('--needle', at(measured));
  made.style.setProperty('--threshold', at(threshold));
  made.querySelector('.measure').textContent = certainty(policy, { certainty: measured, threshold });
}
