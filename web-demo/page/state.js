// What the parts of the page share. Whoever alters it, or anything else that a button depends on, says so by `change`.

/** @import { Pair, PolicyRule, Sample } from './types' */

class State extends EventTarget {
  /** @type {Pair | null} */
  pair = null; // that the engine has loaded
  /** @type {PolicyRule | null} */
  policy = null; // by which the engine decides
  isWelcome = false; // whether the visitor was shown a first answer unasked
  /** @type {Sample[]} */
  samples = [];
  /** @type {Sample[]} */
  gallery = [];

  /**
   * Sets `some` of it, and tells all who listen for `change`.
   *
   * @param {Partial<Pick<State, 'pair' | 'policy' | 'samples' | 'gallery'>>} some
   */
  change(some = {}) {
    Object.assign(this, some);
    this.dispatchEvent(new Event('change'));
  }
}

export const state = new State();
