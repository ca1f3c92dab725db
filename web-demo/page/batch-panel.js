// The batch panel: progress, a cancel button, and the report, which follows the thresholds and the loaded pair.

import { codedError } from '../shared/errors.js';
import { runBatch } from './batch.js';
import { button, element, part, progress } from './element.js';
import { pairTitle } from './model.js';
import { showProblem } from './problems.js';
import { foundOf } from './redecide.js';
import { batchReport, progressText } from './report.js';
import { isRight, markSample, sampleFile } from './samples.js';
import { labelOf, Score } from './score.js';
import { state } from './state.js';

/**
 * @import { Controls } from './controls.js'
 * @import { Engine } from './engine.js'
 * @import { Line } from './line.js'
 * @import { Answered } from './score.js'
 * @import { Answer, FileAt, Listed, Pair, Sample, Source } from './types'
 */

/**
 * A batch: its pair, its pictures, their answers, and the size and duration of the last pass.
 *
 * @typedef {{
 *   pair: Pair,
 *   sources: Source[],
 *   total: number,
 *   leftOut: string,
 *   answered: Map<Listed, Answered>,
 *   failed: number,
 *   pass: { pictures: number, seconds: number },
 * }} Run
 */

/** Runs batches, one at a time, and shows the last one. */
export class BatchPanel {
  /** @type {Run | null} */
  #run = null;
  #frame = 0;

  /**
   * `learn` is called with every answer, `measure` with the batch's score, `look` with a picture to show.
   *
   * @param {{
   *   engine: Engine,
   *   line: Line,
   *   controls: Controls,
   *   learn: (result: Answer) => void,
   *   measure: (score: Score | null) => void,
   *   look: (picture: Listed, zip: File | undefined) => void,
   * }} given
   */
  constructor({ engine, line, controls, learn, measure, look }) {
    this.engine = engine;
    this.line = line;
    this.controls = controls;
    this.learn = learn;
    this.measure = measure;
    this.look = look;
    state.addEventListener('change', () => this.#showOwner());
  }

  /**
   * Runs everything that came at once as one batch; a zip that cannot be opened does not stop the rest.
   *
   * @param {FileAt[]} pictures
   * @param {FileAt[]} zips
   * @param {string} leftOut describes the files that were skipped
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
    if (sources.length > 0) await this.#begin(sources);
  }

  /**
   * Runs the page's own pictures as one batch.
   *
   * @param {Sample[]} samples
   */
  async runSamples(samples) {
    const pictures = await Promise.all(samples.map((sample) => {
      // The path starts with the class, like a folder of that name.
      const path = `${sample.label}/${sample.file}`;
      return sampleFile(sample).then((file) => [{ sample, path, file }], (error) => {
        showProblem(error, path);
        return [];
      });
    }));
    await this.#begin([{ pictures: pictures.flat() }]);
  }

  /**
   * Starts a new batch with the loaded pair.
   *
   * @param {Source[]} sources
   */
  async #begin(sources) {
    const total = sources.reduce((sum, { pictures }) => sum + pictures.length, 0);
    const leftOut = sources.map((source) => source.leftOut).filter(Boolean).join(' ');
    const { pair } = state;
    if (!pair) throw codedError('model_missing', 'No model is loaded.');
    if (total === 0) throw codedError('batch_empty', `No JPEG, PNG or WebP picture was found. ${leftOut}`);
    this.#run = { pair, sources, total, leftOut, answered: new Map(), failed: 0, pass: { pictures: 0, seconds: 0 } };
    await this.#answer(this.#run, sources);
  }

