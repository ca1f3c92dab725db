// The worker: what takes time happens here, so that the page never stands still.

import { codedError, errorCode, errorText } from '../shared/errors.js';
import { openPair } from './pair.js';
import { openPicture, readPixels } from './picture.js';
import { listZip, unzip } from './zip.js';

const FOLDERS = { relaxed: '../pkg/relaxed', simd: '../pkg', scalar: '../pkg/scalar' };

let engine; // the engine's class, once; a second pair must not start the package again
let fogline = null;
let delay = 0;
const running = new Map(); // AbortControllers by call

// The switch's "slow" holds questions back right in front of the network, so that the engine's
// own deadline and tries meet what they would meet on a bad line.
const send = self.fetch.bind(self);
self.fetch = async (resource, options) => {
  if (delay > 0 && options?.method === 'POST') await pause(delay, options.signal);
  return send(resource, options);
};

function pause(time, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, time);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

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

const tasks = {
  async load({ build, manifest }, { report }) {
    fogline?.free();
    fogline = null;
    engine ??= start(build);
    const pair = await openPair(await engine, manifest, report);
    fogline = pair.fogline;
    const files = performance.getEntriesByType('resource').map(({ name }) => name);
    return { manifest: fogline.manifest, energy: fogline.energy, backend: fogline.backend, kept: pair.kept, files };
  },

  /** Of `file`, of `zipped` (a place in the zip that is open), or of `frame` (an ImageBitmap). */
  async classify({ file, zipped, frame, thumbnail }, { signal }) {
    if (!fogline) throw codedError('model_missing', 'There is no model to ask.');
    let picture;
    if (frame) {
      picture = { imageData: readPixels(frame) };
      frame.close();
    } else {
      picture = await openPicture(file ?? unzip(zipped), thumbnail);
    }
    const { imageData, ...shown } = picture;
    const result = await fogline.classify(imageData, { signal });
    return { ...shown, result };
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

self.addEventListener('message', async ({ data: { call, task, given } }) => {
  const abort = new AbortController();
  running.set(call, abort);
  const report = (progress) => self.postMessage({ call, progress });
  try {
    const answer = await tasks[task](given, { report, signal: abort.signal });
    self.postMessage({ call, answer }, answer?.thumbnail ? [answer.thumbnail] : []);
  } catch (error) {
    self.postMessage({ call, error: { code: errorCode(error), message: errorText(error) } });
  } finally {
    running.delete(call);
  }
});
