// The model panel: loading progress, the loaded model, or why loading failed.

import { errorCode, errorText } from '../shared/errors.js';
import { aboutPair } from './about.js';
import { element, part, progress, select } from './element.js';
import { roughBytes } from './words.js';

/** @import { Manifest, Pair, Progress } from './types' */

/**
 * Offers a choice of `models`, given as manifest URLs; hidden if there is only one.
 *
 * @param {string[]} models
 * @param {string} chosen
 * @param {(address: string) => void} choose
 */
export function showChoice(models, chosen, choose) {
  for (const address of models) {
    select('model-select').append(element('option', { value: address, selected: address === chosen }, modelTitle(address)));
  }
  select('model-select').addEventListener('change', () => choose(select('model-select').value));
  part('model-choice').hidden = models.length < 2;
}

/**
 * "cifar10-w1 1.0.0", from "models/cifar10-w1/1.0.0/manifest.json".
 *
 * @param {string} address
 */
function modelTitle(address) {
  const folders = address.split('/').slice(0, -1);
  return folders.slice(-2).join(' ') || address;
}

/**
 * Name and version, as in "cifar10-w1 3.2.0".
 *
 * @param {Pick<Manifest, 'name' | 'version'>} manifest
 */
export function pairTitle({ name, version }) {
  return `${name} ${version}`;
}

/** Shows that loading has begun. */
export function showLoading() {
  part('page').dataset.model = 'loading';
  delete part('page').dataset.error;
  part('model-problem').replaceChildren();
  part('model-facts').textContent = '';
  part('model-about').textContent = '';
  part('answer').replaceChildren();
  part('progress').removeAttribute('value');
  part('progress-text').textContent = 'Loading the engine…';
  part('loading').hidden = false;
}

/**
 * Shows the progress of loading.
 *
 * @param {Progress} step
 */
export function showProgress({ loaded, total, file }) {
  const bar = progress('progress');
  const size = total ? `${roughBytes(loaded)} of ${roughBytes(total)}` : roughBytes(loaded);
  part('progress-text').textContent = `Loading ${file}: ${size}`;
  if (total) {
    bar.max = total;
    bar.value = Math.min(loaded, total);
  } else {
    bar.removeAttribute('value');
  }
}

/**
 * Shows the loaded model.
 *
 * @param {Pair} pair
 */
export function showModel({ manifest, build, backend, kept }) {
  const facts = [
    pairTitle(manifest),
    `${roughBytes(manifest.files['edge.fog'].bytes)} on this device${kept ? ', cached from an earlier visit' : ''}`,
    `engine ${build}, ${backend}, in one worker`,
  ];
  part('model-facts').textContent = `${facts.join(' · ')}.`;
  part('model-about').textContent = aboutPair(manifest);
  Object.assign(part('page').dataset, { model: 'ready', build, kept });
  part('loading').hidden = true;
}

/**
 * Shows why no model could be loaded; `again` retries.
 *
 * @param {unknown} error
 * @param {() => void} again
 */
export function showModelProblem(error, again) {
  part('loading').hidden = true;
  const button = element('button', { type: 'button' }, 'Try again');
  button.addEventListener('click', again);
  part('model-problem').replaceChildren(
    element('p', { class: 'problem' }, `The model could not be loaded. ${errorText(error)} `, element('code', {}, errorCode(error))),
    button,
  );
  part('page').dataset.model = 'failed';
  part('page').dataset.error = errorCode(error);
}
