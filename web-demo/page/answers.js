// Answers to single pictures: asked for in turn, shown in the network, and kept as cards.

import { codedError, errorCode } from '../shared/errors.js';
import { part } from './element.js';
import { drawingOf } from './map.js';
import { pairTitle } from './model.js';
import { showProblem } from './problems.js';
import { givenUp, resultCard, spokenResult, thumbnailOf, verdictOf, waitingFor } from './result.js';
import { isRight, markSample, sampleFile } from './samples.js';
import { state } from './state.js';

/**
 * @import { Engine } from './engine.js'
 * @import { Line } from './line.js'
 * @import { Network } from './network.js'
 * @import { Tally } from './tally.js'
 * @import { Answer, Asking, Picture, PolicyRule, Sample, Wanted } from './types'
 */

const MOST_CARDS = 60;

/** What the engine says of pictures that are given to it one by one. */
export class Answers {
  /** @type {(() => unknown) | null} */
  #again = null; // classifies the picture on show once more

  /** @param {{ engine: Engine, line: Line, network: Network, tally: Tally, learn: (result: Answer) => void }} of `learn` gets every answer */
  constructor({ engine, line, network, tally, learn }) {
    this.engine = engine;
    this.line = line;
    this.network = network;
    this.tally = tally;
    this.learn = learn;
  }

  /**
   * Classifies a picture when it is its turn. With `reveal` a small screen is brought to what is shown of it, unless whoever
   * waits for it has scrolled since.
   *
   * @param {string} name
   * @param {Sample | null} sample where it is one
   * @param {() => Promise<Wanted>} bring gives the picture
   */
  ask(name, sample, bring, { reveal = false } = {}) {
    const at = reveal ? scrollY : NaN;
    return this.line.join(() => this.#classify(name, sample, bring, () => {
      if (scrollY === at) part('shown').scrollIntoView({ block: 'nearest' });
    }));
  }

  /** @param {Sample} sample */
  askSample(sample, { reveal = false } = {}) {
    return this.ask(sample.title, sample, async () => ({ file: await sampleFile(sample) }), { reveal });
  }

  /** Classifies the picture on show anew, where something has changed that its answer came of: once, however often. */
  tryAgain() {
    if (this.#again) this.line.join(() => this.#again?.(), { once: 'again' });
  }

  /** The picture on show is not tried again. */
  letGo() {
    this.#again = null;
  }

  /** Another model decides from now on: what was found with the one before is not shown as its own. */
  forgetModel() {
    const { pair } = state;
    for (const look of part('results').querySelectorAll('.look')) {
      look.closest('.card')?.querySelector('.name')?.append(pair ? ` · by ${pairTitle(pair.manifest)}` : '');
      look.remove();
    }
    part('map').hidden = true;
    this.tally.clear();
  }

  clear() {
    part('results').replaceChildren();
    this.tally.clear();
  }

  /**
   * Lights a result's way in the network, with the answer above it.
   *
   * @param {Picture | null} picture
   * @param {Answer} result
   * @param {{ policy?: PolicyRule | null, right?: boolean | null, map?: Uint8Array | null }} of the policy that decided, and the map that was sent
   */
  show(picture, result, { policy = state.policy, right = null, map = null } = {}) {
    this.network.light(result, policy);
    part('answer').replaceChildren(...verdictOf(result, right));
    showPicture(picture, map);
  }

  /** @type {(name: string, sample: Sample | null, bring: () => Promise<Wanted>, reveal: () => void) => Promise<void>} */
  async #classify(name, sample, bring, reveal) {
    const results = part('results');
    results.setAttribute('aria-busy', 'true');
    const abort = new AbortController();
    /** @type {Asking | null} */
    let asked = null;
    const again = () => this.#classify(name, sample, bring, () => {});
    try {
      const { pair, policy } = state;
      if (!pair) throw codedError('model_missing', 'There is no model to ask.');
      const { result, ...picture } = await this.engine.classify({ ...await bring(), thumbnail: true }, {
        signal: abort.signal,
        onAsking: (asking) => {
          asked = asking;
          this.#again = again;
          this.#wait(asking, policy, () => abort.abort());
          reveal();
        },
      });
      const right = isRight(sample, result, pair.manifest.classes);
      const map = /** @type {Asking | null} */ (asked)?.map;
      const put = () => {
        this.#again = again;
        this.show(picture, result, { policy, right, map });
      };
      put();
      reveal();
      this.learn(result);
      results.prepend(resultCard(picture, sample, result, right, () => {
        put();
        part('model-title').scrollIntoView({ block: 'start' });
      }));
      while (results.childElementCount > MOST_CARDS) results.lastElementChild?.remove();
      part('announcer').textContent = spokenResult(picture, result);
      this.tally.add(picture, result, pair.manifest);
      if (sample) markSample(sample, result, right);
    } catch (error) {
      if (asked && errorCode(error) === 'cancelled') this.#giveUp(asked);
      else showProblem(error, name);
    } finally {
      results.removeAttribute('aria-busy');
      state.change();
    }
  }

  /**
   * Shows a picture whose map is on its way: what the exits have said of it, and a way to end the waiting.
   *
   * @type {(asking: Asking, policy: PolicyRule | null, cancel: () => void) => void}
   */
  #wait({ guess, map, ...picture }, policy, cancel) {
    this.network.light(guess, policy, 'waiting');
    part('answer').replaceChildren(...waitingFor(guess, map.length, cancel));
    part('announcer').textContent = `${picture.name}: the cloud is asked.`;
    showPicture(picture, map);
  }

  /** @param {Asking} asked */
  #giveUp({ guess, map }) {
    this.network.light(guess, state.policy, 'cancelled');
    part('answer').replaceChildren(...givenUp(guess, map.length));
    part('announcer').textContent = 'Cancelled.';
    // The button has gone, and focus must not fall off the page.
    part('model-title').focus({ preventScroll: true });
  }
}

/**
 * Shows a picture, and beside it the map that stands for it in the cloud; a frame of the webcam is on show already.
 *
 * @param {Picture | null} picture
 * @param {Uint8Array | null} map
 */
function showPicture(picture, map) {
  part('subject').querySelector('canvas')?.remove();
  if (picture) part('subject').append(thumbnailOf(picture));
  part('map').hidden = !map || !state.pair;
  part('map').querySelector('canvas')?.remove();
  if (map && state.pair) part('map').prepend(drawingOf(map, state.pair.manifest.split));
}
