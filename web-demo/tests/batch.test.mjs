// Batches: no picture is lost and all are counted, whatever the cloud does meanwhile.

import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { zipSync } from 'fflate';

import { roughBytes } from '../page/words.js';
import { launch, pageAddress } from './browser.mjs';
import { dropFolder, openPage, runAll } from './page.mjs';
import { longestTask } from './tasks.mjs';

const SAMPLES = new URL('../samples/', import.meta.url);
// A visitor may notice tasks longer than this.
const LONG = 50;
const drawings = readdirSync(SAMPLES).filter((file) => file.endsWith('.png'));

/** Writes a dataset with `copies` of each drawing, in folders named after the classes. */
function dataset(root, copies) {
  for (const file of drawings) {
    const folder = join(root, file.replace('.png', ''));
    mkdirSync(folder, { recursive: true });
    for (let copy = 0; copy < copies; copy += 1) cpSync(new URL(file, SAMPLES), join(folder, `${copy}.png`));
  }
}

/** The batch's figures once it is in this state. */
async function report(page, state = 'done') {
  // May take minutes on a busy machine.
  await page.waitForSelector(`#batch[data-state="${state}"]`, { timeout: 400_000 });
  const data = await page.locator('.report').evaluate((element) => ({ ...element.dataset }));
  const numbers = Object.fromEntries(Object.entries(data).map(([name, value]) => [name, Number(value)]));
  const ended = await page.locator('.histogram li').evaluateAll((all) => all.map((row) => Number(row.lastElementChild.textContent)));
  return { ...numbers, ended: ended.reduce((sum, count) => sum + count, 0), text: await page.textContent('.report') };
}

/** Memory of the browser's renderers in megabytes. */
function rendererMegabytes(profile) {
  let pages = 0;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (command.includes('--type=renderer') && command.includes(profile)) pages += Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
    } catch {
      // The process has just exited.
    }
  }
  return (pages * 4096) / 1e6;
}

