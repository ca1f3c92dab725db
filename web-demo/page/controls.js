// The visitor's controls: the policy, each exit's threshold, and a slider that moves all thresholds along the calibration
// curve.

import { element, input, output, part, select } from './element.js';
import { exitTitle, mostOf, percent, sureFrom } from './words.js';

/** @import { Manifest, Pair, PolicyRule } from './types' */

/** The controls of a pair. `turned` is called during each change, `settled` after it. */
export class Controls {
  /** @type {Manifest | null} */
  #manifest = null;
  /** @type {{ slider: HTMLInputElement, value: HTMLOutputElement }[]} */
  #sliders = [];
  /** @type {PolicyRule[]} */
  #policies = []; // for which the pair has thresholds
  /** @type {PolicyRule | null} */
  policy = null; // the chosen one
  /** @type {number[]} */
  thresholds = [];

  /**
   * @param {() => void} turned
   * @param {() => void} settled
   */
  constructor(turned, settled) {
    this.turned = turned;
    this.settled = settled;
    select('policy').addEventListener('change', () => this.#choose(this.#policies[select('policy').selectedIndex]));
    input('trade').addEventListener('input', () => this.#set(this.points[input('trade').valueAsNumber].thresholds));
    input('trade').addEventListener('change', () => this.settled());
    part('reset').addEventListener('click', () => this.policy && this.#choose(this.policy));
  }

  /** The calibration points of the policy, in the chart's order: from all on the device to all in the cloud. */
  get points() {
    return (this.policy && this.#manifest?.curves?.[this.policy.name])?.toReversed() ?? [];
  }

  /** Index of the calibration point with the current thresholds; -1 if the calibration never tried them. */
  get at() {
    return this.points.findIndex(({ thresholds }) => thresholds.every((value, exit) => value === this.thresholds[exit]));
  }

  /** Whether policy and thresholds are the pair's own. */
  get isOwn() {
    if (!this.#manifest) return false;
    const { policy } = this.#manifest;
    return this.policy?.name === policy && deciding(this.#manifest).every(({ thresholds }, exit) => thresholds[policy] === this.thresholds[exit]);
  }

  /**
   * Resets to the pair's own policy and thresholds.
   *
   * @param {Pick<Pair, 'manifest' | 'policies'>} pair
   */
  show({ manifest, policies }) {
    this.#manifest = manifest;
    this.#policies = policies.filter(({ name }) => deciding(manifest).every(({ thresholds }) => name in thresholds));
    select('policy').replaceChildren(...this.#policies.map(({ name, title }) => element('option', { value: name }, title)));
    select('policy').value = manifest.policy;
    this.#draw(manifest, this.#policies[select('policy').selectedIndex]);
  }

  /** @param {PolicyRule} policy */
  #choose(policy) {
    if (this.#manifest) this.#draw(this.#manifest, policy);
    this.settled();
  }

  /** @type {(manifest: Manifest, policy: PolicyRule) => void} */
  #draw(manifest, policy) {
    const { classes } = manifest;
    const exits = deciding(manifest);
    this.policy = policy;
    const most = mostOf(policy, classes.length);
    this.#sliders = exits.map(({ name }, exit) => {
      const slider = element('input', { type: 'range', id: `threshold-${name}`, min: 0, max: most.toFixed(3), step: 0.001 });
      slider.addEventListener('input', () => this.#set(this.thresholds.with(exit, Number(slider.value))));
      slider.addEventListener('change', () => this.settled());
      return { slider, value: element('output', { for: slider.id }) };
    });
    part('thresholds').replaceChildren(...exits.map(({ name }, exit) => element(
      'p',
      {},
      element('label', { for: `threshold-${name}` }, `${exitTitle(name)} is ${sureFrom(policy)}`),
      this.#sliders[exit].slider,
      this.#sliders[exit].value,
    )));
    part('trade-line').hidden = this.points.length === 0;
    input('trade').max = String(Math.max(0, this.points.length - 1));
    this.#set(exits.map(({ thresholds }) => /** @type {number} */ (thresholds[policy.name])));
  }

  /** @param {number[]} thresholds */
  #set(thresholds) {
    this.thresholds = [...thresholds];
    for (const [exit, { slider, value }] of this.#sliders.entries()) {
      slider.valueAsNumber = thresholds[exit];
      value.value = thresholds[exit].toFixed(3);
    }
    const { at } = this;
    if (at >= 0) input('trade').valueAsNumber = at;
    output('trade-value').value = at >= 0 ? percent(1 - stays(this.points[at])) : 'not tried';
    this.turned();
  }
}

/**
 * The exits that have a threshold: all except an extension.
 *
 * @param {Manifest} manifest
 */
function deciding({ exits }) {
  return exits.filter((exit) => !exit.extends);
}

/**
 * The share of pictures answered on the device.
 *
 * @param {{ shares: number[] }} point
 */
export function stays({ shares }) {
  return shares.reduce((sum, share) => sum + share, 0);
}
