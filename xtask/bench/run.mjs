// Runs the benchmark: a page in Chromium with our engine and its peers and, between its rounds, the executables (wasmtime and
// native), so that other load on the machine affects all of them alike. `cargo xtask bench edge` passes one JSON object of
// options; prints one JSON object of results.

import { execFileSync } from 'node:child_process';
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { cpus } from 'node:os';
import { extname, join, normalize } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { launch } from '../../web-demo/tests/browser.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const options = JSON.parse(process.argv[2]);

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' };

/** The file behind a path of the bench's own page; it is asked by nobody else. */
function fileOf(path) {
  const folders = { '/pkg/': options.pkg, '/relaxed/': options.relaxed, '/models/': options.models, '/node_modules/': join(here, 'node_modules') };
  const files = { '/manifest.json': join(options.pair, 'manifest.json'), '/edge.fog': join(options.pair, 'edge.fog'), '/pictures.rgb': options.pictures };
  if (files[path]) return files[path];
  const prefix = Object.keys(folders).find((start) => path.startsWith(start));
  return prefix ? join(folders[prefix], normalize(path.slice(prefix.length))) : join(here, 'web', path === '/' ? 'index.html' : normalize(path));
}

const server = createServer((request, response) => {
  const file = fileOf(new URL(request.url, 'http://bench').pathname);
  try {
    const { size } = statSync(file);
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream', 'content-length': size });
    createReadStream(file).pipe(response);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });

const browser = await launch();
try {
  const page = await browser.context.newPage();
  page.on('console', (message) => { if (message.type() === 'error') console.error(message.text()); });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const cases = await page.evaluate(async (given) => {
    window.bench = await import('/bench.js');
    return window.bench.prepare(given);
  }, options);
  for (const one of cases) one.ms = [];
  const commands = {};
  for (let round = 0; round < options.rounds; round += 1) {
    const samples = await page.evaluate(() => window.bench.round());
    samples.forEach((ms, at) => cases[at].ms.push(ms));
    // Executables start afresh each time, so they run few rounds of several samples each.
    if (round % options.every !== 0) continue;
    for (const [called, [program, ...given]] of Object.entries(options.commands)) {
      const { cases: timed } = JSON.parse(execFileSync(program, given, { encoding: 'utf8' }));
      for (const { runtime: own, name, macs, ms } of timed) {
        // The engine's peak is not a result of ours.
        const runtime = own ? `${own}, ${called.split(', ')[1]}` : called;
        const one = (commands[`${runtime} ${name}`] ??= { runtime, name, macs, ms: [] });
        one.ms.push(...ms);
      }
    }
    process.stderr.write(`\r  round ${round + 1} of ${options.rounds}`);
  }
  process.stderr.write('\r');
  const version = browser.context.browser()?.version() ?? await page.evaluate(() => navigator.userAgent);
  const date = new Date().toISOString().slice(0, 10);
  const processor = cpus()[0].model;
  console.log(JSON.stringify({ date, processor, browser: version, cases: [...cases, ...Object.values(commands)] }));
} finally {
  await browser.close();
  server.close();
}
