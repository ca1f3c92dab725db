// The way a picture took, as a small diagram: the exits inside a box that is this device, and
// the cloud outside it. Stops that were never reached are there too, dimmed: not having gone to
// the cloud is the point.

import { element } from './element.js';
import { certainty, exitTitle, percent } from './words.js';

/** A bar of `share` (0 to 1) of its width. Its number stands beside it in text. */
export function bar(share) {
  const made = element('span', { class: 'bar', 'aria-hidden': 'true' });
  // Through the object model: the content policy forbids style attributes.
  made.style.setProperty('--share', `${Math.min(1, Math.max(0, share)) * 100}%`);
  return made;
}

/** The diagram of one result. */
export function pathDiagram(result, manifest) {
  const asked = new Map(result.exits.map((exit) => [exit.name, exit]));
  const exits = manifest.exits.map(({ name }) => exitStop(name, asked.get(name), result, manifest.policy));
  return element(
    'ol',
    { class: 'path', 'aria-label': 'The way of this picture' },
    element(
      'li',
      { class: 'device' },
      element('span', { class: 'place' }, 'this device'),
      element('ol', {}, ...exits),
    ),
    cloudStop(result),
  );
}

function exitStop(name, exit, result, policy) {
  const title = exitTitle(name);
  if (!exit) return stop('skipped', title, 'not reached');
  const isAnswer = result.origin === name;
  const state = exit.sure ? 'sure' : isAnswer ? 'fallback' : 'passed';
  const verdict = exit.sure ? '✓ sure' : isAnswer ? 'not sure, used all the same' : '✗ not sure';
  return stop(state, title, verdict, exit, certainty(policy, exit));
}

function cloudStop(result) {
  if (result.origin === 'cloud') return stop('sure', 'Cloud', '✓ finished it', result);
  if (result.degraded) return stop('failed', 'Cloud', '✗ no answer');
  return stop('skipped', 'Cloud', 'not needed');
}

function stop(state, title, verdict, answer = null, detail = null) {
  return element(
    'li',
    { class: 'stop', 'data-state': state },
    element('span', { class: 'title' }, title),
    element('span', { class: 'verdict' }, verdict),
    answer && element('span', { class: 'guess' }, `${answer.label} ${percent(answer.confidence)}`),
    answer && bar(answer.confidence),
    detail && element('span', { class: 'detail' }, detail),
  );
}
