// The page: what a visitor does, in the order in which it is done.

import { runBatch } from './batch.js';
import { Cloud } from './cloud.js';
import { Controls } from './controls.js';
import { Curve } from './curve.js';
import { element } from './element.js';
import { Engine, loadConfig } from './engine.js';
import { listenForFiles } from './intake.js';
import { showChoice, showLoading, showModel, showModelProblem, showProgress } from './model.js';
import { Network } from './network.js';
import { keepPage } from './offline.js';
import { batchReport, progressText } from './report.js';
import { resultCard, spokenResult, thumbnailOf, verdictOf } from './result.js';
import { isRight, markSample, sampleFile, showSamples } from './samples.js';
import { Tally } from './tally.js';
import { Webcam } from './webcam.js';
import { codedError, errorCode, errorText } from './words.js';

const MOST_SINGLE = 24;
const MOST_CARDS = 60;
const MOST_PROBLEMS = 20;

const part = (id) => document.getElementById(id);
const engine = new Engine();
const tally = new Tally(part('tally'));
const network = new Network(part('network'));
const curve = new Curve(part('chart'), part('curve-text'));
const cloud = new Cloud(part('page'), part('cloud-switch'), part('cloud-state'), engine);
const webcam = new Webcam(part('video'));
const controls = new Controls(() => {
  engine.decideBy(controls.policy, controls.thresholds);
  if (pair) curve.show(pair, controls);
}, () => {
  if (again && !webcam.running) inTurn(again);
});

let pair = null;
let samples = [];
let gallery = [];
let runningAll = false;
let again = null; // classifies the picture on show once more

// One thing at a time: two pictures at once would spoil each other's times, and a model must not
// be exchanged under a picture.
let last = Promise.resolve();
function inTurn(job) {
  last = last.then(job).catch(showProblem);
  return last;
}

function enableControls() {
  const ready = pair !== null;
  for (const { button } of [...samples, ...gallery]) button.disabled = !ready;
  part('run-gallery').disabled = !ready || gallery.length === 0;
  part('run-all').disabled = !ready || samples.length === 0;
  // Not `disabled` while it runs: that would throw the keyboard's focus off the page.
  part('run-all').setAttribute('aria-disabled', String(runningAll));
  for (const id of ['file', 'folder', 'webcam']) part(id).disabled = !ready;
  const batch = part('batch');
  part('clear').disabled = batch.dataset.state === 'running' || (part('results').childElementCount === 0 && batch.hidden);
}

function showProblem(error, name = '') {
  if (part('problems').childElementCount > MOST_PROBLEMS) return;
  if (part('problems').childElementCount === MOST_PROBLEMS) {
    part('problems').append(element('p', { class: 'problem' }, 'Further ones are not listed.'));
    return;
  }
  part('problems').append(element(
    'p',
    { class: 'problem', 'data-error': errorCode(error), 'data-picture': name },
    name ? element('strong', {}, `${name}: `) : null,
    `${errorText(error)} `,
    element('code', {}, errorCode(error)),
  ));
}

/** Lights a result's way in the network, with the answer above it. */
function show(picture, result, policy = controls.policy, right = null) {
  network.light(result, policy);
  part('answer').replaceChildren(...verdictOf(result, right));
  part('subject').querySelector('canvas')?.remove();
  if (picture) part('subject').append(thumbnailOf(picture));
}