describe('batches', () => {
  const root = mkdtempSync(join(tmpdir(), 'fogline-batch-'));
  let browser;
  let page;
  let singles;

  before(async () => {
    browser = await launch();
    page = await openPage(browser.context, pageAddress());
    singles = await runAll(page);
  });
  after(async () => {
    await browser?.close();
    rmSync(root, { recursive: true });
  });

  /** Chooses files, after marking the previous report so that `report` waits for the new batch. */
  const begin = async (input, files) => {
    await page.locator('#batch').evaluate((batch) => batch.removeAttribute('data-state'));
    await page.setInputFiles(input, files);
  };

  const rightOf = (copies) => copies * singles.filter(({ sample, label }) => sample === `${label}.png`).length;
  const sentOf = (copies) => copies * singles.reduce((sum, { bytes }) => sum + bytes, 0);

  test('a busy page would be seen to be', async () => {
    const { busy, wall } = await longestTask(browser.context, page, () => page.evaluate(() => new Promise((resolve) => {
      // In its own task.
      setTimeout(() => {
        let sum = 0;
        for (let at = 0; at < 3e8; at += 1) sum += at % 7;
        resolve(sum);
      });
    })));
    assert.ok(busy > LONG && wall >= busy, `${busy} of ${wall} ms`);
  });

  test('a folder of 500 pictures is answered as the single ones are, and takes no more memory the second time', async () => {
    const copies = Math.ceil(500 / drawings.length);
    const folder = join(root, 'five-hundred');
    dataset(folder, copies);
    const run = async () => {
      await begin('#folder', folder);
      const { text, ...numbers } = await report(page);
      return numbers;
    };
    const total = copies * drawings.length;
    const expected = {
      total, done: total, failed: 0, degraded: 0, unknown: 0, labelled: total, right: rightOf(copies), bytes: sentOf(copies), ended: total,
    };
    assert.deepEqual(await run(), expected);
    const before = rendererMegabytes(browser.profile);
    assert.ok(before > 10, 'the renderers were found');
    assert.deepEqual(await run(), expected);
    const grown = rendererMegabytes(browser.profile) - before;
    assert.ok(grown < 25, `${grown.toFixed(1)} MB more after another ${total} pictures`);
  });

  test('the report shows the confusion matrix and the measured point', async () => {
    const cells = await page.locator('.confusion td').allTextContents();
    const said = cells.reduce((sum, text) => sum + Number(text), 0);
    assert.equal(said, Number(await page.getAttribute('.report', 'data-labelled')));
    const text = await page.textContent('.report');
    assert.match(text, /times less energy than the full-precision twin: [\d,.]+ [µm]?J saved/);
    const copies = said / drawings.length;
    const files = copies * drawings.reduce((sum, file) => sum + statSync(new URL(file, SAMPLES)).size, 0);
    assert.ok(text.includes(`${roughBytes(sentOf(copies))} sent, instead of ${roughBytes(files)} of picture files`), text);
    assert.match(await page.textContent('#curve-text'), /This batch: \d+% to the cloud/);
  });

  test('a zip of 500 pictures is answered whole', async () => {
    const pictures = drawings.map((file) => [file.replace('.png', ''), readFileSync(new URL(file, SAMPLES))]);
    const names = pictures.flatMap(([name, bytes]) => Array.from({ length: Math.ceil(500 / drawings.length) }, (_, copy) => [`${name}/${copy}.png`, bytes]));
    const zip = join(root, 'large.zip');
    writeFileSync(zip, zipSync(Object.fromEntries(names), { level: 0 }));
    await begin('#file', zip);
    assert.equal((await report(page)).done, names.length);
  });

  test('a zip is read as a folder is, and what is no picture in it is left alone', async () => {
    const files = { 'set/notes.txt': Buffer.from('no picture'), 'set/ship/broken.png': Buffer.from('not one either') };
    for (const file of drawings) files[`set/${file.replace('.png', '')}/1.png`] = readFileSync(new URL(file, SAMPLES));
    await begin('#file', { name: 'set.zip', mimeType: 'application/zip', buffer: Buffer.from(zipSync(files)) });
    const { done, failed, right, bytes } = await report(page);
    assert.deepEqual({ done, failed, right, bytes }, { done: drawings.length, failed: 1, right: rightOf(1), bytes: sentOf(1) });
    const problem = page.locator('#problems [data-error]');
    assert.equal(await problem.getAttribute('data-error'), 'picture_kind');
    assert.equal(await problem.getAttribute('data-picture'), 'set/ship/broken.png');
  });

  test('an entry that cannot be read, or lies about its size, costs no other', async () => {
    const files = Object.fromEntries(drawings.map((file) => [`set/${file}`, readFileSync(new URL(file, SAMPLES))]));
    const zip = Buffer.from(zipSync({ ...files, 'set/bomb.png': Buffer.alloc(5_000_000) }));
    // A zip's directory entry has the method at offset 10, the size at 24 and the name at 46.
    const listed = (name) => zip.lastIndexOf(name) - 46;
    const [other, broken] = drawings;
    zip.writeUInt16LE(14, listed(`set/${other}`) + 10); // LZMA
    zip.fill(0xff, zip.indexOf(`set/${broken}`) + 40, zip.indexOf(`set/${broken}`) + 60);
    zip.writeUInt32LE(100, listed('set/bomb.png') + 24);
    await begin('#file', { name: 'odd.zip', mimeType: 'application/zip', buffer: zip });
    const { done, failed } = await report(page);
    const refused = await page.locator('#problems [data-error]').evaluateAll((all) => all.map(({ dataset: { picture } }) => picture));
    assert.deepEqual({ done, failed }, { done: drawings.length - 2, failed: 3 });
    assert.deepEqual(refused.sort(), [`set/${other}`, `set/${broken}`, 'set/bomb.png'].sort());
  });

  test('names that come twice, and those of Windows, are pictures of their own', async () => {
    const [one, other] = drawings.filter((file) => /^(frog|ship)/.test(file));
    const bytes = (file) => readFileSync(new URL(file, SAMPLES));
    const zip = Buffer.from(zipSync({ 'set/frog/1.png': bytes(one), 'set/frog/2.png': bytes(other), 'set\\ship\\1.png': bytes(other) }));
    for (let at; (at = zip.indexOf('set/frog/2.png')) >= 0;) zip.write('set/frog/1.png', at);
    await begin('#file', { name: 'twice.zip', mimeType: 'application/zip', buffer: zip });
    const { done, failed, labelled } = await report(page);
    assert.deepEqual({ done, failed, labelled }, { done: 3, failed: 0, labelled: 3 });
    const rows = await page.locator('.confusion tbody tr').evaluateAll((all) => all.map((row) => [...row.querySelectorAll('td')].reduce((sum, { textContent }) => sum + Number(textContent), 0)));
    assert.deepEqual(rows.filter(Boolean), [2, 1]);
  });

  test('a folder of pictures and zips makes one report, and a broken zip costs no other', async () => {
    const folder = join(root, 'mixed');
    dataset(folder, 1);
    const zip = (name) => Buffer.from(zipSync(Object.fromEntries(drawings.map((file) => [`${name}/${file.replace('.png', '')}/1.png`, readFileSync(new URL(file, SAMPLES))]))));
    for (const name of ['a', 'b']) writeFileSync(join(folder, `${name}.zip`), zip(name));
    writeFileSync(join(folder, 'broken.zip'), 'PK, or so they say');
    await begin('#folder', folder);
    const { done, failed, right, bytes } = await report(page);
    assert.deepEqual({ done, failed, right, bytes }, { done: 3 * drawings.length, failed: 0, right: rightOf(3), bytes: sentOf(3) });
    const problems = await page.locator('#problems [data-error]').evaluateAll((all) => all.map(({ dataset: { error, picture } }) => [error, picture]));
    assert.deepEqual(problems, [['zip_damaged', 'mixed/broken.zip']]);
    assert.ok(await page.locator('.report').evaluate((element) => element.getBoundingClientRect().top < innerHeight), 'the report is seen');
  });

  test('of a good zip and a broken one the good one is answered', async () => {
    const good = Buffer.from(zipSync(Object.fromEntries(drawings.map((file) => [file, readFileSync(new URL(file, SAMPLES))]))));
    const zip = (name, buffer) => ({ name, mimeType: 'application/zip', buffer });
    await begin('#file', [zip('good.zip', good), zip('broken.zip', Buffer.from('PK, or so they say'))]);
    const { done, failed } = await report(page);
    assert.deepEqual({ done, failed }, { done: drawings.length, failed: 0 });
  });

  test('a batch of which nothing can be read says no share', async () => {
    await begin('#file', { name: 'none.zip', mimeType: 'application/zip', buffer: Buffer.from(zipSync({ 'a.png': Buffer.from('no picture') })) });
    const { done, failed, text } = await report(page);
    assert.deepEqual({ done, failed }, { done: 0, failed: 1 });
    assert.doesNotMatch(text, /NaN|stayed/);
  });

  test('a folder without a picture, dropped, is said to be one', async () => {
    const folder = join(root, 'empty');
    mkdirSync(folder);
    await dropFolder(browser.context, page, folder);
    await page.locator('#problems [data-error="batch_empty"]').waitFor();
  });

  test('a file that only says it is a zip is refused', async () => {
    await page.setInputFiles('#file', { name: 'no.zip', mimeType: 'application/zip', buffer: Buffer.from('PK, or so they say') });
    await page.locator('#problems [data-error="zip_damaged"]').waitFor();
  });

  test('with the cloud gone in the middle no picture is lost, and the degraded ones are counted', async () => {
    const folder = join(root, 'cut');
    dataset(folder, 10);
    const hard = singles.filter(({ origin }) => origin === 'cloud').length * 10;
    let asked = 0;
    const answered = new Set();
    await page.route('**/cloud/infer', async (route) => {
      asked += 1;
      if (asked > 3) return route.abort();
      answered.add(asked);
      return route.continue();
    });
    await begin('#folder', folder);
    const { done, degraded, ended } = await report(page);
    await page.unroute('**/cloud/infer');
    assert.deepEqual({ done, ended, degraded }, { done: drawings.length * 10, ended: drawings.length * 10, degraded: hard - answered.size });
    const text = await page.textContent('.report');
    assert.match(text, /degraded: the cloud gave no answer/);
    assert.match(text, /up to [\d.]+ KiB sent/);
    assert.doesNotMatch(text, /less energy/, 'pictures that nobody finished save none');
    assert.equal(await page.getAttribute('#page', 'data-cloud'), 'away');
  });

  test('a batch that is cancelled says how far it came, and the page goes on', async () => {
    await begin('#folder', join(root, 'five-hundred'));
    await page.waitForSelector('#batch[data-state="running"]');
    await page.waitForFunction(() => document.querySelector('#batch-progress').value > 0);
    assert.match(await page.textContent('#batch-text'), /^\d+ of \d+, (\d+ min )?\d+ s to go$/);
    assert.ok(await page.isDisabled('#clear'), 'what is under way is not cleared off');
    await page.locator('#samples button').first().click();
    assert.equal(await page.textContent('#batch-waiting'), '1 more waiting for the batch to end');
    await page.click('#batch-cancel');
    const { done, total, ended } = await report(page, 'cancelled');
    assert.ok(done > 0 && done < total, `${done} of ${total}`);
    assert.equal(ended, done);
    assert.equal(await page.textContent('#batch-text'), `${done} of ${total}, cancelled`);
    assert.notEqual(await page.evaluate(() => document.activeElement.nodeName), 'BODY');
    assert.equal(await page.textContent('#batch-waiting'), '');
    await runAll(page);
  });
});
