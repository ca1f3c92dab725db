// A pair into the engine: its manifest, then its packed model, which is kept in the Cache API
// under its digest and so fetched once a version.

import { codedError, errorCode, errorText } from '../shared/errors.js';

/**
 * @import { Progress } from '../shared/types'
 * @import { Fogline, Engine } from './types'
 */

const STORE = 'fogline-models';
const MODEL = 'edge.fog';
const MOST_MANIFEST = 1 << 20;

/**
 * The pair of a manifest's address in an engine, and whether its model had been kept.
 *
 * @param {Engine} engine
 * @param {string} address
 * @param {(progress: Progress) => void} report
 * @returns {Promise<{ fogline: Fogline, kept: boolean }>}
 */
export async function openPair(engine, address, report) {
  const manifest = await download(address, 'manifest.json', MOST_MANIFEST, null, report);
  const model = new URL(MODEL, address).href;
  const { sha256, bytes: total } = described(manifest);
  const store = await openStore();
  const name = `${model}?sha256=${sha256}`;
  const kept = await (await store?.match(name))?.arrayBuffer();
  if (kept) {
    try {
      return { fogline: engine.open(manifest, new Uint8Array(kept)), kept: true };
    } catch (error) {
      // A disk can fail as a network can: what is no longer the model is fetched again.
      if (errorCode(error) !== 'model_corrupt') throw error;
      await store?.delete(name);
    }
  }
  const fog = await download(model, MODEL, total, total, report);
  // The engine compares size and SHA-256 with the manifest's; nothing else gets into the store.
  const fogline = engine.open(manifest, fog);
  await keep(store, model, name, fog);
  return { fogline, kept: false };
}

/**
 * What the manifest says of the model; of a manifest that is none, the engine says why.
 *
 * @param {Uint8Array} manifest
 */
function described(manifest) {
  try {
    return JSON.parse(new TextDecoder().decode(manifest)).files[MODEL] ?? {};
  } catch {
    return {};
  }
}

/** Null where there is none: over plain HTTP, in some private windows. */
async function openStore() {
  try {
    return await caches.open(STORE);
  } catch {
    return null;
  }
}

/** @type {(store: Cache | null, model: string, name: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>} */
async function keep(store, model, name, bytes) {
  try {
    const older = (await store?.keys()) ?? [];
    await Promise.all(older.filter(({ url }) => url.startsWith(`${model}?`)).map((key) => store?.delete(key)));
    await store?.put(name, new Response(bytes));
  } catch {
    // A full disk: the model is fetched again next time.
  }
}

/**
 * @param {string} address
 * @param {string} file its name
 * @param {number} most of bytes that it may have
 * @param {number | null} total of bytes, where it is known
 * @param {(progress: Progress) => void} report
 */
async function download(address, file, most = MOST_MANIFEST, total, report) {
  const unreachable = (/** @type {string} */ why) => codedError('model_unreachable', `${file} at ${address}: ${why}`);
  const answer = await fetch(address, { cache: 'no-cache' }).catch((cause) => {
    throw unreachable(errorText(cause));
  });
  if (!answer.ok || !answer.body) throw unreachable(`HTTP status ${answer.status}`);
  const bytes = new Uint8Array(most);
  let loaded = 0;
  try {
    for (let reader = answer.body.getReader(), step; !(step = await reader.read()).done;) {
      // One byte more than the manifest says is enough to know that it is another file.
      if (loaded + step.value.length > most) throw codedError('model_corrupt', `${file} at ${address} is longer than ${most} bytes.`);
      bytes.set(step.value, loaded);
      loaded += step.value.length;
      report({ file, loaded, total });
    }
  } catch (error) {
    throw errorCode(error) === 'model_corrupt' ? error : unreachable('the connection broke');
  }
  return bytes.subarray(0, loaded);
}
