// Errors as the engine throws them: a machine word beside the sentence.

/**
 * An error with a machine word, as the engine throws them.
 *
 * @param {string} code
 * @param {string} message
 * @param {unknown} [cause]
 */
export function codedError(code, message, cause) {
  return Object.assign(new Error(message, { cause }), { code });
}

/**
 * The machine word of whatever was thrown; a fault without one is ours.
 *
 * @param {any} error
 * @returns {string}
 */
export function errorCode(error) {
  return typeof error?.code === 'string' ? error.code : 'internal';
}

/**
 * The sentence of whatever was thrown.
 *
 * @param {any} error
 * @returns {string}
 */
export function errorText(error) {
  return error?.message || String(error);
}
