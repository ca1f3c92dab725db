// Draws the packed feature map, which the cloud gets instead of the picture.

import { element } from './element.js';
import { exactBytes } from './words.js';

/** @import { Manifest } from './types' */

const DARK = [23, 44, 71];
const LIGHT = [227, 237, 250];

/**
 * Draws a map channel by channel, the lowest level dark and the highest light.
 *
 * @param {Uint8Array} map
 * @param {Manifest['split']} split its shape and bits
 */
export function drawingOf(map, { shape: [channels, height, width], bits }) {
  const across = 2 ** Math.ceil(Math.log2(channels) / 2);
  // One pixel of space between channels.
  const drawing = new ImageData(across * (width + 1) - 1, Math.ceil(channels / across) * (height + 1) - 1);
  const most = 2 ** bits - 1;
  for (let at = 0; at < channels * height * width; at += 1) {
    const packed = (map[(at * bits) >> 3] >> ((at * bits) & 7)) & most;
    // A single bit is a sign; several bits are a two's-complement number.
    const level = bits === 1 ? packed : (packed + (most + 1) / 2) & most;
    const [channel, pixel] = [Math.floor(at / (height * width)), at % (height * width)];
    const x = (channel % across) * (width + 1) + (pixel % width);
    const y = Math.floor(channel / across) * (height + 1) + Math.floor(pixel / width);
    const colour = DARK.map((dark, part) => dark + ((LIGHT[part] - dark) * level) / most);
    drawing.data.set([...colour, 255], 4 * (y * drawing.width + x));
  }
  const canvas = element('canvas', {
    role: 'img',
    'aria-label': `The packed map, ${exactBytes(map.length)}`,
    width: drawing.width,
    height: drawing.height,
  });
  canvas.getContext('2d')?.putImageData(drawing, 0, 0);
  return canvas;
}
