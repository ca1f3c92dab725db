// The model panel: loading with its progress, what is loaded, or why nothing is.

import { errorCode, errorText } from '../shared/errors.js';
import { element } from './element.js';
import { roughBytes } from './words.js';

const part = (id) => document.getElementById(id);

/** Offers `models` (addresses of manifests); one alone is no choice and is not shown as one. */
export function showChoice(models, chosen, choose) {
  const select = part('model-select');
  for (const address of models) {
    select.append(element('option', { value: address, selected: address === chosen }, modelTitle(address)));
  }
  select.addEventListener('change', () => choose(select.value));
  part('model-choice').hidden = models.length < 2;
}

// "cifar10-w1 1.0.0" of "models/cifar10-w1/1.0.0/manifest.json".
function modelTitle(address) {
  const folders = address.split('/').slice(0, -1);
  return folders.slice(-2).join(' ') || address;
}

/** Loading begins. */
export function showLoading() {
  part('page').dataset.model = 'loading';
  delete part('page').dataset.error;
  part('model-problem').replaceChildren();
  part('model-facts').textContent = '';
  part('answer').replaceChildren();
  part('progress').removeAttribute('value');
  part('progress-text').textContent = 'Loading the engine…';
  part('loading').hidden = false;
}

/** A step of loading, as the engine reports it. */
export function showProgress({ loaded, total, file }) {
  const progress = part('progress');
  const size = total > 0 ? `${roughBytes(loaded)} of ${roughBytes(total)}` : roughBytes(loaded);
  part('progress-text').textContent = `Loading ${file}: ${size}`;
  if (total > 0) {
    progress.max = total;
    progress.value = Math.min(loaded, total);
  } else {
    progress.removeAttribute('value');
  }
}

/** The model is ready. */
export function showModel({ manifest, build, backend, kept }) {
  const facts = [
    `${manifest.name} ${manifest.version}`,
    `${roughBytes(manifest.files['edge.fog'].bytes)} on this device${kept ? ', kept from an earlier visit' : ''}`,
    `engine ${build}, ${backend}, in one worker`,
  ];
  part('model-facts').textContent = `${facts.join(' · ')}.`;
  Object.assign(part('page').dataset, { model: 'ready', build, kept });
  part('loading').hidden = true;
}

/** There is no model, and why; `again` tries once more. */
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
