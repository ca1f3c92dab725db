// Errors as the engine throws them: a machine word beside the sentence.

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
