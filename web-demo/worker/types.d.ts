// The engine as `edge-wasm/pkg` brings it, in so far as the worker calls it: without the package, the page still checks.

import type { Answer, ClassifyOptions, Energy, Manifest, Policy, PolicyRule } from '../../edge-wasm/src/browser/types';

/** A pair in the engine. */
export interface Fogline {
    readonly manifest: Manifest;
    readonly energy: Energy;
    readonly backend: string;
    classify(picture: ImageData, options: ClassifyOptions): Promise<Answer>;
    decideBy(policy: Policy, thresholds?: Float32Array | number[]): void;
    setCloud(url?: string, token?: string): void;
    free(): void;
}

/** Its class. */
export interface Engine {
    readonly policies: PolicyRule[];
    open(manifest: Uint8Array, fog: Uint8Array): Fogline;
}
