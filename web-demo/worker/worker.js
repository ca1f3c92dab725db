// The worker runs everything that takes time, so that the page stays responsive.

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
let engine; // started once, for all pairs
/** @type {Fogline | null} */
let fogline = null;
let delay = 0;
/** @type {Map<number, AbortController>} */
const running = new Map(); // by call

const worker = /** @type {DedicatedWorkerGlobalScope} */ (/** @type {unknown} */ (self));
/** @type {(reply: Reply, transfer?: Transferable[]) => void} */
const reply = (message, transfer = []) => worker.postMessage(message, transfer);

// The "slow" switch delays requests just before the network, so that the engine's deadline and retries behave as on a slow
// connection.
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
    throw codedError('engine_missing', 'This browser does not support WebAssembly, which the engine needs.');
  }
  try {
    // Imported here rather than at the top, so that a missing package becomes an error message on the page.
    const { default: init, Fogline } = await import(`${FOLDERS[build]}/fogline_edge.js`);
    await init();
    return Fogline;
  } catch (cause) {
    throw codedError('engine_missing', `The engine did not start: ${errorText(cause)}`, cause);
  }
}

/**
 * A task's input, and what it may use besides.
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

  /** Classifies `file`, `zipped` (an index in the open zip) or `frame` (an ImageBitmap). */
  async classify({ file, zipped, frame, thumbnail }, { report, signal }) {
    if (!fogline) throw codedError('model_missing', 'No model is loaded.');
    if (frame) {
      const imageData = readPixels(frame);
      frame.close();
      return { result: await fogline.classify(imageData, { signal }) };
    }
    const { imageData, ...shown } = await openPicture(file ?? unzip(/** @type {number} */ (zipped)), thumbnail);
    // Report progress only for a picture that is shown, not for a batch.
    const onAsking = thumbnail ? (/** @type {Answer} */ guess, /** @type {Uint8Array} */ map) => report({ ...shown, guess, map }) : undefined;
    return { ...shown, result: await fogline.classify(imageData, { signal, onAsking }) };
  },

  decideBy({ policy, thresholds }) {
    fogline?.decideBy(policy, thresholds);
  },

  /** Without a URL there is no cloud; `slow` is a delay in milliseconds. */
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
