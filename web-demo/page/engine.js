// The edge engine, which runs in a worker: each call sends a message and waits for the reply.

import { relaxedSimd, simd } from '../lib/features.js';
import { codedError, errorCode, errorText } from '../shared/errors.js';

/**
 * @import { Call, Reply, Tasks, Wanted } from '../shared/types'
 * @import { Asking, Build, Classified, ClassifiedFile, Config, Policy, Progress } from './types'
 */

/**
 * Loads `config.json`: the available manifests, the first one to open, the cloud's URL and, if any, the gallery's index.
 *
 * @returns {Promise<Config>}
 */
export async function loadConfig() {
  let config;
  try {
    const answer = await fetch('config.json', { cache: 'no-cache' });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    config = await answer.json();
  } catch (cause) {
    throw codedError('config_missing', `config.json could not be loaded: ${errorText(cause)}.`, cause);
  }
  if (typeof config.model !== 'string' || typeof config.cloud !== 'string') {
    throw codedError('config_invalid', 'config.json must contain "model" and "cloud".');
  }
  const offered = Array.isArray(config.models) ? config.models : [];
  const models = offered.includes(config.model) ? offered : [config.model, ...offered];
  const gallery = typeof config.gallery === 'string' ? absolute(config.gallery) : null;
  return { model: absolute(config.model), models: models.map(absolute), cloud: absolute(config.cloud), gallery };
}

/** @param {string} address */
function absolute(address) {
  // Engine and worker need absolute URLs.
  return new URL(address, document.baseURI).href.replace(/\/+$/, '');
}

/**
 * Chooses the fastest build that this browser can run: a browser rejects a whole module for one unknown instruction.
 *
 * @returns {Promise<Build>}
 */
async function chooseBuild() {
  if (await relaxedSimd()) return 'relaxed';
  return (await simd()) ? 'simd' : 'scalar';
}

/** The engine. It may be called concurrently. */
export class Engine {
  /** @type {unknown} */
  #failed = null; // why the worker cannot be used
  /** @type {Map<number, { resolve: (answer: any) => void, reject: (error: unknown) => void, onStep?: (step: any) => void }>} */
  #calls = new Map();
  #last = 0;
  #worker = this.#start();

  #start() {
    const worker = new Worker(new URL('../worker/worker.js', import.meta.url), { type: 'module' });
    worker.addEventListener('message', ({ data }) => this.#receive(data));
    worker.addEventListener('error', ({ message }) => {
      this.#failed = codedError('engine_missing', `The engine's worker failed: ${message || 'one of its files is missing'}`);
      for (const { reject } of this.#calls.values()) reject(this.#failed);
      this.#calls.clear();
    });
    return worker;
  }

  /**
   * Loads a pair. It uses no cloud until `setCloud`.
   *
   * @param {string} manifest its URL
   * @param {(step: Progress) => void} onProgress
   */
  async load(manifest, onProgress) {
    const build = await chooseBuild();
    // A worker does not retry a failed import, so start a new one.
    if (this.#failed) {
      this.#failed = null;
      this.#worker.terminate();
      this.#worker = this.#start();
    }
    try {
      return { build, ...await this.#call('load', { build, manifest }, { onStep: onProgress }) };
    } catch (error) {
      if (errorCode(error) === 'engine_missing') this.#failed = error;
      throw error;
    }
  }

  /**
   * Classifies a picture. Rejects with `cancelled` when `signal` is aborted. `onAsking` is called before the cloud is asked,
   * if a thumbnail is wanted.
   *
   * @template {Wanted} W
   * @param {W} picture
   * @param {{ signal?: AbortSignal, onAsking?: (asking: Asking) => void }} options
   * @returns {Promise<W extends { frame: ImageBitmap } ? Classified : ClassifiedFile>}
   */
  classify(picture, { signal, onAsking } = {}) {
    return this.#call('classify', picture, { signal, onStep: onAsking, transfer: picture.frame ? [picture.frame] : [] });
  }

  /** @type {(policy: Policy, thresholds: number[]) => Promise<void>} */
  decideBy(policy, thresholds) {
    return this.#call('decideBy', { policy, thresholds });
  }

  /** @type {(cloud: string | undefined, token: string | undefined, slow: number) => Promise<void>} */
  setCloud(cloud, token, slow) {
    return this.#call('setCloud', { cloud, token, slow });
  }

  /**
   * Opens a zip, closing the previous one, and lists its pictures.
   *
   * @param {File} file
   */
  listZip(file) {
    return this.#call('listZip', { file });
  }

  /**
   * @template {keyof Tasks} T
   * @param {T} task
   * @param {Tasks[T]['given']} given
   * @param {{ transfer?: Transferable[], signal?: AbortSignal, onStep?: (step: any) => void }} options
   * @returns {Promise<any>} the worker's answer
   */
  async #call(task, given, { transfer = [], signal, onStep } = {}) {
    if (this.#failed) throw this.#failed;
    if (signal?.aborted) throw codedError('cancelled', 'The request was cancelled.');
    this.#last += 1;
    const call = this.#last;
    signal?.addEventListener('abort', () => this.#send({ call: 0, task: 'cancel', given: { call } }), { once: true });
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject, onStep });
      this.#send(/** @type {Call} */ ({ call, task, given }), transfer);
    });
  }

  /** @type {(call: Call, transfer?: Transferable[]) => void} */
  #send(call, transfer = []) {
    this.#worker.postMessage(call, transfer);
  }

  /** @param {Reply} reply */
  #receive({ call, step, answer, error }) {
    const waiting = this.#calls.get(call);
    if (!waiting) return; // a cancellation has no caller waiting
    if (step) {
      waiting.onStep?.(step);
      return;
    }
    this.#calls.delete(call);
    if (error) waiting.reject(codedError(error.code, error.message));
    else waiting.resolve(answer);
  }
}
