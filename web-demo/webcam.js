// The webcam, frame by frame: a newer frame takes the place of one that still waits for the cloud.

import { codedError, errorCode, errorText } from './words.js';

const FRAME_MS = 250;

/** Live classification of what a camera sees. */
export class Webcam {
  #stream = null;
  #timer = null;
  #pending = null;
  #last = Promise.resolve();

  constructor(video) {
    this.video = video;
  }

  get running() {
    return this.#stream !== null;
  }

  /** Asks for the camera, then hands each frame's result to `show`, and faults to `fail`. */
  async start(classify, show, fail) {
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 320 }, facingMode: 'environment' } });
    } catch (cause) {
      throw codedError('webcam_refused', `There is no picture from a webcam: ${errorText(cause)}.`, cause);
    }
    this.video.srcObject = this.#stream;
    this.video.hidden = false;
    await this.video.play();
    const frame = async () => {
      this.#pending?.abort();
      const abort = new AbortController();
      this.#pending = abort;
      try {
        const bitmap = await createImageBitmap(this.video);
        show(await classify(bitmap, abort.signal));
      } catch (error) {
        if (errorCode(error) !== 'cancelled') fail(error);
      }
    };
    this.#timer = setInterval(() => {
      // A hidden page gets no frames of use to anybody.
      if (!document.hidden) this.#last = frame();
    }, FRAME_MS);
  }

  /** Resolves when no frame is under way any more. */
  async stop() {
    clearInterval(this.#timer);
    this.#pending?.abort();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.video.srcObject = null;
    this.video.hidden = true;
    await this.#last;
  }
}
