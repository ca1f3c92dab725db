// The page: what a visitor does, in the order in which it is done.

import { codedError, errorCode, errorText } from '../shared/errors.js';
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

const MOST_SINGLE = 24;
const MOST_CARDS = 60;
const MOST_PROBLEMS = 20;

const part = (id) => document.getElementById(id);
const engine = new Engine();
const tally = new Tally(part('tally'));
const network = new Network(part('network'));
const curve = new Curve(part('chart'), part('curve-text'));
const cloud = new Cloud({
  page: part('page'),
  switches: part('cloud-switch'),
  line: part('cloud-state'),
  door: part('cloud-door'),
  engine,
  opened: tryAgain,
});
const webcam = new Webcam(part('video'));
const controls = new Controls(() => {
  decide();
  if (pair) curve.show(pair, controls);
}, tryAgain);

let pair = null;
let samples = [];
let gallery = [];
let waiting = 0; // jobs in line
let again = null; // classifies the picture on show once more
let isAgain = false; // whether that is in line
let policy = null; // by which the engine decides
let isDeciding = false; // whether another is in line
let isWelcome = false; // whether a first picture was answered unasked

// One thing at a time: two pictures at once would spoil each other's times, and a model must not
// be exchanged under a picture.
let last = Promise.resolve();
function inTurn(job) {
  waiting += 1;
  showWaiting();
  last = last.then(() => {
    waiting -= 1;
    showWaiting();
    return job();
  }).catch(showProblem);
  return last;
}

/** Classifies the picture on show anew, where something has changed that its answer came of: once, however often. */
function tryAgain() {
  if (!again || isAgain || webcam.running) return;
  isAgain = true;
  inTurn(() => {
    isAgain = false;
    return again?.();
  });
}

/** Has the engine decide as the controls say: not in the middle of a batch, but of a webcam's frames. */
function decide() {
  if (isDeciding && !webcam.running) return;
  const now = () => {
    isDeciding = false;
    policy = controls.policy;
    return engine.decideBy(policy, controls.thresholds);
  };
  isDeciding = true;
  if (webcam.running) now().catch(showProblem);
  else last = last.then(now).catch(showProblem);
}

/** What was pressed during a batch has not been lost. */
function showWaiting() {
  const held = part('batch').dataset.state === 'running' ? waiting : 0;
  part('batch-waiting').textContent = held > 0 ? `${held} more ${held === 1 ? 'waits' : 'wait'} for its end` : '';
}

const underWay = new Set(); // ids of buttons whose run is not over

/** Runs what a button starts, unless it is running already. */
async function once(id, run) {
  if (underWay.has(id)) return;
  clearProblems();
  underWay.add(id);
  enableControls();
  await run();
  underWay.delete(id);
  enableControls();
}

