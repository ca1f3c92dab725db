// Opens a pair: loads it into the engine together with its report, as a job in the queue.

import { part } from './element.js';
import { showLoading, showModel, showModelProblem, showProgress } from './model.js';
import { state } from './state.js';

/**
 * @import { Engine } from './engine.js'
 * @import { Line } from './line.js'
 * @import { Pair, Report } from './types'
 */

/**
 * Opens the pair with this manifest URL. Calls `leave` before loading, `enter` with the loaded pair, and `opened` after it
 * is shown.
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
 * The report that `cargo xtask eval` wrote next to the pair's manifest, if there is one.
 *
 * @param {string} manifest
 * @returns {Promise<Report | null>}
 */
async function reportBeside(manifest) {
  const answer = await fetch(new URL('report.json', manifest), { cache: 'no-cache' }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}
