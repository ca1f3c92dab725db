// Describes a pair in a few sentences, from its manifest alone.

/** @import { Manifest } from './types' */

const FEW = 12; // the most classes that a sentence lists

/**
 * Describes the classes a pair knows and how its exits and layers work.
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
    share ? `Hashing lets every ${share} of the 1-bit weights share one stored value.` : null,
    policy === 'appeal' ? 'Each exit learned to predict whether its answer is right.' : null,
    ways.size > 0 ? `If the first exit is not sure, the picture takes one of ${ways.size} ways: the less sure, the more bits.` : null,
    extension ? `If an exit is sure of ${listed(extension.extends ?? [], 'or')}, which are easily confused, an extension decides between them.` : null,
  ].filter(Boolean).join(' ');
}

/** @param {(string | number)[]} all */
function listed(all, last = 'and') {
  return all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} ${last} ${all.at(-1)}`;
}
