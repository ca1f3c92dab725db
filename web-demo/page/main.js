// The page: creates its parts, connects them, and handles the visitor's actions.

import { Answers } from './answers.js';
import { BatchPanel } from './batch-panel.js';
import { keepButtons, once } from './buttons.js';
import { Cloud } from './cloud.js';
import { Controls } from './controls.js';
import { Curve } from './curve.js';
import { button, form, input, part, video } from './element.js';
import { Engine, loadConfig } from './engine.js';
import { listenForFiles, sortFiles } from './intake.js';
import { Line } from './line.js';
import { showChoice, showModelProblem } from './model.js';
import { Network } from './network.js';
import { keepPage } from './offline.js';
import { openPair } from './open.js';
import { clearProblems, showProblem } from './problems.js';
import { markSample, showSamples, strangeNote } from './samples.js';
import { state } from './state.js';
import { Tally } from './tally.js';
import { Webcam } from './webcam.js';

/** @import { FileAt, Listed, Pair, Sample } from './types' */

const DRAWINGS = 'samples/index.json';
let hung = DRAWINGS; // the index of the samples shown

const engine = new Engine();
const line = new Line(showProblem);
const network = new Network(part('network'));
const curve = new Curve(part('chart'), part('curve-text'));
const cloud = new Cloud({
  page: part('page'),
  switches: part('cloud-switch'),
  line: part('cloud-state'),
  door: form('cloud-door'),
  token: input('token'),
  engine,
  opened: tryAgain,
});
const answers = new Answers({ engine, line, network, tally: new Tally(part('tally')), learn: (result) => cloud.learn(result) });
const webcam = new Webcam({
  video: video('video'),
  button: button('webcam'),
  classify: (frame, signal) => engine.classify({ frame }, { signal }),
  show: ({ result }) => {
    answers.show(null, result);
    cloud.learn(result);
  },
  fail: showProblem,
});
const controls = new Controls(() => {
  decide();
  if (state.pair) curve.show(state.pair, controls);
  batch.follow();
}, tryAgain);
const batch = new BatchPanel({
  engine,
  line,
  controls,
  learn: (result) => cloud.learn(result),
  measure: (score) => curve.measure(score),
  look,
});

function tryAgain() {
  if (!webcam.running) answers.tryAgain();
}

/**
 * Classifies one picture of a batch again and shows its path.
 *
 * @param {Listed} picture
 * @param {File | undefined} zip that contains it
 */
function look({ path, file, zipped, sample }, zip) {
  clearProblems();
  answers.ask(path, sample ?? null, async () => {
    if (zip) await engine.listZip(zip);
    return { file, zipped };
  }, { reveal: true });
}

/** Passes the controls' policy and thresholds to the engine: at once for the webcam, otherwise after a running batch. */
function decide() {
  const now = async () => {
    const { policy, thresholds } = controls;
    if (!policy) return; // no pair is loaded yet
    state.policy = policy;
    await engine.decideBy(policy.name, thresholds);
  };
  if (webcam.running) now().catch(showProblem);
  else line.join(now, { once: 'decide', quiet: true });
}

/** @param {FileAt[]} pictures */
function takePictures(pictures) {
  clearProblems();
  const { wanted, zips, single, leftOut } = sortFiles(pictures);
  if (single) wanted.forEach(({ file }) => answers.ask(file.name, null, async () => ({ file }), { reveal: true }));
  else line.join(() => batch.runAll(wanted, zips, leftOut));
}

/** @param {Sample} sample */
function pressSample(sample) {
  clearProblems();
  answers.askSample(sample, { reveal: true });
}

function unmarkSamples() {
  for (const sample of [...state.samples, ...state.gallery]) markSample(sample);
}

/** @type {(id: 'samples' | 'gallery', index: string) => Promise<Sample[]>} */
const hang = (id, index) => showSamples(part(id), index, pressSample).catch((error) => {
  showProblem(error); // the page still works without samples
  return [];
});

/**
 * Shows a pair's own samples if it has any, otherwise the page's drawings.
 *
 * @param {Pair} pair
 * @param {string} manifest its URL
 */
async function fitSamples({ manifest: { samples } }, manifest) {
  const index = samples ? new URL(samples, manifest).href : DRAWINGS;
  if (index !== hung) {
    hung = index;
    state.samples = await hang('samples', index);
  }
  noteStrangers();
}

/** Adds a note if none of the pictures shows a class that the pair knows. */
function noteStrangers() {
  const classes = state.pair?.manifest.classes ?? [];
  part('samples-note').textContent = strangeNote(state.samples, classes);
  part('gallery-note').textContent = strangeNote(state.gallery, classes);
}

/**
 * @param {string} manifest
 * @param {string} address URL of its cloud
 */
function open(manifest, address) {
  return openPair(manifest, {
    engine,
    line,
    leave: async () => {
      if (webcam.running) await webcam.toggle();
      answers.forgetModel();
      unmarkSamples();
    },
    enter: async (pair) => {
      await cloud.use(address);
      network.show(pair.manifest);
      controls.show(pair);
      await fitSamples(pair, manifest);
    },
    opened: welcome,
  });
}

/**
 * Classifies the first sample unasked, so that a visitor sees an answer at once, and then caches the page for offline use.
 *
 * @param {Pair} pair
 */
function welcome({ files }) {
  const [sample] = state.samples;
  answers.tryAgain();
  const first = state.isWelcome || !sample ? line.join(() => {}, { quiet: true }) : answers.askSample(sample);
  state.isWelcome = true;
  first.then(() => keepPage(part('page'), files));
}

keepButtons(line);
listenForFiles([input('file'), input('folder')], takePictures, showProblem);

part('webcam').addEventListener('click', () => {
  if (!webcam.running) {
    clearProblems();
    answers.letGo();
  }
  webcam.toggle();
});

part('run-all').addEventListener('click', () => once('run-all', async () => {
  await Promise.all(state.samples.map((sample) => answers.askSample(sample)));
  part('announcer').textContent = part('tally').textContent;
}));

part('run-gallery').addEventListener('click', () => once('run-gallery', () => line.join(() => batch.runSamples(state.gallery))));

part('clear').addEventListener('click', () => {
  clearProblems();
  answers.clear();
  batch.clear();
  unmarkSamples();
  state.change();
  // The button has just been disabled, so move the focus to another one.
  part('run-all').focus();
});

try {
  const drawings = hang('samples', DRAWINGS);
  const config = await loadConfig();
  part('gallery-part').hidden = !config.gallery;
  part('page').dataset.configured = 'true';
  state.samples = await drawings;
  const gallery = config.gallery ? hang('gallery', config.gallery) : [];
  showChoice(config.models, config.model, (manifest) => open(manifest, config.cloud));
  await open(config.model, config.cloud);
  state.change({ gallery: await gallery });
  noteStrangers();
} catch (error) {
  part('page').dataset.configured = 'true'; // otherwise the page stays hidden
  showModelProblem(error, () => location.reload());
}
