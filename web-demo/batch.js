// Many pictures in one go: several under way at once, so that those that wait for the cloud do not
// hold up those that need none.

import { labelOf, Score } from './score.js';
import { errorCode } from './words.js';

const AT_ONCE = 4;

/**
 * Classifies `pictures` (`{path, file}` or `{path, zipped}`); `step` gets the score, the picture and its result
 * after each, and `refuse` those that cannot be read. An abort ends it after those that are under way.
 */
export async function runBatch(pictures, { engine, pair, signal, step, refuse }) {
  const score = new Score(pair);
  const left = pictures.values();
  const worker = async () => {
    for (const picture of left) {
      const { path, file, zipped } = picture;
      let result = null;
      let bytes;
      if (signal.aborted) return;
      try {
        ({ result, bytes } = await engine.classify({ file, zipped }, signal));
        score.add({ result, bytes, label: labelOf(path, pair.manifest.classes) });
      } catch (error) {
        if (errorCode(error) === 'cancelled') return;
        score.fail();
        refuse(error, path);
      }
      step(score, picture, result);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return score;
}
