// What page and worker say to each other.

import type { Answer, Energy, Manifest, Policy, PolicyRule } from '../../edge-wasm/src/browser/types';

export type { Answer, Energy, ExitReport, Manifest, Policy, PolicyRule } from '../../edge-wasm/src/browser/types';

/** A build of the engine. */
export type Build = 'relaxed' | 'simd' | 'scalar';

/** How far a download is; the total where it is known. */
export interface Progress {
    file: string;
    loaded: number;
    total: number | null;
}

/** A pair that the engine has loaded. */
export interface Loaded {
    manifest: Manifest;
    energy: Energy;
    /** The table of policies. */
    policies: PolicyRule[];
    backend: string;
    /** Whether the model was kept from an earlier visit. */
    kept: boolean;
    /** Addresses of what the worker itself has fetched. */
    files: string[];
}

/** A picture to classify: a file, the place of one in the zip that is open, or a frame. */
export interface Wanted {
    file?: File;
    zipped?: number;
    frame?: ImageBitmap;
    /** Whether a small bitmap of it is to come back. */
    thumbnail?: boolean;
}

/** A frame that was classified. */
export interface Classified {
    result: Answer;
}

/** A picture that was classified, with its name, its file's size, and its thumbnail where one was wanted. */
export interface ClassifiedFile extends Classified {
    name: string;
    bytes: number;
    thumbnail: ImageBitmap | null;
}

/** A picture on its way to the cloud: what the exits have found, and the packed map, which is all of it that leaves. */
export interface Asking extends Omit<ClassifiedFile, 'result'> {
    guess: Answer;
    map: Uint8Array;
}

/** A picture in a zip. */
export interface Zipped {
    path: string;
    zipped: number;
}

/** What the page may ask: by task, what it gives and what comes back. */
export interface Tasks {
    load: { given: { build: Build; manifest: string }; answer: Loaded };
    classify: { given: Wanted; answer: Classified | ClassifiedFile };
    decideBy: { given: { policy: Policy; thresholds: number[] }; answer: void };
    /** No address is no cloud; `slow` is a delay in milliseconds. */
    setCloud: { given: { cloud?: string; token?: string; slow: number }; answer: void };
    listZip: { given: { file: File }; answer: { pictures: Zipped[]; leftOut: string } };
    cancel: { given: { call: number }; answer: void };
}

/** A message to the worker; 0 calls for no reply. */
export type Call = { [T in keyof Tasks]: { call: number; task: T; given: Tasks[T]['given'] } }[keyof Tasks];

/** A message back: a step on the way, of a download or of a picture, and then one of the others. */
export interface Reply {
    call: number;
    step?: Progress | Asking;
    answer?: Tasks[keyof Tasks]['answer'];
    error?: { code: string; message: string };
}
