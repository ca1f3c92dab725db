// The edge engine, which runs in a worker: each call is a message there and one back.

import { relaxedSimd, simd } from '../lib/features.js';
import { codedError, errorCode, errorText } from '../shared/errors.js';

/** `config.json`: the manifests on offer, the one to begin with, where the cloud is, and the index of a gallery if there is one. */
export async function loadConfig() {
  let config;
  try {
    const answer = await fetch('config.json', { cache: 'no-cache' });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    config = await answer.json();
  } catch (cause) {
    throw codedError('config_missing', `config.json could not be read: ${errorText(cause)}.`, cause);
  }
  if (typeof config.model !== 'string' || typeof config.cloud !== 'string') {
    throw codedError('config_invalid', 'config.json must name a model and a cloud.');
  }
  const offered = Array.isArray(config.models) ? config.models : [];
  const models = offered.includes(config.model) ? offered : [config.model, ...offered];
  const gallery = typeof config.gallery === 'string' ? absolute(config.gallery) : null;
  return { model: absolute(config.model), models: models.map(absolute), cloud: absolute(config.cloud), gallery };
}

// Neither engine nor worker should have to know what page it is on.
function absolute(address) {
  return new URL(address, document.baseURI).href.replace(/\/+$/, '');
}

/** The build that this browser can run: one instruction it does not know, and it refuses all. */
async function chooseBuild() {
  if (await relaxedSimd()) return 'relaxed';
  return (await simd()) ? 'simd' : 'scalar';
}

/** The engine, to be asked by any number of callers at once. */
export class Engine {
  #worker = null;
  #failed = null; // why the worker is of no use
  #calls = new Map();
  #last = 0;

  constructor() {
    this.#start();
  }

  #start() {
    this.#failed = null;
    this.#worker?.terminate();
    this.#worker = new Worker(new URL('../worker/worker.js', import.meta.url), { type: 'module' });
    this.#worker.addEventListener('message', ({ data }) => this.#receive(data));
    this.#worker.addEventListener('error', ({ message }) => {
      this.#failed = codedError('engine_missing', `The engine's worker failed: ${message || 'a file of it is missing'}`);
      for (const { reject } of this.#calls.values()) reject(this.#failed);
      this.#calls.clear();
    });
  }

  /** Loads a pair; `{manifest, energy, backend, build, kept, files}`. It asks no cloud until `setCloud`. */
  async load(manifest, onProgress) {
    const build = await chooseBuild();
    // What a worker could not import it does not import again: another one may.
    if (this.#failed) this.#start();
    try {
      return { build, ...await this.#call('load', { build, manifest }, { onProgress }) };
    } catch (error) {
      if (errorCode(error) === 'engine_missing') this.#failed = error;
      throw error;
    }
  }

  /** Classifies `{file}`, `{zipped}` or `{frame}`; rejects with `cancelled` once `signal` is aborted. */
  classify(picture, signal = null) {
    return this.#call('classify', picture, { signal, transfer: picture.frame ? [picture.frame] : [] });
  }

  decideBy(policy, thresholds) {
    return this.#call('decideBy', { policy, thresholds });
  }

  setCloud(cloud, token, slow) {
    return this.#call('setCloud', { cloud, token, slow });
  }

  /** Opens a zip, in place of the one before; its pictures as `{path, zipped}`. */
  listZip(file) {
    return this.#call('listZip', { file });
  }

  async #call(task, given, { transfer = [], signal = null, onProgress = null } = {}) {
    if (this.#failed) throw this.#failed;
    if (signal?.aborted) throw codedError('cancelled', 'It was given up.');
    this.#last += 1;
    const call = this.#last;
    signal?.addEventListener('abort', () => this.#worker.postMessage({ task: 'cancel', given: { call } }), { once: true });
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject, onProgress });
      this.#worker.postMessage({ call, task, given }, transfer);
    });
  }

  #receive({ call, progress, answer, error }) {
    const waiting = this.#calls.get(call);
    if (!waiting) return; // nobody waits for a cancellation
    if (progress) {
      waiting.onProgress?.(progress);
      return;
    }
    this.#calls.delete(call);
    if (error) waiting.reject(codedError(error.code, error.message));
    else waiting.resolve(answer);
  }
}
