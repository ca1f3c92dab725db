// What a visitor can turn: the measure, the exits' thresholds, and along the calibration curve both
// thresholds at once.

import { element } from './element.js';
import { exitTitle, percent } from './words.js';

const MEASURES = { entropy: 'entropy', max_probability: 'largest probability', margin: 'lead over the second', appeal: 'its own prediction' };
const part = (id) => document.getElementById(id);

/** The controls of a pair. `turned` gets the decision while it is turned, `settled` when it stays. */
export class Controls {
  #manifest = null;
  #sliders = [];

  constructor(turned, settled) {
    this.turned = turned;
    this.settled = settled;
    this.policy = null;
    this.thresholds = [];
    part('policy').addEventListener('change', () => this.#choose(part('policy').value));
    part('trade').addEventListener('input', () => this.#set(this.points[part('trade').value].thresholds));
    part('trade').addEventListener('change', () => this.settled());
    part('reset').addEventListener('click', () => this.#choose(this.policy));
  }

  /** The calibration's points for the policy, as the chart has them: from all on the device to all in the cloud. */
  get points() {
    return this.#manifest.curves?.[this.policy]?.toReversed() ?? [];
  }

  /** The calibration's point with these thresholds; -1 where it never tried them. */
  get at() {
    return this.points.findIndex(({ thresholds }) => thresholds.every((value, exit) => value === this.thresholds[exit]));
  }

  /** Whether they are the ones that the pair came with. */
  get isOwn() {
    const { policy } = this.#manifest;
    return this.policy === policy && deciding(this.#manifest).every(({ thresholds }, exit) => thresholds[policy] === this.thresholds[exit]);
  }

  /** Begins anew with the pair's own policy and thresholds. */
  show(manifest) {
    this.#manifest = manifest;
    const known = Object.keys(MEASURES).filter((policy) => deciding(manifest).every(({ thresholds }) => policy in thresholds));
    part('policy').replaceChildren(...known.map((policy) => element('option', { value: policy }, MEASURES[policy])));
    part('policy').value = manifest.policy;
    this.#draw(manifest.policy);
  }

  #choose(policy) {
    this.#draw(policy);
    this.settled();
  }

  #draw(policy) {
    const { classes } = this.#manifest;
    const exits = deciding(this.#manifest);
    this.policy = policy;
    const most = policy === 'entropy' ? Math.log(classes.length) : 1;
    this.#sliders = exits.map(({ name }, exit) => {
      const slider = element('input', { type: 'range', id: `threshold-${name}`, min: 0, max: most.toFixed(3), step: 0.001 });
      slider.addEventListener('input', () => this.#set(this.thresholds.with(exit, Number(slider.value))));
      slider.addEventListener('change', () => this.settled());
      return slider;
    });
    part('thresholds').replaceChildren(...exits.map(({ name }, exit) => element(
      'p',
      {},
      element('label', { for: `threshold-${name}` }, `${exitTitle(name)} is sure ${policy === 'entropy' ? 'up to' : 'from'}`),
      this.#sliders[exit],
      element('output', { for: `threshold-${name}` }),
    )));
    part('trade-line').hidden = this.points.length === 0;
    part('trade').max = Math.max(0, this.points.length - 1);
    this.#set(exits.map(({ thresholds }) => thresholds[policy]));
  }

  #set(thresholds) {
    this.thresholds = [...thresholds];
    for (const [exit, slider] of this.#sliders.entries()) {
      slider.value = thresholds[exit];
      slider.nextElementSibling.value = thresholds[exit].toFixed(3);
    }
    const { at } = this;
    if (at >= 0) part('trade').value = at;
    part('trade-value').value = at >= 0 ? percent(1 - stays(this.points[at])) : 'not tried';
    this.turned();
  }
}

/** The exits that decide: all but an extension, which answers for hard classes. */
function deciding({ exits }) {
  return exits.filter((exit) => !exit.extends);
}

/** The share of pictures that end on the device. */
export function stays({ shares }) {
  return shares.reduce((sum, share) => sum + share, 0);
}
