// What a batch came to: where its pictures ended, whether rightly, and what that cost.

import { outcomeOf } from './result.js';

/** @import { Answer, Pair } from './types' */

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

/** Counts results of one pair. */
export class Score {
  done = 0;
  failed = 0;
  degraded = 0;
  labelled = 0;
  right = 0;
  bytesSent = 0;
  fileBytes = 0;
  picojoules = 0;

  /** @param {Pair} pair */
  constructor({ manifest, energy }) {
    this.energy = energy;
    this.classes = manifest.classes;
    /** @type {Map<string, number>} */
    this.origins = new Map([...manifest.exits.map(({ name }) => name), 'cloud'].map((name) => [name, 0]));
    this.confusion = manifest.classes.map(() => manifest.classes.map(() => 0));
  }

  /**
   * Counts a picture of this class, -1 where nobody knows it.
   *
   * @param {{ result: Answer, bytes: number }} answered
   * @param {number} label
   */
  add({ result, bytes }, label) {
    this.done += 1;
    this.fileBytes += bytes;
    this.bytesSent += result.bytesSent;
    if (outcomeOf(result) === 'degraded') {
      this.degraded += 1;
    } else {
      this.origins.set(result.origin, this.#count(result.origin) + 1);
    }
    this.picojoules += this.#computation(result);
    if (label < 0) return;
    this.labelled += 1;
    this.confusion[label][result.index] += 1;
    if (label === result.index) this.right += 1;
  }

  fail() {
    this.failed += 1;
  }

  /** @param {string} origin */
  #count(origin) {
    return this.origins.get(origin) ?? 0;
  }

  /** @param {Answer} answer */
  #computation({ origin, exits, way = 0 }) {
    const costs = this.energy.ways[way];
    return origin === 'cloud' ? costs.cloud.computation : costs.exits[exits.length - 1].computation;
  }

  /** The share of pictures whose map was sent, or would have been. */
  get offload() {
    return (this.#count('cloud') + this.degraded) / this.done;
  }

  get accuracy() {
    return this.labelled > 0 ? this.right / this.labelled : null;
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
    return this.picojoules > 0 && this.degraded === 0 ? this.twin / this.picojoules : null;
  }
}
