// The page: what a visitor does, in the order in which it is done.

import { element } from './element.js';
import { loadConfig, loadEngine } from './engine.js';
import { listenForFiles } from './intake.js';
import { showChoice, showLoading, showModel, showModelProblem, showProgress } from './model.js';
import { openPicture } from './picture.js';
import { resultCard, spokenResult } from './result.js';
import { markSample, sampleFile, showSamples } from './samples.js';
import { Tally } from './tally.js';
import { codedError, errorCode, errorText } from './words.js';

const part = (id) => document.getElementById(id);
const tally = new Tally(part('tally'));

let fogline = null;
let samples = [];
let runningAll = false;

// One thing at a time: two pictures at once would spoil each other's times, and a model must not
// be exchanged under a picture.
let last = Promise.resolve();
function inTurn(job) {
  last = last.then(job).catch(showProblem);
  return last;
}

function enableControls() {
  const ready = fogline !== null;
  for (const { button } of samples) button.disabled = !ready;
  part('run-all').disabled = !ready || samples.length === 0;
  // Not `disabled` while it runs: that would throw the keyboard's focus off the page.
  part('run-all').setAttribute('aria-disabled', String(runningAll));
  part('file').disabled = !ready;
  part('clear').disabled = part('results').childElementCount === 0;
}

function showProblem(error, name = '') {
  part('problems').append(element(
    'p',
    { class: 'problem', 'data-error': errorCode(error), 'data-picture': name },
    name ? element('strong', {}, `${name}: `) : null,
    `${errorText(error)} `,
    element('code', {}, errorCode(error)),
  ));
}

async function classify(name, sample, fetchFile) {
  part('results').setAttribute('aria-busy', 'true');
  try {
    if (!fogline) throw codedError('model_missing', 'There is no model to ask.');
    const picture = await openPicture(await fetchFile());
    const result = await fogline.classify(picture.imageData);
    const { manifest } = fogline;
    part('results').prepend(resultCard(picture, sample, result, manifest));
    part('announcer').textContent = spokenResult(picture, result);
    tally.add(picture, result, manifest);
    if (sample) markSample(sample, result);
  } catch (error) {
    showProblem(error, name);
  } finally {
    part('results').removeAttribute('aria-busy');
    enableControls();
  }
}

function classifySample(sample) {
  return inTurn(() => classify(sample.title, sample, () => sampleFile(sample)));
}

function takeFiles(files) {
  part('problems').replaceChildren();
  for (const file of files) inTurn(() => classify(file.name, null, async () => file));
}

function loadModel(manifest, cloud) {
  return inTurn(async () => {
    fogline?.free?.();
    fogline = null;
    samples.forEach((sample) => markSample(sample)); // another model decides anew
    enableControls();
    showLoading();
    try {
      fogline = await loadEngine(manifest, cloud, showProgress);
      showModel(fogline.manifest);
      part('announcer').textContent = 'The model is ready.';
    } catch (error) {
      fogline = null;
      showModelProblem(error);
    }
    enableControls();
  });
}

listenForFiles(part('file'), takeFiles);

part('run-all').addEventListener('click', async () => {
  if (runningAll) return;
  part('problems').replaceChildren();
  runningAll = true;
  enableControls();
  await Promise.all(samples.map(classifySample));
  runningAll = false;
  part('announcer').textContent = part('tally').textContent;
  enableControls();
});

part('clear').addEventListener('click', () => {
  part('results').replaceChildren();
  part('problems').replaceChildren();
  samples.forEach((sample) => markSample(sample));
  tally.clear();
  enableControls();
  // The button has just disabled itself, and focus must not fall off the page.
  part('run-all').focus();
});

try {
  samples = await showSamples(part('samples'), (sample) => {
    part('problems').replaceChildren();
    classifySample(sample);
  });
} catch (error) {
  showProblem(error); // without samples the page is still of use
}

try {
  const config = await loadConfig();
  showChoice(config.models, config.model, (manifest) => loadModel(manifest, config.cloud));
  await loadModel(config.model, config.cloud);
} catch (error) {
  showModelProblem(error);
}
