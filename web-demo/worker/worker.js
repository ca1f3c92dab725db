// The worker: what takes time happens here, so that the page never stands still.

import { codedError, errorCode, errorText } from '../shared/errors.js';
import { openPair } from './pair.js';
import { openPicture, readPixels } from './picture.js';
import { listZip, unzip } from './zip.js';

/**
 * @import { Answer, Asking, Build, Call, Progress, Reply, Tasks } from '../shared/types'
 * @import { Engine, Fogline } from './types'
 */

const FOLDERS = { relaxed: '../pkg/relaxed', simd: '../pkg', scalar: '../pkg/scalar' };

/** @type {Promise<Engine> | undefined} */
let engine; // once; a second pair must not start the package again
/** @type {Fogline | null} */
let fogline = null;
let delay = 0;
/** @type {Map<number, AbortController>} */
const running = new Map(); // by call

const worker = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));
/** @type {(reply: Reply, transfer?: Transferable[]) => void} */
const reply = (message, transfer = []) => worker.postMessage(message, transfer);

// The switch's "slow" holds questions back right in front of the network, so that the engine's
// own deadline and tries meet what they would meet on a bad line.
const send = self.fetch.bind(self);
self.fetch = async (resource, options) => {
  if (delay > 0 && options?.method === 'POST') await pause(delay, options.signal ?? null);
  return send(resource, options);
};

/** @type {(time: number, signal: AbortSignal | null) => Promise<void>} */
function pause(time, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, time);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** @type {(build: Build) => Promise<Engine>} */
async function start(build) {
  if (typeof WebAssembly === 'undefined') {
    throw codedError('engine_missing', 'This browser has no WebAssembly, which the engine needs.');
  }
  try {
    // Imported here and not at the top, so that a missing package is a sentence on the page.
    const { default: init, Fogline } = await import(`${FOLDERS[build]}/fogline_edge.js`);
    await init();
    return Fogline;
  } catch (cause) {
    throw codedError('engine_missing', `The engine did not start: ${errorText(cause)}`, cause);
  }
}

/**
 * What is given to a task, and what it may use beside.
 *
 * @typedef {{ report: (step: Progress | Asking) => void, signal: AbortSignal }} Means
 * @type {{ [T in keyof Tasks]: (given: Tasks[T]['given'], means: Means) => Promise<Tasks[T]['answer']> | Tasks[T]['answer'] }}
 */
const tasks = {
  async load({ build, manifest }, { report }) {
    fogline?.free();
    fogline = null;
    engine ??= start(build);
    const { policies } = await engine;
    const pair = await openPair(await engine, manifest, report);
    fogline = pair.fogline;
    const files = performance.getEntriesByType('resource').map(({ name }) => name);
    return { manifest: fogline.manifest, energy: fogline.energy, policies, backend: fogline.backend, kept: pair.kept, files };
  },

  /** Of `file`, of `zipped` (a place in the zip that is open), or of `frame` (an ImageBitmap). */
  async classify({ file, zipped, frame, thumbnail }, { report, signal }) {
    if (!fogline) throw codedError('model_missing', 'There is no model to ask.');
    if (frame) {
      const imageData = readPixels(frame);
      frame.close();
      return { result: await fogline.classify(imageData, { signal }) };
    }
    const { imageData, ...shown } = await openPicture(file ?? unzip(/** @type {number} */ (zipped)), thumbnail);
    // Whoever shows the picture shows that it is on its way; of a batch nobody could follow that.
    const onAsking = thumbnail ? (/** @type {Answer} */ guess, /** @type {Uint8Array} */ map) => report({ ...shown, guess, map }) : undefined;
    return { ...shown, result: await fogline.classify(imageData, { signal, onAsking }) };
  },

  decideBy({ policy, thresholds }) {
    fogline?.decideBy(policy, thresholds);
  },

  /** No address is no cloud; `slow` is a delay in milliseconds. */
  setCloud({ cloud, token, slow }) {
    delay = slow;
    fogline?.setCloud(cloud, token);
  },

  listZip: ({ file }) => listZip(file),

  cancel({ call }) {
    running.get(call)?.abort();
  },
};

/**
 * @template {keyof Tasks} T
 * @param {T} task
 * @param {Tasks[T]['given']} given
 * @param {Means} means
 */
const perform = async (task, given, means) => tasks[task](given, means);

worker.addEventListener('message', async (/** @type {MessageEvent<Call>} */ { data: { call, task, given } }) => {
  const abort = new AbortController();
  running.set(call, abort);
  /** @param {Progress | Asking} step */
  const report = (step) => reply({ call, step });
  try {
    const answer = await perform(task, given, { report, signal: abort.signal });
    reply({ call, answer }, answer && 'thumbnail' in answer && answer.thumbnail ? [answer.thumbnail] : []);
  } catch (error) {
    reply({ call, error: { code: errorCode(error), message: errorText(error) } });
  } finally {
    running.delete(call);
  }
});
