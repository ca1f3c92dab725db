// The edge engine: fetches what the page is configured with, starts the WebAssembly package, and
// loads a model into it.

import { codedError, errorText } from './words.js';

let started; // the engine's class, once; a second model must not start the package again

/** `config.json`: the manifests on offer, the one to begin with, and where the cloud is. */
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
  return { ...config, models: offered.includes(config.model) ? offered : [config.model, ...offered] };
}

/** The engine with the model of `manifest` in it. */
export async function loadEngine(manifest, cloud, onProgress) {
  started ??= start();
  const Fogline = await started;
  return Fogline.load(absolute(manifest), { onProgress, cloud: absolute(cloud) });
}

async function start() {
  if (typeof WebAssembly === 'undefined') {
    throw codedError('engine_missing', 'This browser has no WebAssembly, which the engine needs.');
  }
  try {
    // Imported here and not at the top, so that a missing or unsupported package is a sentence
    // on the page and not a blank one.
    const { default: init, Fogline } = await import('./pkg/fogline_edge.js');
    await init();
    return Fogline;
  } catch (cause) {
    throw codedError('engine_missing', `The engine did not start: ${errorText(cause)}`, cause);
  }
}

// The engine joins paths to both addresses; it should not have to know what page it is on.
function absolute(address) {
  return new URL(address, document.baseURI).href.replace(/\/+$/, '');
}
