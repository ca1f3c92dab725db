// Errors like those of the engine: an error code and a message.

/**
 * Creates an error with an error code, like those of the engine.
 *
 * @param {string} code
 * @param {string} message
 * @param {unknown} [cause]
 */
export function codedError(code, message, cause) {
  return Object.assign(new Error(message, { cause }), { code });
}

/**
 * The error code of whatever was thrown; without one, it is a bug in the page.
 *
 * @param {any} error
 * @returns {string}
 */
export function errorCode(error) {
  return typeof error?.code === 'string' ? error.code : 'internal';
}

/**
 * The message of whatever was thrown.
 *
 * @param {any} error
 * @returns {string}
 */
export function errorText(error) {
  return error?.message || String(error);
}
