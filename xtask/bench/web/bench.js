// Times our engine and its peers in one page, one sample of each in turn: call `prepare(options)`, then `round()` any number
// of times. Everything runs on one thread, with inputs generated at run time from normally distributed numbers.

import * as ort from '/node_modules/onnxruntime-web/dist/ort.wasm.min.mjs';

import { graph } from './tfjs.js';

const SAMPLE_MS = 12; // minimum length of a sample: the clock's 0.1 ms steps are under 1% of it

let cases;

/** Normal numbers from a seed. */
function normals(count, seed) {
  let state = seed | 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32 + 2 ** -33;
  };
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next()));
}

async function bytesOf(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: HTTP ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** Ours, of both builds where the browser can run them. */
async function ours(options, add) {
  for (const [folder, runtime] of [['pkg', 'fogline, simd128'], ['relaxed', 'fogline, relaxed simd']]) {
    const bench = await import(`/${folder}/fogline_bench.js`);
    await bench.default();
    for (let index = 0; ; index += 1) {
      const layer = bench.Layer.of(index, options.seed);
      if (!layer) break;
      add(runtime, layer.name(), layer.macs(), (times) => layer.run(times));
    }
    for (let index = 0; ; index += 1) {
      const pool = bench.Pool.of(index, options.seed);
      if (!pool) break;
      add(runtime, pool.name(), 0, (times) => pool.run(times));
    }
    const fog = await bytesOf('/edge.fog');
    const edge = new bench.Edge(fog, options.seed);
    for (let stop = 0; stop <= edge.exits(); stop += 1) {
      const name = stop < edge.exits() ? `edge to exit ${stop + 1}` : 'edge';
      add(runtime, name, 0, (times) => edge.run(times, stop));
    }
    const manifest = await bytesOf('/manifest.json');
    const coding = bench.Coding.of(manifest, fog, options.seed);
    if (coding) {
      add(runtime, 'coding a map', 0, (times) => coding.encode(times));
      add(runtime, 'decoding a map', 0, (times) => coding.decode(times));
    }
    if (options.pictures) {
      const pictures = new bench.Pictures(manifest, fog, await bytesOf('/pictures.rgb'));
      add(runtime, pictures.name(), 0, (times) => pictures.run(times));
    }
    for (let index = 0; ; index += 1) {
      const peak = bench.Peak.of(index, options.seed);
      if (!peak) break;
      add(runtime.replace('fogline', 'at most'), peak.name(), peak.macs(), (times) => peak.run(times));
    }
    if (folder === 'relaxed') continue;
    for (const [side, channels] of options.convolutions) {
      const float = new bench.Float(side, channels, options.seed);
      add('plain f32, Chromium', `3x3 ${channels}-${channels} ${side}x${side}`, float.macs(), (times) => float.run(times));
    }
  }
}

async function onnxruntime(options, add) {
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = '/node_modules/onnxruntime-web/dist/';
  const model = async (file, type, dims) => {
    const session = await ort.InferenceSession.create(`/models/${file}`, { executionProviders: ['wasm'], graphOptimizationLevel: 'all' });
    const size = dims.reduce((a, b) => a * b);
    const data = normals(size, options.seed);
    const input = type === 'float32' ? data : Uint8Array.from(data, (x) => Math.max(0, Math.min(255, 128 + 40 * x)));
    const feeds = { [session.inputNames[0]]: new ort.Tensor(type, input, dims) };
    return async (times) => {
      for (let i = 0; i < times; i += 1) await session.run(feeds);
    };
  };
  for (const [side, channels] of options.convolutions) {
    const dims = [1, channels, side, side];
    const macs = side * side * channels * channels * 9;
    const name = `3x3 ${channels}-${channels} ${side}x${side}`;
    add('onnxruntime-web f32', name, macs, await model(`conv-${side}-${channels}-f32.onnx`, 'float32', dims));
    add('onnxruntime-web int8', name, macs, await model(`conv-${side}-${channels}-int8.onnx`, 'uint8', dims));
  }
  for (const [side, channels] of options.depthwise) {
    const dims = [1, channels, side, side];
    const macs = side * side * channels * 9;
    const name = `depthwise 3x3 ${channels} ${side}x${side}`;
    add('onnxruntime-web f32', name, macs, await model(`depthwise-${side}-${channels}-f32.onnx`, 'float32', dims));
    add('onnxruntime-web int8', name, macs, await model(`depthwise-${side}-${channels}-int8.onnx`, 'uint8', dims));
  }
  const picture = [1, 3, options.size, options.size];
  add('onnxruntime-web f32', 'edge', 0, await model('edge-f32.onnx', 'float32', picture));
  add('onnxruntime-web int8', 'edge', 0, await model('edge-int8.onnx', 'float32', picture));
}

async function tfjs(options, add) {
  const core = globalThis.tf; // loaded by the page's scripts
  core.wasm.setWasmPaths('/node_modules/@tensorflow/tfjs-backend-wasm/dist/');
  core.wasm.setThreadsCount(1);
  if (!(await core.setBackend('wasm'))) throw new Error('tfjs has no wasm backend here');
  await core.ready();
  for (const [side, channels] of options.convolutions) {
    const x = core.tensor(normals(side * side * channels, options.seed), [1, side, side, channels]);
    const w = core.tensor(normals(9 * channels * channels, options.seed + 1), [3, 3, channels, channels]);
    add('tfjs-wasm f32', `3x3 ${channels}-${channels} ${side}x${side}`, side * side * channels * channels * 9, (times) => {
      for (let i = 0; i < times; i += 1) core.conv2d(x, w, 1, 'same').dispose();
    });
  }
  const edge = graph(core, JSON.parse(new TextDecoder().decode(await bytesOf('/models/edge-tfjs.json'))), (count) => normals(count, options.seed));
  add('tfjs-wasm f32', 'edge', 0, (times) => {
    for (let i = 0; i < times; i += 1) edge();
  });
}

async function elapsed(run, times) {
  const began = performance.now();
  await run(times);
  return performance.now() - began;
}

/** Loads and warms up everything; returns what will be timed. */
export async function prepare(options) {
  cases = [];
  const add = (runtime, name, macs, run) => cases.push({ runtime, name, macs, run, times: 1 });
  await ours(options, add);
  await onnxruntime(options, add);
  await tfjs(options, add);
  for (const one of cases) {
    // V8 recompiles hot functions: give it time to do so.
    for (const until = performance.now() + 100; performance.now() < until;) await one.run(1);
    while ((await elapsed(one.run, one.times)) < SAMPLE_MS) one.times *= 2;
  }
  return cases.map(({ runtime, name, macs }) => ({ runtime, name, macs }));
}

/** One sample of every case, in milliseconds a run. */
export async function round() {
  const samples = [];
  for (const { run, times } of cases) samples.push((await elapsed(run, times)) / times);
  return samples;
}
