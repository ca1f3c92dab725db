// Formats numbers and names for the visitor.

/** @import { ExitReport, PolicyRule } from './types' */

const whole = new Intl.NumberFormat('en-GB');
const tenths = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/**
 * "0 bytes", "1,061 bytes": the exact number, for a single picture.
 *
 * @param {number} count
 */
export function exactBytes(count) {
  return `${whole.format(count)} ${count === 1 ? 'byte' : 'bytes'}`;
}

/**
 * "640 bytes", "2.1 KiB", "1.4 MiB": rounded, for totals.
 *
 * @param {number} count
 */
export function roughBytes(count) {
  if (count < 1024) return exactBytes(count);
  if (count < 1024 * 1024) return `${tenths.format(count / 1024)} KiB`;
  return `${tenths.format(count / 1024 / 1024)} MiB`;
}

/**
 * "93%". Rounds neither up to 100% nor down to 0%: those would claim certainty.
 *
 * @param {number} share
 */
export function percent(share) {
  const rounded = Math.round(share * 100);
  if (rounded === 100 && share < 1) return '>99%';
  if (rounded === 0 && share > 0) return '<1%';
  return `${rounded}%`;
}

/**
 * "56.6 M".
 *
 * @param {number} count
 */
export function millions(count) {
  return `${tenths.format(count / 1e6)} M`;
}

/**
 * "87 µJ", "1.5 mJ", from picojoules.
 *
 * @param {number} picojoules
 */
export function energyText(picojoules) {
  /** @type {[string, number][]} */
  const steps = [['µJ', 1e6], ['mJ', 1e9], ['J', 1e12]];
  const [unit, size] = steps.findLast(([, least]) => Math.abs(picojoules) >= least) ?? steps[0];
  const value = picojoules / size;
  return `${Math.abs(value) < 10 ? tenths.format(value) : whole.format(Math.round(value))} ${unit}`;
}

/**
 * "4.9 times".
 *
 * @param {number} factor
 */
export function times(factor) {
  return `${tenths.format(factor)} times`;
}

/**
 * "41 s", "3 min 20 s".
 *
 * @param {number} seconds
 */
export function duration(seconds) {
  const rounded = Math.ceil(seconds);
  return rounded < 60 ? `${rounded} s` : `${Math.floor(rounded / 60)} min ${rounded % 60} s`;
}

/**
 * "1.2 ms".
 *
 * @param {number} time
 */
export function milliseconds(time) {
  return `${time < 100 ? tenths.format(time) : whole.format(Math.round(time))} ms`;
}

/**
 * "Exit 1", from "exit-1".
 *
 * @param {string} name
 */
export function exitTitle(name) {
  const words = name.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/**
 * An exit's measure and threshold, in the terms of the policy that decided.
 *
 * @param {PolicyRule | null} policy
 * @param {Pick<ExitReport, 'certainty' | 'threshold'>} exit
 */
export function certainty(policy, exit) {
  if (exit.threshold === null) return 'decides between the hard classes';
  const measured = exit.certainty.toFixed(2);
  const threshold = exit.threshold.toFixed(2);
  if (!policy) return `certainty ${measured}, threshold ${threshold}`;
  return `${policy.title} ${measured}, ${sureFrom(policy)} ${threshold}`;
}

/**
 * "sure up to" or "sure from", depending on the policy.
 *
 * @param {PolicyRule} policy
 */
export function sureFrom({ sure }) {
  return sure === 'at_most' ? 'sure up to' : 'sure from';
}

/**
 * The largest possible value of a policy's measure.
 *
 * @param {PolicyRule} policy
 * @param {number} classes
 */
export function mostOf({ most }, classes) {
  return most === 'ln_classes' ? Math.log(classes) : 1;
}
