// A queue that runs one job at a time: pictures must not distort each other's timings, and the model must not change while
// a picture is being classified.

/** A queue of jobs. Fires `change` when the number of waiting jobs changes. */
export class Line extends EventTarget {
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();
  /** @type {Set<string>} */
  #once = new Set();
  #waiting = 0;

  /** @param {(error: unknown) => void} failed is called with what a job throws; the next job runs anyway */
  constructor(failed) {
    super();
    this.failed = failed;
  }

  get waiting() {
    return this.#waiting;
  }

  /**
   * Queues a job. A job named by `once` is not queued while another of that name waits, which will see the latest state
   * anyway. A `quiet` job is not counted as waiting.
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
