// Builds elements. All text goes in as text, so that no file name and no answer of a server can
// become markup.

/** An element with attributes (`null` and `false` leave one out, `true` sets an empty one). */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? '' : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
