// The cloud switch, and whether the cloud can be reached.

/**
 * @import { Engine } from './engine.js'
 * @import { Answer } from './types'
 */

/** @typedef {'on' | 'slow' | 'off'} Mode */

const SLOW_MS = 2500;
const AGAIN_MS = 15_000;
const SAID = {
  on: 'The cloud answers.',
  slow: `The cloud answers ${SLOW_MS / 1000} s later than usual.`,
  off: 'The cloud is off: hard pictures get the best exit\'s guess, marked as degraded.',
  away: 'The cloud cannot be reached: hard pictures get the best exit\'s guess, marked as degraded.',
  closed: 'The cloud needs a token: without one, hard pictures get the best exit\'s guess, marked as degraded.',
  typed: 'The token will be sent with the next hard picture.',
  refused: 'The cloud rejected this token: hard pictures get the best exit\'s guess, marked as degraded.',
};

/**
 * Shows the cloud's state on the page and tells the engine which cloud to use. The token that a visitor enters is kept in
 * memory only, until the page is closed; `opened` is called after it was entered.
 */
export class Cloud {
  #timer = 0;
  #address = '';
  /** @type {string | undefined} */
  #token;
  /** @type {Mode} */
  #mode = 'on';
  #away = false;
  /** @type {'typed' | 'refused' | 'closed' | null} */
  #closed = null;

  /**
   * @param {{
   *   page: HTMLElement,
   *   switches: HTMLElement,
   *   line: HTMLElement,
   *   door: HTMLFormElement,
   *   token: HTMLInputElement,
   *   engine: Engine,
   *   opened: () => void,
   * }} given
   */
  constructor({ page, switches, line, door, token, engine, opened }) {
    this.page = page;
    this.switches = switches;
    this.line = line;
    this.door = door;
    this.engine = engine;
    door.addEventListener('submit', async (event) => {
      event.preventDefault();
      this.#token = token.value.trim();
      this.#closed = 'typed';
      await this.apply();
      opened();
    });
    // A token that no header can carry would look like an unreachable cloud.
    token.addEventListener('input', () => {
      token.setCustomValidity(/^\s*[\x21-\x7e]+\s*$/.test(token.value) ? '' : 'A token may only contain printable ASCII characters, without spaces.');
    });
    switches.addEventListener('change', ({ target }) => {
      this.#mode = /** @type {Mode} */ (/** @type {HTMLInputElement} */ (target).value);
      this.apply();
    });
    window.addEventListener('online', () => this.look());
    window.addEventListener('offline', () => this.mark(true));
  }

  /**
   * Uses the function at this URL.
   *
   * @param {string} address
   */
  use(address) {
    this.#address = address;
    this.look();
    return this.apply();
  }

  apply() {
    this.#show();
    return this.engine.setCloud(this.#mode === 'off' ? undefined : this.#address, this.#token, this.#mode === 'slow' ? SLOW_MS : 0);
  }

  /**
   * Updates the cloud's state from an answer, which shows whether the cloud could be reached.
   *
   * @param {Answer} answer
   */
  learn({ origin, degraded }) {
    if (origin === 'cloud') {
      this.#closed = null;
      this.mark(false);
    }
    if (degraded?.reason === 'unauthorized') this.#turnedAway();
    if (degraded?.reason === 'cloud_unreachable' || degraded?.reason === 'circuit_open') this.mark(true);
  }

  /** Checks whether the cloud can be reached; this also starts an idle function. */
  async look() {
    /** @type {HeadersInit} */
    const headers = this.#token ? { authorization: `Bearer ${this.#token}` } : {};
    const status = await fetch(`${this.#address}/health`, { cache: 'no-store', headers }).then((answer) => answer.status, () => 0);
    const there = status === 401 || (status >= 200 && status < 300);
    const back = there && this.#away;
    if (status === 401) this.#turnedAway();
    else this.mark(!there);
    // Otherwise the engine would keep avoiding the cloud for a while.
    if (back) await this.apply();
  }

  /** The cloud is there but needs a token, or another one. */
  #turnedAway() {
    this.#closed = this.#token ? 'refused' : 'closed';
    this.mark(false);
  }

  /** @param {boolean} away */
  mark(away) {
    this.#away = away;
    clearTimeout(this.#timer);
    if (away) this.#timer = setTimeout(() => this.look(), AGAIN_MS);
    this.#show();
  }

  #show() {
    const trouble = this.#away ? 'away' : this.#closed;
    const state = this.#mode === 'off' ? 'off' : trouble ?? this.#mode;
    const wasInside = this.door.contains(document.activeElement);
    this.page.dataset.cloud = state;
    this.door.hidden = state !== this.#closed;
    // Do not lose the focus with the hidden form.
    if (wasInside && this.door.hidden) /** @type {HTMLElement} */ (this.switches.querySelector(':checked')).focus();
    if (this.line.textContent !== SAID[state]) this.line.textContent = SAID[state];
  }
}
