// The batch's panel: how far it is, a way to end it, and its report.

import { codedError } from '../shared/errors.js';
import { runBatch } from './batch.js';
import { button, part, progress } from './element.js';
import { showProblem } from './problems.js';
import { batchReport, progressText } from './report.js';
import { isRight, markSample, sampleFile } from './samples.js';
import { state } from './state.js';

/**
 * @import { Engine } from './engine.js'
 * @import { Score } from './score.js'
 * @import { Answer, FileAt, Sample, Source } from './types'
 */

/** Runs batches, one at a time. */
export class BatchPanel {
  /** @param {{ engine: Engine, learn: (result: Answer) => void, measure: (score: Score | null) => void }} of `learn` gets every answer, `measure` what all came to */
  constructor({ engine, learn, measure }) {
    this.engine = engine;
    this.learn = learn;
    this.measure = measure;
  }

  /**
   * One batch of all that came at once; a zip that cannot be opened costs no others.
   *
   * @param {FileAt[]} pictures
   * @param {FileAt[]} zips
   * @param {string} leftOut what else came with the pictures, in words
   */
  async runAll(pictures, zips, leftOut) {
    /** @type {Source[]} */
    const sources = pictures.length > 0 || zips.length === 0 ? [{ pictures, leftOut }] : [];
    for (const { file, path } of zips) {
      try {
        sources.push({ zip: file, ...await this.engine.listZip(file) });
      } catch (error) {
        showProblem(error, path);
      }
    }
    if (sources.length > 0) await this.#run(sources);
  }

  /**
   * One batch of the page's own pictures.
   *
   * @param {Sample[]} samples
   */
  async runSamples(samples) {
    const pictures = await Promise.all(samples.map((sample) => {
      // Its path names a picture's class, as a folder does.
      const path = `${sample.label}/${sample.file}`;
      return sampleFile(sample).then((file) => [{ sample, path, file }], (error) => {
        showProblem(error, path);
        return [];
      });
    }));
    await this.#run([{ pictures: pictures.flat() }]);
  }

  /** @param {Source[]} sources */
  async #run(sources) {
    const total = sources.reduce((sum, { pictures }) => sum + pictures.length, 0);
    const leftOut = sources.map((source) => source.leftOut).filter(Boolean).join(' ');
    const { pair } = state;
    if (!pair) throw codedError('model_missing', 'There is no model to ask.');
    if (total === 0) throw codedError('batch_empty', `There is no JPEG, PNG or WebP picture in it. ${leftOut}`);
    const abort = new AbortController();
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    const cancel = () => abort.abort();
    button('batch-cancel').addEventListener('click', cancel);
    let frame = 0;
    /** @param {{ done: number, failed: number }} score */
    const draw = (score) => {
      frame = 0;
      part('batch-text').textContent = progressText(score, total, seconds());
      progress('batch-progress').value = (score.done + score.failed) / total;
    };
    draw({ done: 0, failed: 0 });
    this.#open();
    const score = await runBatch(sources, {
      engine: this.engine,
      pair,
      signal: abort.signal,
      refuse: showProblem,
      // Once a frame, however fast they come.
      step: (current, { sample }, result) => {
        frame ||= requestAnimationFrame(() => draw(current));
        if (result) this.learn(result);
        if (sample && result) markSample(sample, result, isRight(sample, result, pair.manifest.classes));
      },
    });
    cancelAnimationFrame(frame);
    draw(score);
    if (abort.signal.aborted) part('batch-text').textContent = `${score.done + score.failed} of ${total}, cancelled`;
    button('batch-cancel').removeEventListener('click', cancel);
    part('report').replaceChildren(batchReport(score, total, seconds(), leftOut));
    this.#close(abort.signal.aborted);
    this.measure(score);
  }

  clear() {
    part('report').replaceChildren();
    part('batch').hidden = true;
    this.measure(null);
  }

  #open() {
    part('report').replaceChildren();
    button('batch-cancel').hidden = false;
    part('batch').hidden = false;
    part('batch').dataset.state = 'running';
    state.change();
    part('batch').scrollIntoView({ block: 'nearest' });
  }

  /** @param {boolean} cancelled */
  #close(cancelled) {
    // The button goes, and focus must not fall off the page.
    if (document.activeElement === part('batch-cancel')) part('batch-title').focus();
    button('batch-cancel').hidden = true;
    part('batch').dataset.state = cancelled ? 'cancelled' : 'done';
    // Whoever watched the bar sees the report; whoever looks elsewhere is left there.
    const { top } = part('batch').getBoundingClientRect();
    if (top >= 0 && top < innerHeight) part('batch').scrollIntoView({ block: 'start' });
    part('announcer').textContent = `${cancelled ? 'Cancelled' : 'Done'}: ${part('batch-text').textContent}.`;
    state.change();
  }
}
