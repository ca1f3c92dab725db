// The cloud's switch, and whether the cloud is there at all.

const SLOW_MS = 2500;
const AGAIN_MS = 15_000;
const SAID = {
  on: 'The cloud answers.',
  slow: `The cloud answers, and takes ${SLOW_MS / 1000} s more for it.`,
  off: 'Hard pictures get the best exit\'s guess, marked as degraded.',
  away: 'The cloud is away: hard pictures get the best exit\'s guess, marked as degraded.',
};

/** Marks the cloud's state on the page, and tells the engine which to ask. */
export class Cloud {
  #timer = null;

  constructor(page, switches, line, engine) {
    Object.assign(this, { page, line, engine, address: null, mode: 'on', away: false });
    switches.addEventListener('change', ({ target }) => {
      this.mode = target.value;
      this.apply();
    });
    window.addEventListener('online', () => this.look());
    window.addEventListener('offline', () => this.mark(true));
  }

  /** Uses the function at this address. */
  use(address) {
    this.address = address;
    this.look();
    return this.apply();
  }

  apply() {
    this.#show();
    return this.engine.setCloud(this.mode === 'off' ? undefined : this.address, this.mode === 'slow' ? SLOW_MS : 0);
  }

  /** What an answer says of the cloud: it came from there, or there was no way. */
  learn({ origin, degraded }) {
    if (origin === 'cloud') this.mark(false);
    if (degraded?.reason === 'cloud_unreachable' || degraded?.reason === 'circuit_open') this.mark(true);
  }

  /** Asks whether it is there; that also wakes a function that sleeps. */
  async look() {
    const there = await fetch(`${this.address}/health`, { cache: 'no-store' }).then(({ ok }) => ok, () => false);
    const back = there && this.away;
    this.mark(!there);
    // The engine would leave it alone for a while yet.
    if (back) await this.apply();
  }

  mark(away) {
    this.away = away;
    clearTimeout(this.#timer);
    if (away) this.#timer = setTimeout(() => this.look(), AGAIN_MS);
    this.#show();
  }

  #show() {
    const state = this.away && this.mode !== 'off' ? 'away' : this.mode;
    this.page.dataset.cloud = state;
    if (this.line.textContent !== SAID[state]) this.line.textContent = SAID[state];
  }
}
