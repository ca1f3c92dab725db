// Many pictures in one go: several under way at once, so that those that wait for the cloud do not
// hold up those that need none.

import { errorCode } from '../shared/errors.js';

/**
 * @import { Engine } from './engine.js'
 * @import { ClassifiedFile, Listed, Source } from './types'
 */

const AT_ONCE = 4;

/**
 * Classifies the pictures of `sources`: `{pictures}` with a file each, or `{zip, pictures}`. `step` gets each picture with
 * its answer, `refuse` those that cannot be read. An abort ends it after those that are under way.
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
      // The worker has one zip open at a time, and since this one was listed it may have opened another.
      if (zip) await engine.listZip(zip);
    } catch (error) {
      refuse(pictures, error, zip?.name ?? '');
      continue;
    }
    const left = pictures.values();
    await Promise.all(Array.from({ length: AT_ONCE }, () => worker(left)));
  }
}
