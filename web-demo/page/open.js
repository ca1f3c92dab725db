// Opening a pair: into the engine, with what was measured of it, in turn with all else.

import { part } from './element.js';
import { showLoading, showModel, showModelProblem, showProgress } from './model.js';
import { state } from './state.js';

/**
 * @import { Engine } from './engine.js'
 * @import { Line } from './line.js'
 * @import { Pair, Report } from './types'
 */

/**
 * Opens the pair of a manifest's address. `leave` is called before, when it is its turn, and `enter` with the pair;
 * `opened` when the visitor has been told.
 *
 * @param {string} manifest
 * @param {{
 *   engine: Engine,
 *   line: Line,
 *   leave: () => Promise<unknown>,
 *   enter: (pair: Pair) => Promise<unknown>,
 *   opened: (pair: Pair) => void,
 * }} given
 * @returns {Promise<unknown>}
 */
export function openPair(manifest, given) {
  const { engine, line, leave, enter, opened } = given;
  return line.join(async () => {
    await leave();
    state.change({ pair: null });
    showLoading();
    try {
      const [loaded, report] = await Promise.all([engine.load(manifest, showProgress), reportBeside(manifest)]);
      const pair = { ...loaded, report };
      state.pair = pair;
      await enter(pair);
      showModel(pair);
      part('announcer').textContent = 'The model is ready.';
      opened(pair);
    } catch (error) {
      state.pair = null;
      showModelProblem(error, () => openPair(manifest, given));
    }
    state.change();
  });
}

/**
 * What `cargo xtask eval` measured of a pair, where that lies beside its manifest.
 *
 * @param {string} manifest
 * @returns {Promise<Report | null>}
 */
async function reportBeside(manifest) {
  const answer = await fetch(new URL('report.json', manifest), { cache: 'no-cache' }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}
