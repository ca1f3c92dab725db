// The browser for the tests, the table and the rendering of the drawings.

import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';

import { chromium } from 'playwright-core';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

// No background traffic: the browser talks only to the page under test.
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The browser's path: FOGLINE_BROWSER, or the first one on the PATH. */
export function browserPath() {
  if (process.env.FOGLINE_BROWSER) return process.env.FOGLINE_BROWSER;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const files = NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = files.find(isExecutable);
  if (!found) {
    throw new Error(`no browser: set FOGLINE_BROWSER, or install one of ${NAMES.join(', ')}`);
  }
  return found;
}

/** The page's URL; the tests never start their own stack. */
export function pageAddress() {
  const address = process.env.FOGLINE_PAGE;
  if (!address) {
    throw new Error('FOGLINE_PAGE is not set: start the stack, then set it to the page\'s address, such as http://127.0.0.1:8080/');
  }
  return address;
}

/**
 * A browser with an empty profile, which `close` removes. Service workers are blocked, because they would hide requests from the
 * tests' routes, unless `options` allow them.
 */
export async function launch({ args = [], ...options } = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'fogline-browser-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: browserPath(),
    args: [...FLAGS, ...args],
    serviceWorkers: 'block',
    chromiumSandbox: false,
    headless: true,
    ...options,
  });
  return {
    context,
    profile,
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
