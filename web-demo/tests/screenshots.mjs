// Takes screenshots: node tests/screenshots.mjs URL [DATASET] writes web-demo/screenshots/*.png
//
// The batch is DATASET, a folder of CLASS/*.jpg, or the samples. A gallery appears only in its own screenshot, because its
// pictures are third-party.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

async function withoutGallery(page) {
  await page.route('**/config.json', async (route) => {
    const { gallery, ...config } = await (await route.fetch()).json();
    await route.fulfill({ json: config });
  });
}

async function shoot(name, { viewport, colorScheme, fullPage = false, prepare = withoutGallery }, act) {
  const { context, close } = await launch({ viewport, colorScheme, reducedMotion: 'reduce' });
  try {
    const page = await openPage(context, address, prepare);
    await act(page);
    await page.screenshot({ path: `${folder}${name}.png`, fullPage });
    console.log(`screenshots/${name}.png`);
  } finally {
    await close();
  }
}

/** Runs all samples, then shows the hard one's path. */
async function answered(page) {
  const hard = (await runAll(page)).find(({ origin }) => origin === 'cloud');
  if (hard) await cardsOf(page, () => page.click(`button[data-sample="${hard.sample}"]`));
  await page.evaluate(() => window.scrollTo(0, 0));
}

async function gallery(page) {
  await page.click('#run-gallery');
  await page.waitForSelector('#batch[data-state="done"]', { timeout: 600_000 });
  await page.locator('#gallery [data-right="false"]').first().click();
  await page.locator('#results article').waitFor();
  await page.evaluate(() => window.scrollTo(0, 0));
}

/** Copies the drawings into folders named after their classes. */
function drawings() {
  const root = mkdtempSync(join(tmpdir(), 'fogline-drawings-'));
  const samples = fileURLToPath(new URL('../samples/', import.meta.url));
  for (const file of readdirSync(samples).filter((name) => name.endsWith('.png'))) {
    for (let copy = 0; copy < 8; copy += 1) cpSync(join(samples, file), join(root, file.replace('.png', ''), `${copy}.png`));
  }
  return root;
}

async function batch(page) {
  const folder = dataset ?? drawings();
  await page.setInputFiles('#folder', folder);
  await page.waitForSelector('#batch[data-state="done"]', { timeout: 600_000 });
  if (!dataset) rmSync(folder, { recursive: true });
  await page.locator('#decisions').evaluate((part) => part.scrollIntoView());
}

try {
  await shoot('desktop-light', { viewport: DESKTOP, colorScheme: 'light' }, answered);
  await shoot('desktop-dark', { viewport: DESKTOP, colorScheme: 'dark' }, answered);
  await shoot('phone', { viewport: PHONE, colorScheme: 'light', fullPage: true }, answered);
  await shoot('batch', { viewport: { width: 1200, height: 1500 }, colorScheme: 'light' }, batch);
  const { gallery: offered } = await (await fetch(new URL('config.json', address))).json();
  if (offered) await shoot('gallery', { viewport: DESKTOP, colorScheme: 'light', prepare: async () => {} }, gallery);
} catch (error) {
  console.error(`screenshots: ${error.message}`);
  process.exitCode = 1;
}
