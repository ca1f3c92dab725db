// The queue: one job at a time, none lost, and the waiting ones are counted.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Line } from '../page/line.js';

const failed = [];

test('jobs are done one behind the other, in their order', async () => {
  const line = new Line((error) => failed.push(error));
  const steps = [];
  const job = (name) => async () => {
    steps.push(`${name} begins`);
    await new Promise(setImmediate);
    steps.push(`${name} ends`);
  };
  line.join(job('one'));
  await line.join(job('two'));
  assert.deepEqual(steps, ['one begins', 'one ends', 'two begins', 'two ends']);
});

test('a job that fails holds up no other', async () => {
  const line = new Line((error) => failed.push(error.message));
  line.join(() => Promise.reject(new Error('late')));
  line.join(() => {
    throw new Error('at once');
  });
  let done = false;
  await line.join(() => {
    done = true;
  });
  assert.ok(done);
  assert.deepEqual(failed, ['late', 'at once']);
});

test('what waits is counted, but for the quiet', async () => {
  const line = new Line((error) => failed.push(error));
  const counts = [];
  line.addEventListener('change', () => counts.push(line.waiting));
  line.join(() => {});
  line.join(() => {}, { quiet: true });
  await line.join(() => {});
  assert.deepEqual(counts, [1, 2, 1, 0]);
});

test('a job that waits already is not put in line again, but is once it has begun', async () => {
  const line = new Line((error) => failed.push(error));
  let done = 0;
  const job = () => {
    done += 1;
  };
  line.join(job, { once: 'job' });
  await line.join(job, { once: 'job' });
  assert.equal(done, 1);
  await line.join(job, { once: 'job' });
  assert.equal(done, 2);
});
