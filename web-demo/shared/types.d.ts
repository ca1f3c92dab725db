// The messages between page and worker.

import type { Answer, Energy, Manifest, Policy, PolicyRule } from '../../edge-wasm/src/browser/types';

export type { Answer, Energy, ExitReport, Manifest, Policy, PolicyRule } from '../../edge-wasm/src/browser/types';

/** A build of the engine, by the SIMD it uses. */
export type Build = 'relaxed' | 'simd' | 'scalar';

/** Progress of a download in bytes, with the total if known. */
export interface Progress {
    file: string;
    loaded: number;
    total: number | null;
}

/** A pair loaded in the engine. */
export interface Loaded {
    manifest: Manifest;
    energy: Energy;
    /** The table of policies. */
    policies: PolicyRule[];
    backend: string;
    /** Whether the model was cached from an earlier visit. */
    kept: boolean;
    /** URLs of the files that the worker downloaded. */
    files: string[];
}

/** A picture to classify: a file, its index in the open zip, or a frame. */
export interface Wanted {
    file?: File;
    zipped?: number;
    frame?: ImageBitmap;
    /** Whether to return a thumbnail. */
    thumbnail?: boolean;
}

/** The result of a frame. */
export interface Classified {
    result: Answer;
}

/** The result of a picture, with its name, its file's size in bytes and, if wanted, its thumbnail. */
export interface ClassifiedFile extends Classified {
    name: string;
    bytes: number;
    thumbnail: ImageBitmap | null;
}

/** A picture that waits for the cloud: the exits' results, and the packed map, which is all that is sent. */
export interface Asking extends Omit<ClassifiedFile, 'result'> {
    guess: Answer;
    map: Uint8Array;
}

/** A picture in a zip: its path and index. */
export interface Zipped {
    path: string;
    zipped: number;
}

/** The worker's tasks, each with its input and its answer. */
export interface Tasks {
    load: { given: { build: Build; manifest: string }; answer: Loaded };
    classify: { given: Wanted; answer: Classified | ClassifiedFile };
    decideBy: { given: { policy: Policy; thresholds: number[] }; answer: void };
    /** Without a URL there is no cloud; `slow` is a delay in milliseconds. */
    setCloud: { given: { cloud?: string; token?: string; slow: number }; answer: void };
    listZip: { given: { file: File }; answer: { pictures: Zipped[]; leftOut: string } };
    cancel: { given: { call: number }; answer: void };
}

/** A message to the worker; id 0 expects no reply. */
export type Call = { [T in keyof Tasks]: { call: number; task: T; given: Tasks[T]['given'] } }[keyof Tasks];

/** A message from the worker: any number of progress steps, then the answer or an error. */
export interface Reply {
    call: number;
    step?: Progress | Asking;
    answer?: Tasks[keyof Tasks]['answer'];
    error?: { code: string; message: string };
}
