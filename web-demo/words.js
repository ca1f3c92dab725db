// Numbers and names as a visitor reads them.

const whole = new Intl.NumberFormat('en-GB');
const tenths = new Intl.NumberFormat('en-GB', { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** "0 bytes", "1,061 bytes": exact, for a single sample. */
export function exactBytes(count) {
  return `${whole.format(count)} ${count === 1 ? 'byte' : 'bytes'}`;
}

/** "640 bytes", "2.1 KiB", "1.4 MiB": for sums. */
export function roughBytes(count) {
  if (count < 1024) return exactBytes(count);
  if (count < 1024 * 1024) return `${tenths.format(count / 1024)} KiB`;
  return `${tenths.format(count / 1024 / 1024)} MiB`;
}

/** "93%". Never "100%" for anything less: no network is that sure. */
export function percent(share) {
  const rounded = Math.round(share * 100);
  if (rounded === 100 && share < 1) return '>99%';
  if (rounded === 0 && share > 0) return '<1%';
  return `${rounded}%`;
}

/** "1.2 ms". */
export function milliseconds(time) {
  return `${time < 100 ? tenths.format(time) : whole.format(Math.round(time))} ms`;
}

/** "Exit 1" of "exit-1". */
export function exitTitle(name) {
  const words = name.replaceAll('-', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** An exit's measure beside its threshold, in the terms of the policy that decided. */
export function certainty(policy, exit) {
  const measured = exit.certainty.toFixed(2);
  const threshold = exit.threshold.toFixed(2);
  switch (policy) {
    case 'entropy':
      return `entropy ${measured}, sure at ${threshold} or less`;
    case 'max_probability':
      return `probability ${measured}, sure at ${threshold} or more`;
    case 'margin':
      return `margin ${measured}, sure at ${threshold} or more`;
    default:
      return `certainty ${measured}, threshold ${threshold}`;
  }
}

/** An error with a machine word, as the engine throws them. */
export function codedError(code, message, cause) {
  return Object.assign(new Error(message, { cause }), { code });
}

/** The machine word of whatever was thrown; a fault without one is ours. */
export function errorCode(error) {
  return typeof error?.code === 'string' ? error.code : 'internal';
}

/** The sentence of whatever was thrown. */
export function errorText(error) {
  return error?.message || String(error);
}
