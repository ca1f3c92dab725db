// What a batch came to: where its pictures ended, whether rightly, and what that cost.

import { redecide } from './redecide.js';

/**
 * @import { Ending, Found } from './redecide.js'
 * @import { Listed, Pair, PolicyRule } from './types'
 */

/**
 * A picture of a batch that was answered: what was found, its file's size, its class or -1.
 *
 * @typedef {{ picture: Listed, found: Found, bytes: number, label: number }} Answered
 */

/**
 * The class that a picture's path names, by its nearest folder that is one; -1 where none is.
 *
 * @param {string} path
 * @param {string[]} classes
 */
export function labelOf(path, classes) {
  const folders = path.toLowerCase().split('/').slice(0, -1).reverse();
  const known = classes.map((name) => name.toLowerCase());
  return folders.reduce((label, folder) => (label >= 0 ? label : known.indexOf(folder)), -1);
}

/** Counts what one pair says of pictures by one decision. */
export class Score {
  done = 0;
  degraded = 0;
  switchedOff = 0; // of the degraded ones, those where nobody wanted a cloud
  labelled = 0;
  right = 0;
  bytesSent = 0;
  fileBytes = 0;
  picojoules = 0;
  /** @type {Listed[]} */
  unknown = []; // that would go further than they went
  wouldSend = 0; // of these, those that would go to the cloud for certain

  /** @param {Pair} pair */
  constructor({ manifest, energy }) {
    this.manifest = manifest;
    this.energy = energy;
    this.classes = manifest.classes;
    /** @type {Map<string, number>} */
    this.origins = new Map([...manifest.exits.map(({ name }) => name), 'cloud'].map((name) => [name, 0]));
    /** @type {{ picture: Listed, confidence: number }[][][]} */
    this.confusion = manifest.classes.map(() => manifest.classes.map(() => []));
  }

  /**
   * Counts a picture as these thresholds would have it end.
   *
   * @type {(answered: Answered, policy: PolicyRule, thresholds: number[]) => void}
   */
  add({ picture, found, bytes, label }, policy, thresholds) {
    this.done += 1;
    this.fileBytes += bytes;
    if (label >= 0) this.labelled += 1;
    const ending = redecide(found, policy, thresholds, this.manifest);
    if (typeof ending === 'string') {
      this.unknown.push(picture);
      if (ending === 'cloud') this.wouldSend += 1;
      return;
    }
    this.bytesSent += ending.bytesSent;
    this.picojoules += this.#computation(ending);
    if (ending.degraded) {
      this.degraded += 1;
      if (ending.degraded === 'no_cloud') this.switchedOff += 1;
    } else {
      this.origins.set(ending.origin, this.#count(ending.origin) + 1);
    }
    if (label < 0) return;
    this.confusion[label][ending.index].push({ picture, confidence: ending.confidence });
    if (label === ending.index) this.right += 1;
  }

  /** @param {string} origin */
  #count(origin) {
    return this.origins.get(origin) ?? 0;
  }

  /** @param {Ending} ending */
  #computation({ origin, met, way }) {
    const costs = this.energy.ways[way];
    return origin === 'cloud' ? costs.cloud.computation : costs.exits[met - 1].computation;
  }

  /** Whether each picture's ending is known. */
  get isKnown() {
    return this.unknown.length === 0;
  }

  /** The share of pictures whose map was sent, or would have been; null where some may still end at an exit. */
  get offload() {
    return this.unknown.length > this.wouldSend ? null : (this.#count('cloud') + this.degraded + this.wouldSend) / this.done;
  }

  /** The share of right answers among the pictures of known classes; null where nobody knows it. */
  get accuracy() {
    return this.labelled > 0 && this.isKnown ? this.right / this.labelled : null;
  }

  /** What the full-precision twin would have spent on the same pictures. */
  get twin() {
    return this.done * this.energy.twin.computation;
  }

  /**
   * How many times less than the twin. Null for a pair that does not say what it computes, and where the cloud was
   * missed: it would look the better, the fewer hard pictures were finished.
   */
  get reduction() {
    return this.picojoules > 0 && this.degraded === 0 && this.isKnown ? this.twin / this.picojoules : null;
  }
}
