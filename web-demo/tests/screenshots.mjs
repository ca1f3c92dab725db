// Pictures of the page: node tests/screenshots.mjs URL [DATASET] writes web-demo/screenshots/*.png
//
// DATASET, a folder of CLASS/*.jpg, makes the batch's picture; without it the samples do.

import { mkdirSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { launch } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

const [address, dataset] = process.argv.slice(2);
if (!address) {
  console.error('usage: node tests/screenshots.mjs URL [DATASET]');
  process.exit(2);
}
const folder = fileURLToPath(new URL('../screenshots/', import.meta.url));
mkdirSync(folder, { recursive: true });

const DESKTOP = { width: 1200, height: 1130 };
const PHONE = { width: 360, height: 740 };

async function shoot(name, { viewport, colorScheme, fullPage = false }, act) {
  const { context, close } = await launch({ viewport, colorScheme, reducedMotion: 'reduce' });
  try {
    const page = await openPage(context, address);
    await act(page);
    await page.screenshot({ path: `${folder}${name}.png`, fullPage });
    console.log(`screenshots/${name}.png`);
  } finally {
    await close();
  }
}

/** All samples, and the hard one's way. */
async function answered(page) {
  const hard = (await runAll(page)).find(({ origin }) => origin === 'cloud');
  if (hard) await cardsOf(page, () => page.click(`button[data-sample="${hard.sample}"]`));
  await page.evaluate(() => window.scrollTo(0, 0));
}

async function batch(page) {
  if (dataset) await page.setInputFiles('#folder', dataset);
  else await page.setInputFiles('#file', Array.from({ length: 60 }, (_, at) => fileURLToPath(new URL(`../samples/${['frog', 'ship', 'truck'][at % 3]}.png`, import.meta.url))));
  await page.waitForSelector('#batch[data-state="done"]', { timeout: 600_000 });
  await page.locator('#decisions').evaluate((part) => part.scrollIntoView());
}

try {
  await shoot('desktop-light', { viewport: DESKTOP, colorScheme: 'light' }, answered);
  await shoot('desktop-dark', { viewport: DESKTOP, colorScheme: 'dark' }, answered);
  await shoot('phone', { viewport: PHONE, colorScheme: 'light', fullPage: true }, answered);
  await shoot('batch', { viewport: { width: 1200, height: 1500 }, colorScheme: 'light' }, batch);
} catch (error) {
  console.error(`screenshots: ${error.message}`);
  process.exitCode = 1;
}