async function classify(name, sample, fetchFile) {
  part('results').setAttribute('aria-busy', 'true');
  try {
    if (!pair) throw codedError('model_missing', 'There is no model to ask.');
    const { result, ...picture } = await engine.classify({ file: await fetchFile(), thumbnail: true });
    const { policy } = controls;
    again = () => classify(name, sample, fetchFile);
    const right = isRight(sample, result, pair.manifest.classes);
    show(picture, result, policy, right);
    cloud.learn(result);
    part('results').prepend(resultCard(picture, sample, result, right, () => {
      show(picture, result, policy, right);
      part('model-title').scrollIntoView({ block: 'start' });
    }));
    while (part('results').childElementCount > MOST_CARDS) part('results').lastElementChild.remove();
    part('announcer').textContent = spokenResult(picture, result);
    tally.add(picture, result, pair.manifest);
    if (sample) markSample(sample, result, right);
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

function pressSample(sample) {
  part('problems').replaceChildren();
  classifySample(sample);
}

function takePictures(pictures) {
  part('problems').replaceChildren();
  const zips = pictures.filter(({ file }) => /\.zip$/i.test(file.name));
  const rest = pictures.filter((picture) => !zips.includes(picture));
  for (const { file } of zips) {
    inTurn(async () => batch((await engine.listZip(file)).map((path) => ({ path, zipped: path }))));
  }
  // A folder holds more than pictures; of files that were chosen one by one, each gets its answer.
  const inFolders = rest.some(({ path }) => path.includes('/'));
  const wanted = inFolders ? rest.filter(({ file }) => /\.(jpe?g|png|webp)$/i.test(file.name)) : rest;
  if (inFolders || wanted.length > MOST_SINGLE) inTurn(() => batch(wanted));
  else for (const { file } of wanted) inTurn(() => classify(file.name, null, async () => file));
}

async function batch(pictures) {
  if (!pair) throw codedError('model_missing', 'There is no model to ask.');
  if (pictures.length === 0) throw codedError('batch_empty', 'There is no JPEG, PNG or WebP picture in it.');
  const abort = new AbortController();
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let waiting = 0;
  const cancel = () => abort.abort();
  part('batch-cancel').addEventListener('click', cancel);
  part('batch-cancel').hidden = false;
  part('report').replaceChildren();
  part('batch').hidden = false;
  part('batch').dataset.state = 'running';
  enableControls();
  part('batch').scrollIntoView({ block: 'nearest' });
  const draw = (score) => {
    waiting = 0;
    part('batch-text').textContent = progressText(score, pictures.length, seconds());
    part('batch-progress').value = (score.done + score.failed) / pictures.length;
  };
  const score = await runBatch(pictures, {
    engine,
    pair,
    signal: abort.signal,
    refuse: showProblem,
    // Once a frame, however fast they come.
    step: (current, { sample }, result) => {
      waiting ||= requestAnimationFrame(() => draw(current));
      if (result) cloud.learn(result);
      if (sample && result) markSample(sample, result, isRight(sample, result, pair.manifest.classes));
    },
  });
  cancelAnimationFrame(waiting);
  draw(score);
  if (abort.signal.aborted) part('batch-text').textContent = `${score.done + score.failed} of ${pictures.length}, cancelled`;
  part('batch-cancel').removeEventListener('click', cancel);
  // The button goes, and focus must not fall off the page.
  if (document.activeElement === part('batch-cancel')) part('batch-title').focus();
  part('batch-cancel').hidden = true;
  part('batch').dataset.state = abort.signal.aborted ? 'cancelled' : 'done';
  part('report').replaceChildren(batchReport(score, pictures.length, seconds()));
  curve.measure(score);
  part('announcer').textContent = `${abort.signal.aborted ? 'Cancelled' : 'Done'}: ${part('batch-text').textContent}.`;
  enableControls();
}

function unmarkSamples() {
  for (const sample of [...samples, ...gallery]) markSample(sample);
}

function loadModel(manifest, address) {
  return inTurn(async () => {
    if (webcam.running) await toggleWebcam();
    pair = null;
    again = null;
    // Another model decides anew: what was found with this one is not shown as its own.
    unmarkSamples();
    curve.measure(null);
    for (const button of part('results').querySelectorAll('.look')) button.remove();
    enableControls();
    showLoading();
    try {
      const [loaded, report] = await Promise.all([engine.load(manifest, address, showProgress), reportBeside(manifest)]);
      pair = { ...loaded, report };
      await cloud.use(address);
      network.show(pair.manifest);
      controls.show(pair.manifest);
      showModel(pair);
      part('announcer').textContent = 'The model is ready.';
    } catch (error) {
      pair = null;
      showModelProblem(error, () => loadModel(manifest, address));
    }
    enableControls();
  });
}

/** What `cargo xtask eval` measured of a pair, where that lies beside its manifest. */
async function reportBeside(manifest) {
  const answer = await fetch(new URL('report.json', manifest), { cache: 'no-cache' }).catch(() => null);
  return answer?.ok ? answer.json().catch(() => null) : null;
}

async function toggleWebcam() {
  part('webcam').setAttribute('aria-pressed', String(!webcam.running));
  if (webcam.running) {
    await webcam.stop();
    return;
  }
  part('problems').replaceChildren();
  try {
    await webcam.start(
      (frame, signal) => engine.classify({ frame }, signal),
      ({ result }) => {
        show(null, result);
        cloud.learn(result);
      },
      showProblem,
    );
  } catch (error) {
    part('webcam').setAttribute('aria-pressed', 'false');
    showProblem(error);
  }
}

listenForFiles([part('file'), part('folder')], takePictures);
part('webcam').addEventListener('click', toggleWebcam);

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

part('run-gallery').addEventListener('click', () => {
  part('problems').replaceChildren();
  // Its path names a picture's class, as a folder does.
  inTurn(async () => batch(await Promise.all(gallery.map(async (sample) => ({ sample, path: `${sample.label}/${sample.file}`, file: await sampleFile(sample) })))));
});

part('clear').addEventListener('click', () => {
  part('results').replaceChildren();
  part('problems').replaceChildren();
  part('report').replaceChildren();
  part('batch').hidden = true;
  curve.measure(null);
  unmarkSamples();
  tally.clear();
  enableControls();
  // The button has just disabled itself, and focus must not fall off the page.
  part('run-all').focus();
});

try {
  // Without samples the page is still of use.
  const shown = (list, index) => showSamples(list, index, pressSample).catch((error) => {
    showProblem(error);
    return [];
  });
  const drawings = shown(part('samples'), 'samples/index.json');
  const config = await loadConfig();
  part('gallery-part').hidden = !config.gallery;
  part('page').dataset.configured = true;
  samples = await drawings;
  const hung = config.gallery ? shown(part('gallery'), config.gallery) : [];
  showChoice(config.models, config.model, (manifest) => loadModel(manifest, config.cloud));
  await loadModel(config.model, config.cloud);
  gallery = await hung;
  enableControls();
  // A visitor sees at once what this is about.
  if (pair && samples.length > 0) await classifySample(samples[0]);
  if (pair) await keepPage(part('page'), pair.files);
} catch (error) {
  part('page').dataset.configured = true; // else nobody sees what is wrong
  showModelProblem(error, () => location.reload());
}
