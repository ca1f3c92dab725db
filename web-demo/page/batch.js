// Classifies many pictures, several at once, so that those waiting for the cloud do not hold up the others.

import { errorCode } from '../shared/errors.js';

/**
 * @import { Engine } from './engine.js'
 * @import { ClassifiedFile, Listed, Source } from './types'
 */

const AT_ONCE = 4;

/**
 * Classifies the pictures of `sources`: `{pictures}` with a file each, or `{zip, pictures}`. Calls `step` with each picture
 * and its answer, and `refuse` with those that cannot be read. After an abort, the running ones still finish.
 *
 * @param {Source[]} sources
 * @param {{
 *   engine: Engine,
 *   signal: AbortSignal,
 *   step: (picture: Listed, answered: ClassifiedFile) => void,
 *   refuse: (pictures: Listed[], error: unknown, path: string) => void,
 * }} given
 */
export async function runBatch(sources, { engine, signal, step, refuse }) {
  /** @param {Iterable<Listed>} left */
  const worker = async (left) => {
    for (const picture of left) {
      if (signal.aborted) return;
      try {
        const { file, zipped } = picture;
        step(picture, await engine.classify({ file, zipped }, { signal }));
      } catch (error) {
        if (errorCode(error) === 'cancelled') return;
        refuse([picture], error, picture.path);
      }
    }
  };
  for (const { zip, pictures } of sources) {
    if (pictures.length === 0 || signal.aborted) continue;
    try {
      // The worker keeps only one zip open, and may have opened another since this one was listed.
      if (zip) await engine.listZip(zip);
    } catch (error) {
      refuse(pictures, error, zip?.name ?? '');
      continue;
    }
    const left = pictures.values();
    await Promise.all(Array.from({ length: AT_ONCE }, () => worker(left)));
  }
}
