// Answers to single pictures: asked for in turn, shown in the network, and kept as cards.

import { codedError } from '../shared/errors.js';
import { part } from './element.js';
import { showProblem } from './problems.js';
import { resultCard, spokenResult, thumbnailOf, verdictOf } from './result.js';
import { isRight, markSample, sampleFile } from './samples.js';
import { state } from './state.js';

/**
 * @import { Engine } from './engine.js'
 * @import { Line } from './line.js'
 * @import { Network } from './network.js'
 * @import { Tally } from './tally.js'
 * @import { Answer, Picture, PolicyRule, Sample } from './types'
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
   * Classifies a picture when it is its turn.
   *
   * @param {string} name
   * @param {Sample | null} sample where it is one
   * @param {() => Promise<File>} fetchFile
   */
  ask(name, sample, fetchFile) {
    return this.line.join(() => this.#classify(name, sample, fetchFile));
  }

  /** @param {Sample} sample */
  askSample(sample) {
    return this.ask(sample.title, sample, () => sampleFile(sample));
  }

  /** Classifies the picture on show anew, where something has changed that its answer came of: once, however often. */
  tryAgain() {
    if (this.#again) this.line.join(() => this.#again?.(), { once: 'again' });
  }

  /** The picture on show is not tried again. */
  letGo() {
    this.#again = null;
  }

  /** Another model decides anew: what was found with the one before is not shown as its own. */
  forgetModel() {
    this.letGo();
    for (const look of part('results').querySelectorAll('.look')) look.remove();
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
   * @param {PolicyRule | null} policy that decided
   * @param {boolean | null} right
   */
  show(picture, result, policy = state.policy, right = null) {
    this.network.light(result, policy);
    part('answer').replaceChildren(...verdictOf(result, right));
    part('subject').querySelector('canvas')?.remove();
    if (picture) part('subject').append(thumbnailOf(picture));
  }

  /**
   * Brings an answer to where a small screen shows it, unless whoever waits for it has scrolled since.
   *
   * @param {Promise<unknown>} answered
   */
  async reveal(answered) {
    const at = scrollY;
    await answered;
    if (scrollY === at) part('shown').scrollIntoView({ block: 'nearest' });
  }

  /** @type {(name: string, sample: Sample | null, fetchFile: () => Promise<File>) => Promise<void>} */
  async #classify(name, sample, fetchFile) {
    const results = part('results');
    results.setAttribute('aria-busy', 'true');
    try {
      const { pair } = state;
      if (!pair) throw codedError('model_missing', 'There is no model to ask.');
      const { result, ...picture } = await this.engine.classify({ file: await fetchFile(), thumbnail: true });
      const { policy } = state;
      const right = isRight(sample, result, pair.manifest.classes);
      const put = () => {
        this.#again = () => this.#classify(name, sample, fetchFile);
        this.show(picture, result, policy, right);
      };
      put();
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
      showProblem(error, name);
    } finally {
      results.removeAttribute('aria-busy');
      state.change();
    }
  }
}
