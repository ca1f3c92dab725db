// Measures downloads and waiting times against the page's budget: node tests/budget.mjs URL [--sizes]
//
// Each figure is measured in a fresh browser. Exits with status 1 if one is over budget. --sizes skips the timings, which
// depend on the machine and its load; `cargo xtask test` uses it.

import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { launch } from './browser.mjs';
import { dropFolder, openPage } from './page.mjs';
import { longestTask } from './tasks.mjs';

const [address, option] = process.argv.slice(2);
if (!address || (option && option !== '--sizes')) {
  console.error('usage: node tests/budget.mjs URL [--sizes]');
  process.exit(2);
}

const VISITS = 3;
const BATCH = 500;
const KIB = 1024;

/** Milliseconds from navigation to the first answer, and the compressed size of every file downloaded. */
async function visit() {
  const { context, close } = await launch({ serviceWorkers: 'allow' });
  try {
    const page = await context.newPage();
    const files = new Map();
    const read = [];
    page.on('response', (answer) => {
      // Ignore responses without a body, such as redirects.
      read.push(answer.body().then((body) => files.set(new URL(answer.url()).pathname, gzipSync(body, { level: 9 }).length), () => {}));
    });
    await page.addInitScript(() => {
      new MutationObserver((_, observer) => {
        if (!document.querySelector('#results article')) return;
        observer.disconnect();
        // When it is painted, not when it is created.
        requestAnimationFrame(() => setTimeout(() => {
          window.firstAnswer = performance.now();
        }));
      }).observe(document, { childList: true, subtree: true });
    });
    await page.goto(address);
    const time = await (await page.waitForFunction(() => window.firstAnswer)).jsonValue();
    await Promise.all(read);
    return { time, files };
  } finally {
    await close();
  }
}

/** The longest task on the page's main thread during a batch, from dropping the folder to the report, in milliseconds. */
async function longestInBatch() {
  const { context, close } = await launch();
  const root = mkdtempSync(join(tmpdir(), 'fogline-budget-'));
  try {
    const page = await openPage(context, address);
    const samples = ['airplane', 'frog', 'ship'].map((name) => fileURLToPath(new URL(`../samples/${name}.png`, import.meta.url)));
    const folder = join(root, 'batch');
    mkdirSync(folder);
    for (let at = 0; at < BATCH; at += 1) cpSync(samples[at % samples.length], join(folder, `${at}.png`));
    return await longestTask(context, page, async () => {
      await dropFolder(context, page, folder);
      await page.waitForSelector('#batch[data-state="done"]', { timeout: 400_000 });
    });
  } finally {
    await close();
    rmSync(root, { recursive: true });
  }
}

/** The budget's sizes, from `files` by path and compressed size. */
function sizes(files) {
  const sum = (wanted) => [...files].filter(([path]) => wanted(path)).reduce((total, [, size]) => total + size, 0);
  const isEngine = (path) => path.startsWith('/pkg/') || path.endsWith('/edge.fog');
  return [
    ['page JavaScript, gzipped', sum((path) => path.endsWith('.js') && !isEngine(path)) / KIB, 120, 'KiB'],
    ['engine and model, gzipped', sum(isEngine) / KIB, 320, 'KiB'],
  ];
}

try {
  const first = await visit();
  const figures = sizes(first.files);
  if (option !== '--sizes') {
    const times = [first.time];
    while (times.length < VISITS) times.push((await visit()).time);
    const median = times.sort((a, b) => a - b)[VISITS >> 1];
    figures.push(
      ['first answer, cold, median of three', median, 1500, 'ms'],
      [`longest task in a batch of ${BATCH}, processor`, (await longestInBatch()).busy, 50, 'ms'],
    );
  }
  for (const [name, value, most, unit] of figures) {
    console.log(`${value <= most ? '✓' : '✗'} ${name.padEnd(40)} ${value.toFixed(0).padStart(6)} ${unit}, at most ${most}`);
    if (value > most) process.exitCode = 1;
  }
} catch (error) {
  console.error(`budget: ${error.message}`);
  process.exitCode = 1;
}
