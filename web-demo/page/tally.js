// The running totals of all results on the page.

import { outcomeOf } from './result.js';
import { roughBytes } from './words.js';

/** @import { Answer, Manifest, Picture } from './types' */

/** Counts results and shows the totals in `line`. */
export class Tally {
  counts = { device: 0, cloud: 0, degraded: 0 };
  bytesSent = 0;
  fileBytes = 0;
  inputBytes = 0;

  /** @param {HTMLElement} line */
  constructor(line) {
    this.line = line;
    this.nothing = line.textContent;
    this.show();
  }

  clear() {
    this.counts = { device: 0, cloud: 0, degraded: 0 };
    this.bytesSent = 0;
    this.fileBytes = 0;
    this.inputBytes = 0;
    this.show();
  }

  /** @type {(picture: Picture, result: Answer, manifest: Manifest) => void} */
  add(picture, result, manifest) {
    this.counts[outcomeOf(result)] += 1;
    this.bytesSent += result.bytesSent;
    this.fileBytes += picture.bytes;
    // Three bytes per pixel: sending the resized picture instead is the fairer comparison.
    this.inputBytes += 3 * manifest.input.size ** 2;
    this.show();
  }

  show() {
    const { device, cloud, degraded } = this.counts;
    const total = device + cloud + degraded;
    Object.assign(this.line.dataset, { total, stayed: device, bytes: this.bytesSent });
    this.line.textContent = total === 0 ? this.nothing : [
      `${device} of ${total} stayed on this device,`,
      `${cloud} ${cloud === 1 ? 'was' : 'were'} finished in the cloud${degraded > 0 ? `, ${degraded} fell back on an unsure exit` : ''}.`,
      `${roughBytes(this.bytesSent)} sent in total;`,
      `sending the picture files would have taken ${roughBytes(this.fileBytes)},`,
      `or ${roughBytes(this.inputBytes)} resized to the model's input and uncompressed.`,
    ].join(' ');
  }
}
