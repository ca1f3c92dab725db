// Loads a pair into the engine: its manifest, then its packed model, which is cached by digest and so downloaded once per
// version.

import { codedError, errorCode, errorText } from '../shared/errors.js';

/**
 * @import { Progress } from '../shared/types'
 * @import { Fogline, Engine } from './types'
 */

const STORE = 'fogline-models';
const MODEL = 'edge.fog';
const MOST_MANIFEST = 1 << 20;

/**
 * Loads the pair with this manifest URL. Returns it and whether its model was cached.
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
      // The cached copy is damaged: download it again.
      if (errorCode(error) !== 'model_corrupt') throw error;
      await store?.delete(name);
    }
  }
  const fog = await download(model, MODEL, total, total, report);
  // The engine has verified size and SHA-256 against the manifest, so only valid models are cached.
  const fogline = engine.open(manifest, fog);
  await keep(store, model, name, fog);
  return { fogline, kept: false };
}

/**
 * The manifest's entry for the model; if the manifest is invalid, the engine reports why.
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

/** The model cache; null over plain HTTP and in some private windows. */
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
    // The disk is full: the model is downloaded again next time.
  }
}

/**
 * @param {string} address
 * @param {string} file its name
 * @param {number} most size limit in bytes
 * @param {number | null} total size in bytes, if known
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
      // Stop at the first byte beyond the limit: it is the wrong file.
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
