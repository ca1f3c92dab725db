// Classifies the webcam frame by frame. A newer frame replaces one that waits too long for the cloud.

import { codedError, errorCode, errorText } from '../shared/errors.js';

/** @import { Classified } from './types' */

const FRAME_MS = 250;
// How long a frame may wait for its answer. Without this, on a slow network every frame would be replaced before its answer.
const PATIENCE_MS = 4000;

/** Live classification of the camera's picture. */
export class Webcam {
  /** @type {{ stream: MediaStream | null } | null} */
  #run = null; // a new object for each start; holds the stream once it is open
  #timer = 0;
  /** @type {AbortController | null} */
  #pending = null;
  #since = 0;
  #last = Promise.resolve();

  /**
   * Passes each frame to `classify`, its result to `show`, and errors to `fail`.
   *
   * @param {{
   *   video: HTMLVideoElement,
   *   button: HTMLButtonElement,
   *   classify: (frame: ImageBitmap, signal: AbortSignal) => Promise<Classified>,
   *   show: (seen: Classified) => void,
   *   fail: (error: unknown) => void,
   * }} given
   */
  constructor({ video, button, classify, show, fail }) {
    this.video = video;
    this.button = button;
    this.classify = classify;
    this.show = show;
    this.fail = fail;
  }

  get running() {
    return this.#run !== null;
  }

  /** Starts or stops the webcam. */
  async toggle() {
    this.button.setAttribute('aria-pressed', String(!this.running));
    if (this.running) {
      await this.stop();
      return;
    }
    try {
      await this.#start();
    } catch (error) {
      this.button.setAttribute('aria-pressed', 'false');
      this.fail(error);
    }
  }

  /** Asks for the camera, then classifies frames at intervals. */
  async #start() {
    /** @type {{ stream: MediaStream | null }} */
    const run = { stream: null };
    this.#run = run;
    try {
      if (!navigator.mediaDevices) throw new Error('browsers allow the camera only on pages loaded over HTTPS');
      run.stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, facingMode: 'environment' } });
    } catch (cause) {
      if (this.#run === run) this.#run = null;
      throw codedError('webcam_refused', `The webcam cannot be used: ${errorText(cause)}.`, cause);
    }
    if (this.#run !== run) { // stopped during the permission prompt
      end(run);
      return;
    }
    this.video.srcObject = run.stream;
    this.video.hidden = false;
    this.#timer = setInterval(() => {
      // Skip hidden pages, and wait for the first frame.
      if (document.hidden || this.video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
      if (this.#pending && performance.now() - this.#since < PATIENCE_MS) return;
      this.#last = this.#frame();
    }, FRAME_MS);
    await this.video.play().catch(async (cause) => {
      if (this.#run !== run) return; // stopped meanwhile
      await this.stop();
      throw codedError('webcam_refused', `The webcam's video does not play: ${errorText(cause)}.`, cause);
    });
  }

  async #frame() {
    this.#pending?.abort();
    const abort = new AbortController();
    this.#pending = abort;
    this.#since = performance.now();
    try {
      const bitmap = await createImageBitmap(this.video);
      this.show(await this.classify(bitmap, abort.signal));
    } catch (error) {
      if (errorCode(error) !== 'cancelled') this.fail(error);
    } finally {
      if (this.#pending === abort) this.#pending = null;
    }
  }

  /** Resolves when no frame is being classified. */
  async stop() {
    clearInterval(this.#timer);
    this.#pending?.abort();
    end(this.#run);
    this.#run = null;
    this.video.srcObject = null;
    this.video.hidden = true;
    await this.#last;
  }
}

/** @param {{ stream: MediaStream | null } | null} run */
function end(run) {
  for (const track of run?.stream?.getTracks() ?? []) track.stop();
}
