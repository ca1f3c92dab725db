// Runs all samples in a browser, or chooses the given files, and prints one JSON line for each: node tests/table.mjs URL [FILE…]
//
// Everything is read from the page, so the table cannot contain what a visitor does not see.

import process from 'node:process';

import { launch } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

const [address, ...files] = process.argv.slice(2);
if (!address) {
  console.error('usage: node tests/table.mjs URL [FILE…]');
  process.exit(2);
}

/** Chooses files as in the file dialogue, one after the other: several at once are a batch, without a card for each. */
async function each(page) {
  const cards = [];
  for (const file of files) cards.push(...await cardsOf(page, () => page.setInputFiles('#file', file), 1));
  return cards;
}

let browser;
try {
  browser = await launch();
  const page = await openPage(browser.context, address);
  for (const { sample, picture, label, origin, confidence, bytes, totalMs, degraded } of await (files.length ? each(page) : runAll(page))) {
    console.log(JSON.stringify({ picture: sample ?? picture, label, origin, confidence, bytesSent: bytes, totalMs, degraded }));
  }
} catch (error) {
  console.error(`table: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser?.close();
}
