// Types shared by the page's modules.

import type { Build, Loaded } from '../shared/types';

export type { Answer, Asking, Build, Classified, ClassifiedFile, Energy, ExitReport, Manifest, Policy, PolicyRule, Progress, Wanted, Zipped } from '../shared/types';

/** The content of `config.json`, with absolute URLs. */
export interface Config {
    model: string;
    models: string[];
    cloud: string;
    gallery: string | null;
}

/** A loaded pair. */
export interface Pair extends Loaded {
    build: Build;
    report: Report | null;
}

/** The parts of `report.json` that the page shows. */
export interface Report {
    accuracy: { system: number };
    share: { cloud: number };
    paper?: { edge_share: number; reduction: number };
}

/** One of the page's own pictures, with its button. */
export interface Sample {
    file: string;
    title: string;
    /** Its class, if known. */
    label?: string;
    address: string;
    badge: HTMLElement;
    button: HTMLButtonElement;
}

/** A picture for display on a card. */
export interface Picture {
    name: string;
    bytes: number;
    thumbnail: ImageBitmap | null;
}

/** A visitor's file and its path, including folders. */
export interface FileAt {
    path: string;
    file: File;
}

/** A picture of a batch: a file, or its index in a zip. */
export interface Listed {
    path: string;
    file?: File;
    zipped?: number;
    sample?: Sample;
}

/** Pictures of a batch from one source. */
export interface Source {
    zip?: File;
    pictures: Listed[];
    /** Describes the files that were skipped. */
    leftOut?: string;
}
