/** How an exit's certainty is measured: entropy in nats, largest probability, its lead over the second, or the exit's own prediction. */
export type Policy = "entropy" | "max_probability" | "margin" | "appeal";

/** A row of `Fogline.policies`: on which side of the threshold an exit is sure, the measure's largest value, and whether exits must score their own answer. */
export interface PolicyRule {
    name: Policy;
    /** What the policy measures, in words. */
    title: string;
    sure: "at_most" | "at_least";
    most: "one" | "ln_classes";
    own_score: boolean;
}

export interface OpenOptions {
    /** The function's base URL; frames are posted to `cloud + "/infer"`. Without it, the best exit answers. */
    cloud?: string;
    /** Sent to the function as `Authorization: Bearer`, for functions that need authentication. */
    token?: string;
    /** Replaces the manifest's policy. */
    policy?: Policy;
}

export interface LoadOptions extends OpenOptions {
    /** Called while a file is fetched. `total` is known for the model, but not for its manifest. */
    onProgress?: (progress: { file: string; loaded: number; total: number | null }) => void;
}

export interface ClassifyOptions {
    /** The size of RGBA bytes, by default the model's input size. */
    width?: number;
    height?: number;
    /** Aborts the request to the cloud; `classify` then rejects with the code `cancelled`. */
    signal?: AbortSignal;
    /** Called before the cloud is asked, with the best exit's answer and the packed map, which is all that leaves the device. */
    onAsking?: (guess: Answer, map: Uint8Array) => void;
}

/** The answer of one exit. */
export interface ExitReport {
    name: string;
    label: string;
    index: number;
    confidence: number;
    /** One probability per class. */
    scores: number[];
    /** The policy's measure of certainty. */
    certainty: number;
    /** The threshold that `certainty` was compared with; `null` for an extension, which decides nothing. */
    threshold: number | null;
    sure: boolean;
}

export interface Answer {
    label: string;
    index: number;
    confidence: number;
    scores: number[];
    /** `exit-1`, `exit-2`, …, `extension` or `cloud`. */
    origin: string;
    /** Set if the cloud should have answered but did not: an error code and a sentence. */
    degraded: { reason: string; message: string } | null;
    /** The exits that the picture reached, in order. */
    exits: ExitReport[];
    /** `functionMs` is the part of `cloudMs` that the function reports as its own; the rest is the network's. */
    timings: { edgeMs: number; cloudMs: number; functionMs: number | null; totalMs: number };
    /**
     * Bytes of request bodies sent, over all tries. A failed try counts as sent unless the browser was offline, because
     * a browser does not tell if there was a connection.
     */
    bytesSent: number;
    /** The way that the picture took on the edge, if there are several. */
    way?: number;
}

export interface Terms {
    computation: number;
    memory: number;
}

/** Picojoules per sample, by its way and by where it is answered. `radio` is picojoules per byte sent. */
export interface Energy {
    ways: { exits: Terms[]; cloud: Terms }[];
    twin: Terms;
    radio: number;
}

/** The fields of `manifest.json` that a page is likely to need. */
export interface Manifest {
    name: string;
    version: string;
    classes: string[];
    input: { size: number; mean: number[]; std: number[] };
    exits: { name: string; after_block: number; temperature: number; thresholds: Partial<Record<Policy, number>>; extends?: string[]; ways?: { from: number; way: number }[] }[];
    policy: Policy;
    split: { shape: [number, number, number]; bits: number; scale: number };
    parts: { name: string; role: "trunk" | "head" | "cloud"; way?: number; macs: Record<string, number> }[];
    files: Record<string, { sha256: string; bytes: number }>;
    /** How many 1-bit weights share each stored value. */
    share?: number;
    /** The path, relative to the manifest, of the index of the pair's samples: a list of `{file, title, label}`. */
    samples?: string;
    /** Accuracy and exit shares by thresholds, on held-out pictures. */
    curves?: Partial<Record<Policy, { thresholds: number[]; shares: number[]; accuracy: number }[]>>;
    measured?: { data: string; samples: number; exits: number[]; final: number };
}

/** Every error that Fogline throws has a stable error code. */
export interface FoglineError extends Error {
    code: string;
}
