// The score of a batch: where its pictures were answered, how many correctly, and at what cost.

import { redecide } from './redecide.js';

/**
 * @import { Ending, Found } from './redecide.js'
 * @import { Listed, Pair, PolicyRule } from './types'
 */

/**
 * A classified picture of a batch: the result, its file's size in bytes, and its class or -1.
 *
 * @typedef {{ picture: Listed, found: Found, bytes: number, label: number }} Answered
 */

/**
 * Index of the class that a picture's path names, by its nearest folder named after a class; -1 if there is none.
 *
 * @param {string} path
 * @param {string[]} classes
 */
export function labelOf(path, classes) {
  const folders = path.toLowerCase().split('/').slice(0, -1).reverse();
  const known = classes.map((name) => name.toLowerCase());
  return folders.reduce((label, folder) => (label >= 0 ? label : known.indexOf(folder)), -1);
}

/** Sums up one pair's answers under one policy and its thresholds. */
export class Score {
  done = 0;
  degraded = 0;
  switchedOff = 0; // degraded answers because the cloud was switched off
  labelled = 0;
  right = 0;
  bytesSent = 0;
  fileBytes = 0;
  picojoules = 0;
  /** @type {Listed[]} */
  unknown = []; // pictures that would go further than they did
  wouldSend = 0; // those of them that would certainly go to the cloud

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
   * Counts a picture as it would end under these thresholds.
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

  /** Whether the ending of every picture is known. */
  get isKnown() {
    return this.unknown.length === 0;
  }

  /** The offload rate: the share of pictures whose map is sent; null if some of them may still end at an exit. */
  get offload() {
    return this.unknown.length > this.wouldSend ? null : (this.#count('cloud') + this.degraded + this.wouldSend) / this.done;
  }

  /** The share of right answers among the pictures with a known class; null if it is unknown. */
  get accuracy() {
    return this.labelled > 0 && this.isKnown ? this.right / this.labelled : null;
  }

  /** Energy that the full-precision twin would use for the same pictures, in picojoules. */
  get twin() {
    return this.done * this.energy.twin.computation;
  }

  /**
   * How many times less energy than the twin. Null if the manifest has no MACs, or if the cloud failed: unfinished pictures
   * would make the saving look better than it is.
   */
  get reduction() {
    return this.picojoules > 0 && this.degraded === 0 && this.isKnown ? this.twin / this.picojoules : null;
  }
}
