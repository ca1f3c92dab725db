// Many pictures in one go: several under way at once, so that those that wait for the cloud do not
// hold up those that need none.

import { errorCode } from '../shared/errors.js';
import { labelOf, Score } from './score.js';

/**
 * @import { Engine } from './engine.js'
 * @import { Answer, Listed, Pair, Source } from './types'
 */

const AT_ONCE = 4;

/**
 * Classifies the pictures of `sources`: `{pictures}` with a file each, or `{zip, pictures}`. `step` gets the score, the
 * picture and its result after each, and `refuse` those that cannot be read. An abort ends it after those that are under way.
 *
 * @param {Source[]} sources
 * @param {{
 *   engine: Engine,
 *   pair: Pair,
 *   signal: AbortSignal,
 *   step: (score: Score, picture: Listed, result: Answer | null) => void,
 *   refuse: (error: unknown, path: string) => void,
 * }} given
 */
export async function runBatch(sources, { engine, pair, signal, step, refuse }) {
  const score = new Score(pair);
  /** @param {Iterable<Listed>} left */
  const worker = async (left) => {
    for (const picture of left) {
      const { path, file, zipped } = picture;
      /** @type {Answer | null} */
      let result = null;
      if (signal.aborted) return;
      try {
        const answered = await engine.classify({ file, zipped }, signal);
        ({ result } = answered);
        score.add(answered, labelOf(path, pair.manifest.classes));
      } catch (error) {
        if (errorCode(error) === 'cancelled') return;
        score.fail();
        refuse(error, path);
      }
      step(score, picture, result);
    }
  };
  for (const { zip, pictures } of sources) {
    try {
      // The worker has one zip open at a time, and listing them all has left it with the last.
      if (zip && sources.length > 1 && !signal.aborted) await engine.listZip(zip);
    } catch (error) {
      refuse(error, zip?.name ?? '');
      pictures.forEach(() => score.fail());
      continue;
    }
    const left = pictures.values();
    await Promise.all(Array.from({ length: AT_ONCE }, () => worker(left)));
  }
  return score;
}
