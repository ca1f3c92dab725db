// The parts of `edge-wasm/pkg` that the worker calls, so that the types can be checked without building the package.

import type { Answer, ClassifyOptions, Energy, Manifest, Policy, PolicyRule } from '../../edge-wasm/src/browser/types';

/** A pair loaded in the engine. */
export interface Fogline {
    readonly manifest: Manifest;
    readonly energy: Energy;
    readonly backend: string;
    classify(picture: ImageData, options: ClassifyOptions): Promise<Answer>;
    decideBy(policy: Policy, thresholds?: Float32Array | number[]): void;
    setCloud(url?: string, token?: string): void;
    free(): void;
}

/** The class of loaded pairs. */
export interface Engine {
    readonly policies: PolicyRule[];
    open(manifest: Uint8Array, fog: Uint8Array): Fogline;
}