  /**
   * Classifies these pictures of a batch: all of them, or some again.
   *
   * @param {Run} run
   * @param {Source[]} sources
   */
  async #answer(run, sources) {
    const { manifest } = run.pair;
    const total = sources.reduce((sum, { pictures }) => sum + pictures.length, 0);
    const abort = new AbortController();
    const began = performance.now();
    const seconds = () => (performance.now() - began) / 1000;
    const cancel = () => abort.abort();
    button('batch-cancel').addEventListener('click', cancel);
    run.pass = { pictures: 0, seconds: 0 };
    let [done, frame] = [0, 0];
    const draw = () => {
      frame = 0;
      part('batch-text').textContent = progressText(done, total, seconds());
      progress('batch-progress').value = done / total;
    };
    /** @param {number} more */
    const count = (more) => {
      done += more;
      frame ||= requestAnimationFrame(draw); // draw at most once per frame
    };
    draw();
    this.#open();
    await runBatch(sources, {
      engine: this.engine,
      signal: abort.signal,
      refuse: (pictures, error, path) => {
        run.failed += pictures.length;
        showProblem(error, path);
        count(pictures.length);
      },
      step: (picture, { result, bytes }) => {
        const label = labelOf(picture.path, manifest.classes);
        run.answered.set(picture, { picture, found: foundOf(result, state.policy), bytes, label });
        this.learn(result);
        const { sample } = picture;
        if (sample) markSample(sample, result, isRight(sample, result, manifest.classes));
        run.pass.pictures += 1;
        count(1);
      },
    });
    cancelAnimationFrame(frame);
    draw();
    run.pass.seconds = seconds();
    if (abort.signal.aborted) part('batch-text').textContent = `${done} of ${total}, cancelled`;
    button('batch-cancel').removeEventListener('click', cancel);
    this.#show();
    this.#close(abort.signal.aborted);
  }

  /** Updates the report after the controls changed: at most once per frame, or when a running batch ends. */
  follow() {
    if (part('batch').dataset.state !== 'running') this.#frame ||= requestAnimationFrame(() => this.#show());
  }

  /** Draws the report for the current thresholds; a report of an earlier pair stays as it is. */
  #show() {
    this.#frame = 0;
    const { policy, thresholds } = this.controls;
    const run = this.#run;
    if (!run || !policy || !this.#isOwn(run)) return;
    const score = new Score(run.pair);
    for (const answered of run.answered.values()) score.add(answered, policy, thresholds);
    part('report').replaceChildren(batchReport(score, run, {
      again: () => this.#again(run, new Set(score.unknown)),
      look: (picture) => this.look(picture, run.sources.find(({ pictures }) => pictures.includes(picture))?.zip),
    }));
    this.measure(score.isKnown ? score : null);
  }

  /**
   * Whether the loaded pair is the one that answered the batch.
   *
   * @param {Run} run
   */
  #isOwn({ pair }) {
    const digest = (/** @type {Pair | null} */ of) => of && `${pairTitle(of.manifest)} ${of.manifest.files['edge.fog'].sha256}`;
    return digest(pair) === digest(state.pair);
  }

  /** Says that the batch belongs to an earlier pair, and offers to run it again. */
  #showOwner() {
    const run = this.#run;
    const pair = state.pair;
    const isEarlier = run !== null && !this.#isOwn(run);
    part('batch').toggleAttribute('data-earlier', isEarlier);
    part('batch-owner').hidden = !isEarlier;
    // Disable the report's buttons: they would ask this pair about another pair's answers.
    part('report').inert = isEarlier;
    if (!run || !isEarlier) return;
    this.measure(null);
    const again = element('button', { type: 'button', class: 'main', disabled: !pair }, pair ? `Run it again with ${pairTitle(pair.manifest)}` : 'Run it again');
    again.addEventListener('click', () => this.line.join(() => this.#begin(run.sources)));
    part('batch-owner').replaceChildren(`These answers are from the previous model, ${pairTitle(run.pair.manifest)}. `, again);
  }

  /**
   * Classifies some pictures of the batch again.
   *
   * @param {Run} run
   * @param {Set<Listed>} wanted
   */
  #again(run, wanted) {
    const sources = run.sources.map(({ zip, pictures }) => ({ zip, pictures: pictures.filter((picture) => wanted.has(picture)) }));
    return this.line.join(() => (run === this.#run && this.#isOwn(run) ? this.#answer(run, sources) : null));
  }

  clear() {
    this.#run = null;
    part('report').replaceChildren();
    part('batch').hidden = true;
    this.measure(null);
  }

  #open() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    part('report').replaceChildren();
    button('batch-cancel').hidden = false;
    part('batch').hidden = false;
    part('batch').dataset.state = 'running';
    state.change();
    part('batch').scrollIntoView({ block: 'nearest' });
  }

  /** @param {boolean} cancelled */
  #close(cancelled) {
    // The button is about to go, so move the focus.
    if (document.activeElement === part('batch-cancel')) part('batch-title').focus();
    button('batch-cancel').hidden = true;
    part('batch').dataset.state = cancelled ? 'cancelled' : 'done';
    // Scroll to the report only if the progress bar was in view.
    const { top } = part('batch').getBoundingClientRect();
    if (top >= 0 && top < innerHeight) part('batch').scrollIntoView({ block: 'start' });
    part('announcer').textContent = `${cancelled ? 'Cancelled' : 'Done'}: ${part('batch-text').textContent}.`;
    state.change();
  }
}
