// The npm package: the README's examples run, and the types match the code.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { launch, pageAddress } from './browser.mjs';

const PACKAGE = fileURLToPath(new URL('../../edge-wasm/pkg/', import.meta.url));
const README = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
const example = /```js\n(.*?)```/s.exec(README)[1];

describe('the npm package', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fogline-package-'));
  after(() => rmSync(folder, { recursive: true }));

  test('holds three engines, their types and a README', () => {
    const [{ files }] = JSON.parse(execFileSync('npm', ['pack', '--dry-run', '--json'], { cwd: PACKAGE, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
    const paths = files.map(({ path }) => path);
    for (const part of ['', 'relaxed/', 'scalar/']) {
      for (const file of ['fogline_edge.js', 'fogline_edge.d.ts', 'fogline_edge_bg.wasm']) assert.ok(paths.includes(part + file), part + file);
    }
    assert.ok(paths.includes('README.md'));
  });

  test('the README\'s example is of ten lines and runs', async () => {
    assert.ok(example.trim().split('\n').filter(Boolean).length <= 10);
    const browser = await launch();
    try {
      const page = await browser.context.newPage();
      // An import map resolves the package's name, as a bundler would.
      await page.route('**/example.html', (route) => route.fulfill({
        contentType: 'text/html',
        body: `<script type="importmap">{"imports": {"fogline-edge": "/pkg/fogline_edge.js"}}</script><script type="module">${example}</script>`,
      }));
      const said = page.waitForEvent('console');
      await page.goto(new URL('example.html', pageAddress()).href);
      assert.match((await said).text(), /^\w+, said by (exit-\d|cloud), \d+ bytes sent, [\d.]+ ms$/);
    } finally {
      await browser.close();
    }
  });

  test('its types accept the example, and refuse what is none of it', () => {
    const installed = join(folder, 'node_modules/fogline-edge');
    mkdirSync(installed, { recursive: true });
    cpSync(PACKAGE, installed, { recursive: true });
    const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
    const check = (source) => {
      writeFileSync(join(folder, 'example.mts'), source);
      const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,esnext.disposable,dom', 'example.mts'];
      try {
        execFileSync(process.execPath, [tsc, ...options], { cwd: folder, encoding: 'utf8' });
        return '';
      } catch ({ stdout }) {
        return stdout;
      }
    };
    assert.equal(check(example.replace(".getContext('2d')", ".getContext('2d')!")), '');
    const wrong = check(`import { Fogline, type Answer } from 'fogline-edge/relaxed';
      export const bytes = (answer: Answer): string => answer.bytesSent;
      export const turn = (fogline: Fogline) => fogline.decideBy('guess');`);
    assert.match(wrong, /'number' is not assignable to type 'string'/);
    assert.match(wrong, /'"guess"' is not assignable to parameter of type 'Policy'/);
  });
});
