// Finds and creates elements. Text is never parsed as HTML, so that no file name or server response can inject markup.

/** @typedef {string | number | boolean | null | undefined} Attribute */

/**
 * The page's element with this id and kind.
 *
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 */
function find(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`index.html has no ${kind.name} called ${id}`);
  return found;
}

export const part = (/** @type {string} */ id) => find(id, HTMLElement);
export const button = (/** @type {string} */ id) => find(id, HTMLButtonElement);
export const form = (/** @type {string} */ id) => find(id, HTMLFormElement);
export const input = (/** @type {string} */ id) => find(id, HTMLInputElement);
export const output = (/** @type {string} */ id) => find(id, HTMLOutputElement);
export const progress = (/** @type {string} */ id) => find(id, HTMLProgressElement);
export const select = (/** @type {string} */ id) => find(id, HTMLSelectElement);
export const video = (/** @type {string} */ id) => find(id, HTMLVideoElement);

/**
 * Creates an element. Attributes that are `null` or `false` are omitted; `true` sets an empty one.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, Attribute>} attributes
 * @param {(Node | string | null | undefined)[]} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
