// One thing at a time: two pictures at once would spoil each other's times, and a model must not be exchanged under a
// picture.

/** Jobs one behind the other. Says `change` when the number of those that wait does. */
export class Line extends EventTarget {
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();
  /** @type {Set<string>} */
  #once = new Set();
  #waiting = 0;

  /** @param {(error: unknown) => void} failed gets what a job throws; the next one is done all the same */
  constructor(failed) {
    super();
    this.failed = failed;
  }

  get waiting() {
    return this.#waiting;
  }

  /**
   * Puts a job in line. One with a name in `once` is not put there while another of that name waits: it finds
   * things as they are at its turn, however often they changed before. One that is `quiet` is not counted among those that wait.
   *
   * @param {() => unknown} job
   * @param {{ once?: string, quiet?: boolean }} options
   */
  join(job, { once, quiet = false } = {}) {
    if (once && this.#once.has(once)) return this.#last;
    if (once) this.#once.add(once);
    if (!quiet) this.#count(1);
    this.#last = this.#last.then(() => {
      if (once) this.#once.delete(once);
      if (!quiet) this.#count(-1);
      return job();
    }).catch(this.failed);
    return this.#last;
  }

  /** @param {number} more */
  #count(more) {
    this.#waiting += more;
    this.dispatchEvent(new Event('change'));
  }
}
