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
    const folder = hasRelaxedSimd() ? './pkg/relaxed' : './pkg';
    const { default: init, Fogline } = await import(`${folder}/fogline_edge.js`);
    await init();
    return Fogline;
  } catch (cause) {
    throw codedError('engine_missing', `The engine did not start: ${errorText(cause)}`, cause);
  }
}

// The smallest module with a relaxed instruction, i8x16.relaxed_swizzle of two constants: a browser
// that does not know it refuses the module, and would refuse the engine that is built with such.
function hasRelaxedSimd() {
  const code = [65, 1, 253, 15, 65, 2, 253, 15, 253, 128, 2, 11];
  const header = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0];
  return WebAssembly.validate(new Uint8Array([...header, 10, code.length + 3, 1, code.length + 1, 0, ...code]));
}

// The engine joins paths to both addresses; it should not have to know what page it is on.
function absolute(address) {
  return new URL(address, document.baseURI).href.replace(/\/+$/, '');
}
