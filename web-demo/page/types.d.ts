// What the page's modules hand to each other.

import type { Build, Loaded } from '../shared/types';

export type { Answer, Asking, Build, Classified, ClassifiedFile, Energy, ExitReport, Manifest, Policy, PolicyRule, Progress, Wanted, Zipped } from '../shared/types';

/** What `config.json` says, its addresses whole. */
export interface Config {
    model: string;
    models: string[];
    cloud: string;
    gallery: string | null;
}

/** A pair that can be asked. */
export interface Pair extends Loaded {
    build: Build;
    report: Report | null;
}

/** Of `report.json`, what the page shows. */
export interface Report {
    accuracy: { system: number };
    share: { cloud: number };
    paper?: { edge_share: number; reduction: number };
}

/** A picture that the page brings along, with its button. */
export interface Sample {
    file: string;
    title: string;
    /** Its class, where that is known. */
    label?: string;
    address: string;
    badge: HTMLElement;
    button: HTMLButtonElement;
}

/** A picture as a card shows it. */
export interface Picture {
    name: string;
    bytes: number;
    thumbnail: ImageBitmap | null;
}

/** A visitor's file, and what its folder calls it. */
export interface FileAt {
    path: string;
    file: File;
}

/** A picture of a batch: a file, or the place of one in a zip. */
export interface Listed {
    path: string;
    file?: File;
    zipped?: number;
    sample?: Sample;
}

/** Pictures of a batch that come from one place. */
export interface Source {
    zip?: File;
    pictures: Listed[];
    /** What else lies beside the pictures, in words. */
    leftOut?: string;
}
