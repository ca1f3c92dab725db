// Runs all samples in a browser and prints one JSON line for each: node tests/table.mjs URL
//
// Everything is read from the page, so the table cannot contain what a visitor does not see.

import process from 'node:process';

import { launch } from './browser.mjs';
import { openPage, runAll } from './page.mjs';

const [address] = process.argv.slice(2);
if (!address) {
  console.error('usage: node tests/table.mjs URL');
  process.exit(2);
}

let browser;
try {
  browser = await launch();
  const page = await openPage(browser.context, address);
  for (const { sample, label, origin, confidence, bytes, totalMs, degraded } of await runAll(page)) {
    console.log(JSON.stringify({ picture: sample, label, origin, confidence, bytesSent: bytes, totalMs, degraded }));
  }
} catch (error) {
  console.error(`table: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser?.close();
}
