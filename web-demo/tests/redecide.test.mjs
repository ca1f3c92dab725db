// Applying other thresholds to an answer: decides like the engine, as far as the picture went.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { foundOf, redecide } from '../page/redecide.js';

const ENTROPY = { name: 'entropy', title: 'entropy', sure: 'at_most', most: 'ln_classes' };
const MARGIN = { name: 'margin', title: 'lead over the second', sure: 'at_least', most: 'one' };
const APPEAL = { name: 'appeal', title: 'its own prediction', sure: 'at_least', most: 'one' };
const exit = (index, scores, certainty) => ({ index, confidence: scores[index], scores, certainty });
const answer = (exits, beyond = {}) => ({ exits, origin: 'exit-2', degraded: null, index: 0, confidence: 0.5, bytesSent: 0, ...beyond });

const PLAIN = { classes: ['cat', 'dog', 'ship'], exits: [{ name: 'exit-1' }, { name: 'exit-2' }] };
const WAYS = { ...PLAIN, exits: [{ name: 'exit-1', ways: [{ from: 0, way: 2 }] }, { name: 'exit-2' }] };
const EXTENDED = { ...PLAIN, exits: [...PLAIN.exits, { name: 'extension', extends: ['cat', 'dog'] }] };

const first = exit(2, [0.2, 0.2, 0.6], 0.950_271);
const second = exit(0, [0.9, 0.05, 0.05], 0.394_398);
const third = exit(1, [0.1, 0.8, 0.1], 0.9);
const decide = (found, manifest, thresholds, policy = ENTROPY) => redecide(found, policy, thresholds, manifest);
const where = (found, manifest, thresholds, policy) => {
  const ending = decide(found, manifest, thresholds, policy);
  return typeof ending === 'string' ? ending : [ending.origin, ending.index, ending.way, ending.bytesSent];
};

describe('another decision', () => {
  test('the first exit that is sure answers, and at its threshold an exit is sure', () => {
    const found = foundOf(answer([first, second]), ENTROPY);
    assert.deepEqual(where(found, PLAIN, [1, 1]), ['exit-1', 2, 0, 0]);
    assert.deepEqual(where(found, PLAIN, [0.950_271, 0]), ['exit-1', 2, 0, 0]);
    assert.deepEqual(where(found, PLAIN, [0.5, 0.5]), ['exit-2', 0, 0, 0]);
  });

  test('what went to no cloud says nothing of it, and what no exit saw nothing of that exit', () => {
    assert.equal(where(foundOf(answer([first, second]), ENTROPY), PLAIN, [0, 0]), 'cloud');
    assert.equal(where(foundOf(answer([first]), ENTROPY), PLAIN, [0, 0]), 'further');
  });

  test('what was in the cloud is known wherever it would end', () => {
    const found = foundOf(answer([first, second], { origin: 'cloud', index: 1, bytesSent: 1061 }), ENTROPY);
    assert.deepEqual(where(found, PLAIN, [0, 0]), ['cloud', 1, 0, 1061]);
    assert.deepEqual(where(found, PLAIN, [0, 0.5]), ['exit-2', 0, 0, 0]);
  });

  test('what the cloud did not answer stays degraded, unless an exit is sure', () => {
    const found = foundOf(answer([first, second], { degraded: { reason: 'cloud_late', message: '' }, bytesSent: 50 }), ENTROPY);
    assert.equal(decide(found, PLAIN, [0, 0]).degraded, 'cloud_late');
    assert.equal(decide(found, PLAIN, [0, 0.5]).degraded, null);
  });

  test('another measure is taken of the scores, an exit\'s own prediction of none', () => {
    const found = foundOf(answer([first, second]), ENTROPY);
    assert.deepEqual(where(found, PLAIN, [0.5, 0.84], MARGIN), ['exit-2', 0, 0, 0]);
    assert.equal(where(found, PLAIN, [0, 0], APPEAL), 'further');
    assert.deepEqual(where(foundOf(answer([first]), APPEAL), PLAIN, [0.95, 0], APPEAL), ['exit-1', 2, 0, 0]);
  });

  test('a way is taken behind the exit that chooses it', () => {
    const found = foundOf(answer([first, second], { way: 2 }), ENTROPY);
    assert.deepEqual(where(found, WAYS, [1, 1]), ['exit-1', 2, 0, 0]);
    assert.deepEqual(where(found, WAYS, [0, 1]), ['exit-2', 0, 2, 0]);
  });

  test('of a hard class the extension answers, where the picture went there', () => {
    const extended = foundOf(answer([first, second, third], { origin: 'extension', way: 1 }), ENTROPY);
    assert.deepEqual(where(extended, EXTENDED, [0, 1]), ['extension', 1, 1, 0]);
    assert.deepEqual(where(extended, EXTENDED, [1, 1]), ['exit-1', 2, 0, 0], 'an easy class needs none');
    assert.equal(where(extended, EXTENDED, [0, 0]), 'cloud');
    assert.equal(where(foundOf(answer([first, second], { origin: 'cloud' }), ENTROPY), EXTENDED, [0, 1]), 'further');
  });
});
