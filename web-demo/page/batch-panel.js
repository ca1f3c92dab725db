// The batch's panel: how far it is, a way to end it, and its report, which follows thresholds and pair.

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
 * A batch: whose it is, what it is of, what was found, and how long the last pass over so many pictures took.
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

/** Runs batches, one at a time, and shows the last. */
export class BatchPanel {
  /** @type {Run | null} */
  #run = null;
  #frame = 0;

  /**
   * `learn` gets every answer, `measure` what all came to, `look` a picture whose answer is to be seen.
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
    if (sources.length > 0) await this.#begin(sources);
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
    await this.#begin([{ pictures: pictures.flat() }]);
  }

  /**
   * A new batch, of the pair that is open.
   *
   * @param {Source[]} sources
   */
  async #begin(sources) {
    const total = sources.reduce((sum, { pictures }) => sum + pictures.length, 0);
    const leftOut = sources.map((source) => source.leftOut).filter(Boolean).join(' ');
    const { pair } = state;
    if (!pair) throw codedError('model_missing', 'There is no model to ask.');
    if (total === 0) throw codedError('batch_empty', `There is no JPEG, PNG or WebP picture in it. ${leftOut}`);
    this.#run = { pair, sources, total, leftOut, answered: new Map(), failed: 0, pass: { pictures: 0, seconds: 0 } };
    await this.#answer(this.#run, sources);
  }

  /**
   * Answers these pictures of a batch, all of them or some once more.
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
      frame ||= requestAnimationFrame(draw); // once a frame, however fast they come
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

  /** Thresholds or measure were turned: shows what becomes of the batch, once a frame, or at its end where it still runs. */
  follow() {
    if (part('batch').dataset.state !== 'running') this.#frame ||= requestAnimationFrame(() => this.#show());
  }

  /** The report, by the thresholds as they stand; of a pair that is not open any more, as it was left. */
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
   * Whether the pair that is open is the one that a batch was answered by.
   *
   * @param {Run} run
   */
  #isOwn({ pair }) {
    const digest = (/** @type {Pair | null} */ of) => of && `${pairTitle(of.manifest)} ${of.manifest.files['edge.fog'].sha256}`;
    return digest(pair) === digest(state.pair);
  }

  /** Says of a batch of another pair that it is, and offers to run it again. */
  #showOwner() {
    const run = this.#run;
    const pair = state.pair;
    const isEarlier = run !== null && !this.#isOwn(run);
    part('batch').toggleAttribute('data-earlier', isEarlier);
    part('batch-owner').hidden = !isEarlier;
    // Nothing in it may ask a pair about another one's answers.
    part('report').inert = isEarlier;
    if (!run || !isEarlier) return;
    this.measure(null);
    const again = element('button', { type: 'button', class: 'main', disabled: !pair }, pair ? `Run it again with ${pairTitle(pair.manifest)}` : 'Run it again');
    again.addEventListener('click', () => this.line.join(() => this.#begin(run.sources)));
    part('batch-owner').replaceChildren(`These are answers of ${pairTitle(run.pair.manifest)}, the pair before. `, again);
  }

  /**
   * Asks once more about some pictures of the batch.
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
