// Actions on the page and readings from it, for the tests and the table.

import assert from 'node:assert/strict';

// Longer than a cold start of model and cloud on a slow machine, but a hanging page still fails.
const PATIENCE = 60_000;

/**
 * Opens the page, waits for its model and its first, unasked answer, and clears that; `prepare` may set routes on the page
 * before.
 */
export async function openPage(context, address, prepare = async () => {}) {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  await prepare(page);
  await page.goto(address);
  await page.waitForSelector('#page:not([data-model="loading"])');
  const code = await page.getAttribute('#page', 'data-error');
  assert.equal(code, null, `the model did not load: ${await page.textContent('#model-problem')}`);
  await page.locator('#results article').waitFor();
  await page.click('#clear');
  return page;
}

/** The cumulative layout shift from the first paint to the first answer. */
export async function jumpsOf(context, address, prepare = async () => {}) {
  const page = await context.newPage();
  await prepare(page);
  await page.addInitScript(() => {
    window.shifts = [];
    new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map(({ value, sources }) => ({
      value,
      nodes: sources.map(({ node }) => node?.id || node?.className || node?.nodeName),
    })))).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(address);
  await page.locator('#results article').waitFor();
  const shifts = await page.evaluate(() => window.shifts);
  await page.close();
  return { sum: shifts.reduce((total, { value }) => total + value, 0), shifts };
}

/** A card's data attributes. */
export async function readCard(card) {
  const data = await card.evaluate((element) => ({ ...element.dataset }));
  return {
    sample: data.sample ?? null,
    picture: data.picture,
    origin: data.origin,
    label: data.label,
    confidence: Number(data.confidence),
    bytes: Number(data.bytes),
    totalMs: Number(data.totalMs),
    degraded: data.degraded ?? null,
  };
}

/** Waits until `more` further cards or problems have appeared. */
async function settled(page, before, more) {
  await page.waitForFunction(
    (count) => document.querySelectorAll('#results article, #problems [data-error]').length >= count,
    before + more,
  );
}

/** Does `act`, which classifies `more` pictures, and returns the cards it made, oldest first. */
export async function cardsOf(page, act, more = 1) {
  const cards = page.locator('#results article');
  const before = await cards.count();
  await page.locator('#problems').evaluate((problems) => problems.replaceChildren());
  await act();
  await settled(page, before, more);
  const problems = await page.locator('#problems').textContent();
  assert.equal(problems, '', `the page shows a problem: ${problems}`);
  const read = [];
  for (let at = more - 1; at >= 0; at -= 1) read.push(await readCard(cards.nth(at)));
  return read;
}

/** Presses "Run all samples"; returns the results in the order of the samples. */
export async function runAll(page) {
  const count = await page.locator('#samples button').count();
  assert.ok(count > 0, 'the page has no samples');
  return cardsOf(page, () => page.click('#run-all'), count);
}

/** Does `act`, which must cause an error message; returns the error code and the text. */
export async function problemOf(page, act) {
  await act();
  const problem = page.locator('#problems [data-error]').last();
  await problem.waitFor();
  return { code: await problem.getAttribute('data-error'), text: await problem.textContent() };
}

/** A sample re-encoded by the browser as `kind`, which saves binary files in the repository. */
export async function encodeSample(page, kind, sample = 0) {
  const numbers = await page.evaluate(async ([type, at]) => {
    const image = document.querySelectorAll('#samples img')[at];
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    canvas.getContext('2d').drawImage(image, 0, 0);
    const blob = await canvas.convertToBlob({ type, quality: 0.9 });
    return [...new Uint8Array(await blob.arrayBuffer())];
  }, [kind, sample]);
  return Buffer.from(numbers);
}

/** Chooses a file with these bytes, as in the file dialogue. */
export function choose(page, name, mimeType, buffer) {
  return page.setInputFiles('#file', { name, mimeType, buffer });
}

/** Drops or pastes a file with these bytes (`how` is "drop" or "paste"). */
export function bring(page, how, name, mimeType, buffer) {
  return page.evaluate(([event, fileName, type, numbers]) => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([new Uint8Array(numbers)], fileName, { type }));
    const options = { bubbles: true, cancelable: true };
    document.body.dispatchEvent(event === 'drop'
      ? new DragEvent('drop', { ...options, dataTransfer })
      : new ClipboardEvent('paste', { ...options, clipboardData: dataTransfer }));
  }, [how, name, mimeType, [...buffer]]);
}

/** Drops a folder onto the page, like a file manager. */
export async function dropFolder(context, page, folder) {
  const session = await context.newCDPSession(page);
  const data = { items: [], files: [folder], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) await session.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  await session.detach();
}
