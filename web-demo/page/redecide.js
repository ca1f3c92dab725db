// Applies other thresholds to a finished run: which exit would have answered, as far as each picture went.

/** @import { Answer, ExitReport, Manifest, Policy, PolicyRule } from './types' */

/**
 * How a picture ended: where, after how many exits, with which class and confidence, by which way, with how many bytes sent.
 *
 * @typedef {{ origin: string, met: number, index: number, confidence: number, way: number, bytesSent: number, degraded: string | null }} Ending
 */

/**
 * What is kept of an answer: class and measures at each exit it reached, its way, and how it ended after the exits.
 *
 * @typedef {{
 *   exits: { index: number, confidence: number, measures: Partial<Record<Policy, number>> }[],
 *   way: number,
 *   beyond: Ending | null,
 * }} Found
 */

/**
 * Keeps the parts of an answer that other thresholds need.
 *
 * @type {(answer: Answer, policy: PolicyRule | null) => Found}
 */
export function foundOf({ exits, way = 0, origin, degraded, index, confidence, bytesSent }, policy) {
  const beyond = origin === 'cloud' || degraded;
  return {
    exits: exits.map((exit) => ({ index: exit.index, confidence: exit.confidence, measures: measuresOf(exit, policy) })),
    way,
    beyond: beyond ? { origin, met: exits.length, index, confidence, way, bytesSent, degraded: degraded?.reason ?? null } : null,
  };
}

/**
 * An exit's measure under each policy that depends only on its scores, and under the policy that decided, whose measure may
 * depend on more than the scores.
 *
 * @type {(exit: ExitReport, policy: PolicyRule | null) => Partial<Record<Policy, number>>}
 */
function measuresOf({ scores, certainty }, policy) {
  const [first, second] = scores.toSorted((a, b) => b - a);
  const entropy = scores.reduce((sum, share) => (share > 0 ? sum - share * Math.log(share) : sum), 0);
  return { entropy, max_probability: first, margin: first - second, ...policy && { [policy.name]: certainty } };
}

/**
 * The ending under these thresholds. If the picture would go further than it did, the ending is unknown: `cloud` if it
 * would go there, `further` if a later exit may still answer.
 *
 * @type {(found: Found, policy: PolicyRule, thresholds: number[], manifest: Manifest) => Ending | 'cloud' | 'further'}
 */
export function redecide({ exits, way, beyond }, policy, thresholds, manifest) {
  /** @type {(at: number, by: number) => Ending} */
  const endingAt = (at, by) => ({ ...exits[at], origin: manifest.exits[at].name, met: at + 1, way: by, bytesSent: 0, degraded: null });
  for (const [at, threshold] of thresholds.entries()) {
    const measured = exits[at]?.measures[policy.name];
    if (measured === undefined) return 'further';
    if (!isSure(policy, measured, threshold)) continue;
    const extension = manifest.exits[thresholds.length];
    if (!extension?.extends?.includes(manifest.classes[exits[at].index])) {
      // All pictures take the same way up to the exit that chooses one.
      const chosen = manifest.exits.slice(0, at).some(({ ways }) => ways?.length);
      return endingAt(at, chosen ? way : 0);
    }
    return exits.length > thresholds.length ? endingAt(thresholds.length, way) : 'further';
  }
  return beyond ?? 'cloud';
}

/**
 * Decides like the engine, which uses 32-bit floats.
 *
 * @type {(policy: PolicyRule, measured: number, threshold: number) => boolean}
 */
function isSure({ sure }, measured, threshold) {
  const [is, line] = [Math.fround(measured), Math.fround(threshold)];
  return sure === 'at_most' ? is <= line : is >= line;
}
