// The built-in drawings as buttons. Each remembers on its face where its last answer came from,
// so that a row of them shows at a glance which pictures stay.

import { element } from './element.js';
import { outcomeOf } from './result.js';
import { codedError, errorText } from './words.js';

const BADGES = { device: 'on device', cloud: 'cloud', degraded: 'fell back' };

/** Fills `list` with a button a sample; `press` gets the sample. Returns the samples. */
export async function showSamples(list, press) {
  const samples = await (await fetchSample('index.json')).json();
  for (const sample of samples) {
    sample.badge = element('span', { class: 'badge' });
    sample.button = element(
      'button',
      { type: 'button', 'data-sample': sample.file, disabled: true },
      element('img', { src: `samples/${sample.file}`, alt: '', width: 96, height: 96 }),
      element('span', {}, sample.title),
      sample.badge,
    );
    sample.button.addEventListener('click', () => press(sample));
    list.append(element('li', {}, sample.button));
  }
  return samples;
}

/** The sample's picture file, as if the visitor had chosen it. */
export async function sampleFile(sample) {
  const blob = await (await fetchSample(sample.file)).blob();
  return new File([blob], sample.file, { type: blob.type });
}

/** Writes where the answer came from on the sample's button; no result wipes it off. */
export function markSample(sample, result = null) {
  const outcome = result && outcomeOf(result);
  sample.badge.textContent = outcome ? BADGES[outcome] : '';
  sample.button.toggleAttribute('data-outcome', false);
  if (outcome) sample.button.dataset.outcome = outcome;
}

async function fetchSample(file) {
  try {
    const answer = await fetch(`samples/${file}`);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer;
  } catch (cause) {
    throw codedError('sample_missing', `The sample ${file} could not be fetched: ${errorText(cause)}.`, cause);
  }
}