function enableControls() {
  const ready = pair !== null;
  for (const { button } of [...samples, ...gallery]) button.disabled = !ready;
  part('run-gallery').disabled = !ready || gallery.length === 0;
  part('run-all').disabled = !ready || samples.length === 0;
  // Not `disabled` while they run: that would throw the keyboard's focus off the page.
  for (const id of ['run-all', 'run-gallery']) part(id).setAttribute('aria-disabled', String(underWay.has(id)));
  for (const id of ['file', 'folder', 'webcam']) part(id).disabled = !ready;
  const batch = part('batch');
  part('clear').disabled = batch.dataset.state === 'running' || (part('results').childElementCount === 0 && batch.hidden);
  showWaiting();
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
function show(picture, result, by = policy, right = null) {
  network.light(result, by);
  part('answer').replaceChildren(...verdictOf(result, right));
  part('subject').querySelector('canvas')?.remove();
  if (picture) part('subject').append(thumbnailOf(picture));
}

async function classify(name, sample, fetchFile) {
  part('results').setAttribute('aria-busy', 'true');
  try {
    if (!pair) throw codedError('model_missing', 'There is no model to ask.');
    const { result, ...picture } = await engine.classify({ file: await fetchFile(), thumbnail: true });
    const by = policy;
    const right = isRight(sample, result, pair.manifest.classes);
    const put = () => {
      again = () => classify(name, sample, fetchFile);
      show(picture, result, by, right);
    };
    put();
    cloud.learn(result);
    part('results').prepend(resultCard(picture, sample, result, right, () => {
      put();
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
  clearProblems();
  reveal(classifySample(sample));
}

/** What was wrong before; a batch that runs still needs its list. */
function clearProblems() {
  if (part('batch').dataset.state !== 'running') part('problems').replaceChildren();
}

/** Brings an answer to where a small screen shows it, unless whoever waits for it has scrolled since. */
async function reveal(answered) {
  const at = scrollY;
  await answered;
  if (scrollY === at) part('shown').scrollIntoView({ block: 'nearest' });
}

function takePictures(pictures) {
  clearProblems();
  const zips = pictures.filter(({ file }) => /\.zip$/i.test(file.name));
  const rest = pictures.filter((picture) => !zips.includes(picture));
  // A folder holds more than pictures; of files that were chosen one by one, each gets its answer.
  const inFolders = rest.some(({ path }) => path.includes('/'));
  const wanted = inFolders ? rest.filter(({ file }) => /\.(jpe?g|png|webp)$/i.test(file.name)) : rest;
  const single = wanted.length > 0 && wanted.length <= MOST_SINGLE && zips.length === 0 && !inFolders;
  if (!single) inTurn(() => batchOf(wanted, zips));
  else reveal(Promise.all(wanted.map(({ file }) => inTurn(() => classify(file.name, null, async () => file)))));
}

/** One batch of all that came at once; a zip that cannot be opened costs no others. */
async function batchOf(pictures, zips) {
  const sources = pictures.length > 0 || zips.length === 0 ? [{ pictures }] : [];
  for (const { file, path } of zips) {
    try {
      sources.push({ zip: file, pictures: await engine.listZip(file) });
    } catch (error) {
      showProblem(error, path);
    }
  }
  if (sources.length > 0) await batch(sources);
}

async function batch(sources) {
  const total = sources.reduce((sum, { pictures }) => sum + pictures.length, 0);
  if (!pair) throw codedError('model_missing', 'There is no model to ask.');
  if (total === 0) throw codedError('batch_empty', 'There is no JPEG, PNG or WebP picture in it.');
  const abort = new AbortController();
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let frame = 0;
  const cancel = () => abort.abort();
  part('batch-cancel').addEventListener('click', cancel);
  part('batch-cancel').hidden = false;
  const draw = (score) => {
    frame = 0;
    part('batch-text').textContent = progressText(score, total, seconds());
    part('batch-progress').value = (score.done + score.failed) / total;
  };
  part('report').replaceChildren();
  draw({ done: 0, failed: 0 });
  part('batch').hidden = false;
  part('batch').dataset.state = 'running';
  enableControls();
  part('batch').scrollIntoView({ block: 'nearest' });
  const score = await runBatch(sources, {
    engine,
    pair,
    signal: abort.signal,
    refuse: showProblem,
    // Once a frame, however fast they come.
    step: (current, { sample }, result) => {
      frame ||= requestAnimationFrame(() => draw(current));
      if (result) cloud.learn(result);
      if (sample && result) markSample(sample, result, isRight(sample, result, pair.manifest.classes));
    },
  });
  cancelAnimationFrame(frame);
  draw(score);
  if (abort.signal.aborted) part('batch-text').textContent = `${score.done + score.failed} of ${total}, cancelled`;
  part('batch-cancel').removeEventListener('click', cancel);
  // The button goes, and focus must not fall off the page.
  if (document.activeElement === part('batch-cancel')) part('batch-title').focus();
  part('batch-cancel').hidden = true;
  part('batch').dataset.state = abort.signal.aborted ? 'cancelled' : 'done';
  part('report').replaceChildren(batchReport(score, total, seconds()));
  // Whoever watched the bar sees the report; whoever looks elsewhere is left there.
  const { top } = part('batch').getBoundingClientRect();
  if (top >= 0 && top < innerHeight) part('batch').scrollIntoView({ block: 'start' });
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
      const [loaded, report] = await Promise.all([engine.load(manifest, showProgress), reportBeside(manifest)]);
      pair = { ...loaded, report };
      await cloud.use(address);
      network.show(pair.manifest);
      controls.show(pair.manifest);
      showModel(pair);
      part('announcer').textContent = 'The model is ready.';
      welcome(pair);
    } catch (error) {
      pair = null;
      showModelProblem(error, () => loadModel(manifest, address));
    }
    enableControls();
  });
}

/** A visitor sees at once what this is about; then the page is kept, with what this pair needs. */
function welcome({ files }) {
  const first = isWelcome || samples.length === 0 ? last : classifySample(samples[0]);
  isWelcome = true;
  first.then(() => keepPage(part('page'), files));
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
  clearProblems();
  again = null;
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

listenForFiles([part('file'), part('folder')], takePictures, showProblem);
part('webcam').addEventListener('click', toggleWebcam);

part('run-all').addEventListener('click', () => once('run-all', async () => {
  await Promise.all(samples.map(classifySample));
  part('announcer').textContent = part('tally').textContent;
}));

part('run-gallery').addEventListener('click', () => once('run-gallery', () => inTurn(async () => {
  // Its path names a picture's class, as a folder does.
  const pictures = await Promise.all(gallery.map(async (sample) => {
    const path = `${sample.label}/${sample.file}`;
    return sampleFile(sample).then((file) => ({ sample, path, file }), (error) => showProblem(error, path));
  }));
  await batch([{ pictures: pictures.filter(Boolean) }]);
})));

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
} catch (error) {
  part('page').dataset.configured = true; // else nobody sees what is wrong
  showModelProblem(error, () => location.reload());
}
