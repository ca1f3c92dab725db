// Renders drawings to PNG files of their own size beside them: `npm run samples`, or `npm run samples -- FILE.svg…` for some
// drawings only, such as those of a pair.
//
// The PNG files are committed, because SVG filters render slightly differently in every browser version.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import process from 'node:process';

import { launch } from '../tests/browser.mjs';

const folder = fileURLToPath(new URL('./', import.meta.url));
const given = process.argv.slice(2);
const all = () => readdirSync(folder).map((file) => join(folder, file));
const drawings = (given.length > 0 ? given : all()).filter((file) => file.endsWith('.svg'));

const browser = await launch({ deviceScaleFactor: 1 });
try {
  const page = await browser.context.newPage();
  for (const drawing of drawings) {
    const picture = drawing.replace(/svg$/, 'png');
    await page.setContent(`<style>body { margin: 0 } svg { display: block }</style>${readFileSync(drawing, 'utf8')}`);
    await page.locator('svg').screenshot({ path: picture });
    console.log(picture);
  }
} finally {
  await browser.close();
}
