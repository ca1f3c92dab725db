// What went wrong, as a list that a visitor reads.

import { errorCode, errorText } from '../shared/errors.js';
import { element, part } from './element.js';

const MOST = 20;

/**
 * Adds a problem; `name` is that of its picture, where it has one.
 *
 * @param {unknown} error
 */
export function showProblem(error, name = '') {
  const list = part('problems');
  if (list.childElementCount > MOST) return;
  if (list.childElementCount === MOST) {
    list.append(element('p', { class: 'problem' }, 'Further ones are not listed.'));
    return;
  }
  list.append(element(
    'p',
    { class: 'problem', 'data-error': errorCode(error), 'data-picture': name },
    name ? element('strong', {}, `${name}: `) : null,
    `${errorText(error)} `,
    element('code', {}, errorCode(error)),
  ));
}

/** Takes away what was wrong before; a batch that runs still needs its list. */
export function clearProblems() {
  if (part('batch').dataset.state !== 'running') part('problems').replaceChildren();
}
