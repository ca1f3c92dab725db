// Page and function on different origins, as on AWS: the template's Cors block allows exactly what the engine needs, and the
// browser keeps other pages out. The function URL's CORS rules are emulated; engine and browser are real.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, afterEach, before, describe, test } from 'node:test';

import { launch, pageAddress } from './browser.mjs';
import { cardsOf, openPage, runAll } from './page.mjs';

const block = /\n {8}Cors:\n((?: {10}.*\n)+)/.exec(readFileSync(new URL('../../infra/template.yaml', import.meta.url), 'utf8'))[1];
const listed = (name) => new RegExp(`${name}: \\[(.*)\\]`).exec(block)[1];

describe('a page of another origin', () => {
  let browser;
  let servers = [];
  let preflights = [];

  before(async () => {
    // The page's policy allows only AWS's hosts; here the function is on another port.
    browser = await launch({ bypassCSP: true });
  });
  afterEach(() => {
    for (const server of servers) server.closeAllConnections();
    for (const server of servers) server.close();
    [servers, preflights] = [[], []];
  });
  after(() => browser?.close());

  const serve = async (answer) => {
    const server = createServer((request, response) => answer(request, response).catch((error) => response.destroy(error)));
    servers.push(server);
    await new Promise((ready) => { server.listen(0, '127.0.0.1', ready); });
    return `http://127.0.0.1:${server.address().port}`;
  };

  /** Answers like the stack at `path`, with additional headers. */
  const pass = async (path, request, response, headers) => {
    const { method } = request;
    const body = method === 'POST' ? Buffer.concat(await request.toArray()) : undefined;
    const sent = ['content-type', 'accept', 'authorization'].filter((name) => request.headers[name]).map((name) => [name, request.headers[name]]);
    const answer = await fetch(new URL(path, pageAddress()), { method, body, headers: sent });
    // The page's policy header allows only AWS's hosts.
    const { 'content-security-policy': _, ...own } = Object.fromEntries(answer.headers);
    response.writeHead(answer.status, { ...own, ...headers });
    response.end(Buffer.from(await answer.arrayBuffer()));
  };

  /** A function URL that allows pages of the origin `allowed()`, sends `times` as a header, and may need a token. */
  const functionUrl = (allowed, { times = 1, token = null }) => serve(async (request, response) => {
    const { origin } = request.headers;
    const isAllowed = origin === allowed();
    const headers = isAllowed
      ? { 'access-control-allow-origin': Array(times).fill(origin), 'access-control-expose-headers': listed('ExposeHeaders') }
      : {};
    if (request.method === 'OPTIONS') {
      preflights.push(request.headers);
      const may = { 'access-control-allow-methods': listed('AllowMethods'), 'access-control-allow-headers': listed('AllowHeaders') };
      response.writeHead(200, isAllowed ? { ...headers, ...may } : {}).end();
      return;
    }
    if (token && request.headers.authorization !== `Bearer ${token}`) {
      const refusal = JSON.stringify({ error: 'unauthorized', message: 'this function takes requests with a token' });
      response.writeHead(401, { ...headers, 'content-type': 'application/json' }).end(refusal);
      return;
    }
    await pass(`cloud${request.url}`, request, response, headers);
  });

  /** The cards of all samples on a page that uses this function, after entering the token. */
  const results = async (isNamed, options = {}) => {
    let address = null;
    const cloud = await functionUrl(() => (isNamed ? address : 'https://other.example'), options);
    address = await serve(async (request, response) => {
      if (request.url !== '/config.json') return pass(request.url.slice(1), request, response);
      const config = await (await fetch(new URL('config.json', pageAddress()))).json();
      return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ...config, cloud }));
    });
    const page = await openPage(browser.context, `${address}/`);
    let cards = await runAll(page);
    if (options.token) {
      await page.fill('#token', options.token);
      await cardsOf(page, () => page.press('#token', 'Enter'));
      cards = await runAll(page);
    }
    const functionMs = await page.locator('#results article').evaluateAll((all) => all.map((card) => Number(card.dataset.functionMs)));
    await page.close();
    return { cards, functionMs };
  };

  test('is let in where the function names it, and reads how long the function took', async () => {
    const { cards, functionMs } = await results(true);
    assert.deepEqual(cards.map(({ degraded }) => degraded).filter(Boolean), []);
    assert.ok(cards.some(({ origin }) => origin === 'cloud'), 'no sample goes to the cloud');
    assert.ok(functionMs.some((ms) => ms > 0), 'Server-Timing is exposed');
    assert.ok(preflights.length > 0, 'the browser asked first');
  });

  test('shows the function the token that its visitor types', async () => {
    const { cards } = await results(true, { token: 'right' });
    assert.deepEqual(cards.map(({ degraded }) => degraded).filter(Boolean), []);
    assert.ok(cards.some(({ origin }) => origin === 'cloud'), 'no sample goes to the cloud');
  });

  test('is kept out where the function names another', async () => {
    const { cards } = await results(false);
    assert.ok(cards.some(({ degraded }) => degraded === 'cloud_unreachable'));
    assert.ok(cards.every(({ origin }) => origin !== 'cloud'));
  });

  test('is kept out by a header that comes twice, which is why the function itself sends none', async () => {
    const { cards } = await results(true, { times: 2 });
    assert.ok(cards.some(({ degraded }) => degraded === 'cloud_unreachable'));
    assert.ok(cards.every(({ origin }) => origin !== 'cloud'));
  });
});
