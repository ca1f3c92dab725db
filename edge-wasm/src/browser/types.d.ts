/** How sure an exit must be: by entropy in nats, by the largest probability, by its lead, or by the exit's own prediction. */
export type Policy = "entropy" | "max_probability" | "margin" | "appeal";

/** A row of `Fogline.policies`: where a measure is sure, how far it goes from 0, whether exits must score their own answer. */
export interface PolicyRule {
    name: Policy;
    /** What it measures, in words. */
    title: string;
    sure: "at_most" | "at_least";
    most: "one" | "ln_classes";
    own_score: boolean;
}

export interface OpenOptions {
    /** The function's base URL; frames are posted to `cloud + "/infer"`. Without one the best exit answers. */
    cloud?: string;
    /** Shown to the function as `Authorization: Bearer`, where it asks for one. */
    token?: string;
    /** Instead of the manifest's. */
    policy?: Policy;
}

export interface LoadOptions extends OpenOptions {
    /** Called while a file arrives; `total` is known of the model, not of its manifest. */
    onProgress?: (progress: { file: string; loaded: number; total: number | null }) => void;
}

export interface ClassifyOptions {
    /** Of RGBA bytes; by default the model's input size. */
    width?: number;
    height?: number;
    /** Aborts the question to the cloud; `classify` then rejects with the code `cancelled`. */
    signal?: AbortSignal;
    /** Called before the cloud is asked, with the best exit's answer and the packed map: all of the picture that leaves. */
    onAsking?: (guess: Answer, map: Uint8Array) => void;
}

/** What one exit said. */
export interface ExitReport {
    name: string;
    label: string;
    index: number;
    confidence: number;
    /** Probabilities, one a class. */
    scores: number[];
    /** The policy's measure, and what it was compared with. */
    certainty: number;
    /** None of an extension, which decides nothing. */
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
    /** Set where the cloud should have answered and did not. */
    degraded: { reason: string; message: string } | null;
    /** The exits that were met, in their order. */
    exits: ExitReport[];
    /** Of `cloudMs` the function itself took `functionMs`, where it says so; the others were spent on the wire. */
    timings: { edgeMs: number; cloudMs: number; functionMs: number | null; totalMs: number };
    /**
     * Bytes of the question that went out, all tries together. What a browser cannot tell counts as sent: a try that
     * failed while it was online, with a connection or without one.
     */
    bytesSent: number;
    /** The way that it went on the edge, where there are several. */
    way?: number;
}

export interface Terms {
    computation: number;
    memory: number;
}

/** Picojoules a sample, by the way that it goes and where it ends; `radio` is picojoules a byte sent. */
export interface Energy {
    ways: { exits: Terms[]; cloud: Terms }[];
    twin: Terms;
    radio: number;
}

/** The fields of `manifest.json` that a page is likely to show. */
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
    /** The index of the pair's own samples, beside the manifest: a list of `{file, title, label}`. */
    samples?: string;
    /** What thresholds would lead to, on held-out pictures. */
    curves?: Partial<Record<Policy, { thresholds: number[]; shares: number[]; accuracy: number }[]>>;
    measured?: { data: string; samples: number; exits: number[]; final: number };
}

/** Every error that Fogline throws has a machine word. */
export interface FoglineError extends Error {
    code: string;
}
