// The list of errors that the visitor sees.

import { errorCode, errorText } from '../shared/errors.js';
import { element, part } from './element.js';

const MOST = 20;

/**
 * Adds an error; `name` is the picture's, if it concerns one.
 *
 * @param {unknown} error
 */
export function showProblem(error, name = '') {
  const list = part('problems');
  if (list.childElementCount > MOST) return;
  if (list.childElementCount === MOST) {
    list.append(element('p', { class: 'problem' }, 'Further errors are not listed.'));
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

/** Clears the list, unless a batch that still uses it is running. */
export function clearProblems() {
  if (part('batch').dataset.state !== 'running') part('problems').replaceChildren();
}
