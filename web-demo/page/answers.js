// Classifies single pictures in turn, shows their path in the network, and keeps the results as cards.

import { codedError, errorCode } from '../shared/errors.js';
import { part } from './element.js';
import { drawingOf } from './map.js';
import { pairTitle } from './model.js';
import { showProblem } from './problems.js';
import { givenUp, reasonOf, resultCard, spokenResult, thumbnailOf, verdictOf, waitingFor } from './result.js';
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
// The width of the map in network.css, in pixels, which a smaller drawing is enlarged to.
const NARROWEST = 143;

/** The answers to single pictures. */
export class Answers {
  /** @type {(() => unknown) | null} */
  #again = null; // classifies the shown picture again

  /** @param {{ engine: Engine, line: Line, network: Network, tally: Tally, learn: (result: Answer) => void }} of `learn` is called with every answer */
  constructor({ engine, line, network, tally, learn }) {
    this.engine = engine;
    this.line = line;
    this.network = network;
    this.tally = tally;
    this.learn = learn;
  }

  /**
   * Classifies a picture when its turn comes. With `reveal`, scrolls to the result, unless the visitor has scrolled since.
   *
   * @param {string} name
   * @param {Sample | null} sample if it is one
   * @param {() => Promise<Wanted>} bring returns the picture
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

  /** Classifies the shown picture again, after a change that may alter its answer. Calls that wait are merged. */
  tryAgain() {
    if (this.#again) this.line.join(() => this.#again?.(), { once: 'again' });
  }

  /** Stops classifying the shown picture again. */
  letGo() {
    this.#again = null;
  }

  /** Called when another pair is loaded: marks the earlier cards as results of the previous pair. */
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
   * Highlights a result's path in the network, with the answer above it.
   *
   * @param {Picture | null} picture
   * @param {Answer} result
   * @param {{ policy?: PolicyRule | null, right?: boolean | null, map?: Uint8Array | null }} of the policy that decided, whether the answer is right, and the map that was sent
   */
  show(picture, result, { policy = state.policy, right = null, map = null } = {}) {
    this.network.light(result, policy);
    part('answer').replaceChildren(...verdictOf(result, right));
    part('answer').firstElementChild?.after(...reasonOf(result));
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
      if (!pair) throw codedError('model_missing', 'No model is loaded.');
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
   * Shows a picture while the cloud is asked: the exits' scores so far, and a button to cancel.
   *
   * @type {(asking: Asking, policy: PolicyRule | null, cancel: () => void) => void}
   */
  #wait({ guess, map, ...picture }, policy, cancel) {
    this.network.light(guess, policy, 'waiting');
    part('answer').replaceChildren(...waitingFor(guess, map.length, cancel));
    part('announcer').textContent = `${picture.name}: asking the cloud.`;
    showPicture(picture, map);
  }

  /** @param {Asking} asked */
  #giveUp({ guess, map }) {
    this.network.light(guess, state.policy, 'cancelled');
    part('answer').replaceChildren(...givenUp(guess, map.length));
    part('announcer').textContent = 'Cancelled.';
    // The button is gone, so move the focus.
    part('model-title').focus({ preventScroll: true });
  }
}

/**
 * Shows a picture, and next to it the map that was sent to the cloud; without a picture, the webcam's video stays.
 *
 * @param {Picture | null} picture
 * @param {Uint8Array | null} map
 */
function showPicture(picture, map) {
  part('subject').querySelector('canvas')?.remove();
  if (picture) part('subject').append(thumbnailOf(picture));
  part('map').hidden = !map || !state.pair;
  part('map').querySelector('canvas')?.remove();
  if (!map || !state.pair) return;
  const drawing = drawingOf(map, state.pair.manifest.split);
  part('map').style.setProperty('--drawing', `${drawing.width}px`);
  part('map').toggleAttribute('data-large', drawing.width > NARROWEST);
  part('map').prepend(drawing);
}
