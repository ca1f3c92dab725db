// Renders samples/*.svg to samples/*.png at 128 x 128: `npm run samples`.
//
// The PNG files are committed, because SVG filters render slightly differently in every browser version.

import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import process from 'node:process';

import { launch } from '../tests/browser.mjs';

const folder = new URL('./', import.meta.url);
const wanted = process.argv.slice(2);
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.svg'))
  .map((file) => file.slice(0, -'.svg'.length))
  .filter((name) => wanted.length === 0 || wanted.includes(name));

const browser = await launch({ viewport: { width: 128, height: 128 }, deviceScaleFactor: 1 });
try {
  const page = await browser.context.newPage();
  for (const name of names) {
    const svg = readFileSync(new URL(`${name}.svg`, folder), 'utf8');
    await page.setContent(`<style>body { margin: 0 } svg { display: block }</style>${svg}`);
    await page.screenshot({ path: fileURLToPath(new URL(`${name}.png`, folder)) });
    console.log(`${name}.png`);
  }
} finally {
  await browser.close();
}
