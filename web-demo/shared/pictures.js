// Which files of a folder or zip are pictures. The gateway, eval and the recipe follow the same rule, see docs/pictures.md.

const PICTURE = /\.(jpe?g|png|webp)$/i;

/**
 * The pictures among files, by their paths, and a description of the rest: "Left out: 2 .gif, 1 .heic, 3 hidden."
 *
 * @template {{ path: string }} T
 * @param {T[]} files
 * @returns {{ pictures: T[], leftOut: string }}
 */
export function pickPictures(files) {
  /** @type {T[]} */
  const pictures = [];
  /** @type {Map<string, number>} */
  const others = new Map();
  /** @type {Set<string>} */
  const hidden = new Set(); // a hidden folder counts once, whatever it contains
  for (const file of files) {
    const names = file.path.split('/');
    const last = names.length - 1;
    // Files of other programs: .DS_Store, ._cat.jpg, .git, __MACOSX.
    const at = names.findIndex((name, place) => name.startsWith('.') || (place < last && name.startsWith('__')));
    if (at >= 0) {
      hidden.add(names.slice(0, at + 1).join('/'));
    } else if (PICTURE.test(names[last])) {
      pictures.push(file);
    } else if (names[last]) { // a zip lists its folders too
      const ending = /.(\.[^.]+)$/.exec(names[last])?.[1].toLowerCase() ?? 'without an ending';
      others.set(ending, (others.get(ending) ?? 0) + 1);
    }
  }
  const counts = [...others].sort().map(([ending, count]) => `${count} ${ending}`);
  if (hidden.size > 0) counts.push(`${hidden.size} hidden`);
  return { pictures, leftOut: counts.length > 0 ? `Left out: ${counts.join(', ')}.` : '' };
}
