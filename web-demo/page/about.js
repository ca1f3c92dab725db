// What a pair is, in a sentence or two, by its manifest alone.

/** @import { Manifest } from './types' */

const FEW = 12; // classes that a sentence can name

/**
 * What a pair knows, and how it goes about it.
 *
 * @param {Manifest} manifest
 */
export function aboutPair({ classes, parts, exits, policy, share }) {
  const known = classes.length <= FEW ? listed(classes) : `${classes.slice(0, 4).join(', ')} and ${classes.length - 4} more`;
  const bits = [...new Set(parts.filter(({ role }) => role === 'trunk').flatMap(({ macs }) => Object.keys(macs).map(Number)))].sort((a, b) => a - b);
  const extension = exits.find((exit) => exit.extends);
  const ways = new Set(exits.flatMap((exit) => exit.ways ?? []).map(({ way }) => way));
  return [
    `Knows ${classes.length} classes: ${known}. Its layers on this device have weights of ${listed(bits)} bits.`,
    share ? `Of the 1-bit ones, every ${share} share a stored value, picked by hashing.` : null,
    policy === 'appeal' ? 'Each exit predicts by itself whether its answer will hold.' : null,
    ways.size > 0 ? `A picture that the first exit is not sure of goes on by one of ${ways.size} ways: the less sure, the more bits.` : null,
    extension ? `When an exit is sure of ${listed(extension.extends ?? [], 'or')}, which are easily confused, an extension has the last word.` : null,
  ].filter(Boolean).join(' ');
}

/** @param {(string | number)[]} all */
function listed(all, last = 'and') {
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} ${last} ${all.at(-1)}`;
}
