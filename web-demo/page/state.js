// The state that the page's parts share. After altering it, or anything else a button depends on, call `change`.

/** @import { Pair, PolicyRule, Sample } from './types' */

class State extends EventTarget {
  /** @type {Pair | null} */
  pair = null; // the one loaded in the engine
  /** @type {PolicyRule | null} */
  policy = null; // the one the engine uses
  isWelcome = false; // whether the visitor has seen the first, unasked answer
  /** @type {Sample[]} */
  samples = [];
  /** @type {Sample[]} */
  gallery = [];

  /**
   * Sets some of it and fires `change`.
   *
   * @param {Partial<Pick<State, 'pair' | 'policy' | 'samples' | 'gallery'>>} some
   */
  change(some = {}) {
    Object.assign(this, some);
    this.dispatchEvent(new Event('change'));
  }
}

export const state = new State();
