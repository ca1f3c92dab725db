"""Looks a folder of pictures over before anything is trained on it, and lays out what can be used as training and test pictures.

A folder is ``DIR/train/CLASS`` and ``DIR/test/CLASS``, or ``DIR/CLASS`` without a split. What is laid out are links: no picture is
copied, and none is changed.
"""

import hashlib
import math
import shutil
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from . import data, header
from .data import DataError

TEST_SHARE = 0.2  # of a folder without a split
LEAST = 8  # training pictures of a class; fewer teach nothing
FEW = 50  # training pictures of a class; fewer are worth a word
THUMB = 32
# Levels between the thumbnails of a picture and of its copy: of the mean of a channel, and the largest of any pixel. Another object before the
# same background differs by more at some pixel.
ALIKE, MOST_ALIKE = 2.0, 18
SHOWN = 5  # files named in a finding


@dataclass(frozen=True)
class Seen:
    """One picture: its file, and the class folder that it is in; train or test; its digest, sides in pixels, and thumbnail (3 * 32 * 32)."""

    path: Path
    folder: Path
    part: str
    label: int
    digest: str
    sides: tuple[int, int]
    thumb: np.ndarray


@dataclass
class Look:
    """Class names, pictures by part and class, and what was found, in sentences."""

    root: Path
    names: list[str]
    folders: list[str]
    counts: dict[str, list[int]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    pictures: list[Seen] = field(default_factory=list)

    def to_dict(self) -> dict:
        return {"classes": self.names, "pictures": self.counts, "notes": self.notes}

    def __str__(self) -> str:
        width = max(map(len, [*self.names, "class"]))
        lines = [f"{self.root}: {len(self.names)} classes", f"  {'class':<{width}}  training  test"]
        lines += [f"  {name:<{width}}  {training:>8}  {test:>4}"
                  for name, training, test in zip(self.names, self.counts["train"], self.counts["test"], strict=True)]
        lines.append(f"  {'all':<{width}}  {sum(self.counts['train']):>8}  {sum(self.counts['test']):>4}")
        return "\n".join(lines + [f"- {each}" for each in self.notes])


def look(root: Path, size: int) -> Look:
    """What is in ``root``, for pictures of ``size``. Raises DataError if no network can be trained on it."""
    if not root.is_dir():
        raise DataError(f"{root} does not exist or is not a folder")
    bases = parts_of(root)
    folders = class_folders(next(iter(bases.values())))
    if "test" in bases and (other := named_folders(bases["test"])) != folders:
        for here, there, lacking in (("test", "train", set(folders) - set(other)), ("train", "test", set(other) - set(folders))):
            if lacking:
                raise DataError(f"{root / here} lacks the class folders {', '.join(sorted(lacking))}, which {there} has")
    found = Look(root, data.class_names(root, folders), folders)
    if unused := unused_in(root, bases):
        found.notes.append(f"not used, {count(unused, 'entry', 'entries')} of {root}: {', '.join(unused[:SHOWN])}")
    left_out, files = Counter(), []
    for part, base in bases.items():
        for label, folder in enumerate(folders):
            of_class = list(data.pictures_below(base / folder, left_out))
            if not of_class:
                raise DataError(f"{base / folder}: this class folder has no .jpg, .jpeg, .png or .webp"
                                + (f" ({data.said(left_out)}): convert them to JPEG" if left_out else ""))
            files += [(path, base / folder, part, label) for path in of_class]
    if left_out:
        found.notes.append(data.said(left_out))
    pictures = decoded(files, found)
    pictures = without_copies(pictures, found)
    if "test" not in bases:
        pictures = split(pictures, len(folders))
        found.notes.append(f"no folder test: {sum(p.part == 'test' for p in pictures)} pictures were set aside for it, chosen by their "
                           "content, so that they stay the same when others are added")
    found.pictures = sorted(pictures, key=lambda picture: (picture.part, picture.label, picture.path))
    for part in ("train", "test"):
        of_part = Counter(picture.label for picture in pictures if picture.part == part)
        found.counts[part] = [of_part[label] for label in range(len(folders))]
    judge(found, size)
    return found


def parts_of(root: Path) -> dict[str, Path]:
    """The folders of training and test pictures, or the only folder of both."""
    for entry in root.iterdir():
        if entry.is_dir() and entry.name.lower() in ("train", "test") and entry.name != entry.name.lower():
            raise DataError(f"{entry}: rename it to {entry.name.lower()} if it holds that part of the pictures; no class may have this name")
    bases = {part: root / part for part in ("train", "test") if (root / part).is_dir()}
    if "test" in bases and "train" not in bases:
        raise DataError(f"{root} has a folder test, but no folder train beside it; no class may have either name")
    return bases or {"": root}


def unused_in(root: Path, bases: dict[str, Path]) -> list[str]:
    """What lies in ``root`` and is neither a part nor a class, nor hidden."""
    folders = [entry.name for entry in root.iterdir() if entry.is_dir()]
    used = {*bases, "classes.txt"} if "train" in bases else {*folders, "classes.txt"}
    return sorted(entry.name for entry in root.iterdir() if entry.name not in used and not data.is_hidden(entry.name, entry.is_dir()))


def named_folders(base: Path) -> list[str]:
    """The names of the folders in ``base``; a name that cannot be printed is refused."""
    folders = sorted(path.name for path in base.iterdir() if path.is_dir() and not data.is_hidden(path.name, is_folder=True))
    for name in folders:
        if not name.isprintable() or name != name.strip():
            raise DataError(f"{str(base)!r}: rename the class folder {name!r}: a name needs printable characters and no spaces at its ends")
    for one, other in pairwise(sorted(folders, key=str.casefold)):
        if one.casefold() == other.casefold():
            raise DataError(f"{base}: the class folders {one} and {other} differ in case only; rename or merge them")
    return folders


def class_folders(base: Path) -> list[str]:
    """The names of the folders in ``base``, two at least, one a class."""
    folders = named_folders(base)
    if len(folders) < 2:
        what = "no class folders" if not folders else f"one class folder, {folders[0]}"
        raise DataError(f"{base} has {what}; put the pictures of each class into a folder of its own, two classes at least: "
                        f"{base}/cat/1.jpg, {base}/dog/1.jpg")
    return folders


def decoded(files: list[tuple[Path, Path, str, int]], found: Look) -> list[Seen]:
    """The readable ones of these pictures; the others are named in ``found``."""
    pictures, unreadable = [], []
    for each in data.on_every_core(seen_or_why, files, "looking at pictures"):
        if isinstance(each, str):
            unreadable.append(each)
        else:
            pictures.append(each)
    if unreadable:
        found.notes.append(f"left out, {count(unreadable, 'file')} that cannot be read:{listed(unreadable)}")
    return pictures


def seen_or_why(file: tuple[Path, Path, str, int]) -> Seen | str:
    """The picture, or its name and why it cannot be read."""
    path, folder, part, label = file
    try:
        raw = data.file_of(path)
        pixels = data.decoded(raw, THUMB)
        said = header.read(raw)
    except (OSError, header.PictureError) as error:
        return f"{path}: {error.strerror if isinstance(error, OSError) else error}"
    return Seen(path, folder, part, label, hashlib.sha256(raw).hexdigest(), (said.width, said.height), pixels.reshape(-1))


def without_copies(pictures: list[Seen], found: Look) -> list[Seen]:
    """One of each picture. In two classes, none of its copies can be trusted; in both parts, the one in test goes."""
    groups = [group for group in copies(pictures) if len(group) > 1]
    leave, same, between, leaked = set(), [], [], []
    for group in groups:
        group = sorted(group, key=lambda i: (pictures[i].part == "test", -math.prod(pictures[i].sides), pictures[i].path))
        first, *others = group
        if len({pictures[i].label for i in group}) > 1:
            leave |= set(group)
            one_each = {pictures[i].label: str(pictures[i].path) for i in reversed(group)}
            between.append(" and ".join(sorted(one_each.values())) + (f" ({len(group)} files)" if len(group) > len(one_each) else ""))
            continue
        leave |= set(others)
        for i in others:
            (same if pictures[i].part == pictures[first].part else leaked).append(f"{pictures[i].path} of {pictures[first].path}")
    if same:
        found.notes.append(f"left out, {count(same, 'copy', 'copies')} in the same class:{listed(same)}")
    if leaked:
        found.notes.append(f"left out of test, {count(leaked, 'copy', 'copies')} of training pictures:{listed(leaked)}")
    if between:
        found.notes.append(f"left out, {count(between, 'picture')} in two classes; delete the wrong one:{listed(between)}")
    return [picture for i, picture in enumerate(pictures) if i not in leave]


def copies(pictures: list[Seen]) -> list[list[int]]:
    """Groups of pictures with the same bytes as the first of them, or that look like it.

    Likeness does not carry over from one copy to the next: a slow camera's pictures would all be one.
    """
    by_digest, groups = {}, {}
    for i, picture in enumerate(pictures):
        groups.setdefault(by_digest.setdefault(picture.digest, i), []).append(i)
    firsts = np.array(sorted(groups), dtype=int)
    if len(firsts) == 0:
        return []
    thumbs = np.stack([pictures[i].thumb for i in firsts])
    colours = thumbs.reshape(len(firsts), 3, -1).mean(2)
    # Copies are as bright as one another: compare each thumbnail with those just above it in order of brightness.
    order = np.argsort(colours[:, 0], kind="stable")
    reds, taken = colours[order, 0], np.zeros(len(firsts), dtype=bool)
    for place, i in enumerate(order):
        near = order[place + 1:np.searchsorted(reds, reds[place] + ALIKE, side="right")]
        near = near[~taken[near] & (np.abs(colours[near] - colours[i]) < ALIKE).all(1)]
        if taken[i] or len(near) == 0:
            continue
        for j in near[np.abs(thumbs[near].astype(np.int16) - thumbs[i]).max(1) <= MOST_ALIKE]:
            taken[j] = True
            groups[firsts[i]] += groups.pop(firsts[j])
    return list(groups.values())


def split(pictures: list[Seen], classes: int) -> list[Seen]:
    """Training and test parts by each picture's content: a picture stays in its part when others are added."""
    parts = []
    for label in range(classes):
        of_class = sorted((p for p in pictures if p.label == label), key=lambda picture: picture.digest)
        tests = sum(int(picture.digest[:8], 16) < TEST_SHARE * 2**32 for picture in of_class)
        # Digests ascend: the first ones are below the limit. Of a few pictures, luck must not take all or none.
        tests = min(max(tests, len(of_class) // LEAST, 1), len(of_class) // 3)
        parts += [replace(picture, part="test" if i < tests else "train") for i, picture in enumerate(of_class)]
    return parts


def judge(found: Look, size: int) -> None:
    """Adds what an owner should know to ``found``; raises DataError if a class has too few pictures."""
    for part, least in (("train", LEAST), ("test", 1)):
        if lacking := [f"{name} has {n}" for name, n in zip(found.names, found.counts[part], strict=True) if n < least]:
            what = f"{least} usable training pictures" if part == "train" else "one usable test picture"
            raise DataError("\n- ".join([f"{found.root}: every class needs at least {what}, but {', '.join(lacking)}", *found.notes]))
    training = found.counts["train"]
    if few := [f"{name} ({n})" for name, n in zip(found.names, training, strict=True) if n < FEW]:
        found.notes.append(f"few training pictures: {', '.join(few)}; a few hundred of each are better")
    most, fewest = max(range(len(training)), key=training.__getitem__), min(range(len(training)), key=training.__getitem__)
    if training[most] > 2 * training[fewest]:
        found.notes.append(f"unbalanced: {training[most]} pictures of {found.names[most]}, {training[fewest]} of {found.names[fewest]}; rare "
                           "classes count more in training")
    small = [str(p.path) for p in found.pictures if min(p.sides) < size]
    if small:
        found.notes.append(f"{count(small, 'picture')} smaller than {size} pixels, which will be enlarged:{listed(small)}")
    odd = [str(p.path) for p in found.pictures if max(p.sides) > 2 * min(p.sides)]
    if odd:
        found.notes.append(f"{count(odd, 'picture')} more than twice as long as wide, of which the network sees the central square:{listed(odd)}")


def lay_out(found: Look, out: Path) -> None:
    """Links the usable pictures as OUT/train/CLASS and OUT/test/CLASS; replaces what was laid out there before."""
    beside = out.with_name(out.name + ".partial")
    shutil.rmtree(beside, ignore_errors=True)
    for picture in found.pictures:
        link = beside / picture.part / picture.folder.name / picture.path.relative_to(picture.folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(picture.path.resolve())
    if (found.root / "classes.txt").is_file():
        shutil.copyfile(found.root / "classes.txt", beside / "classes.txt")
    shutil.rmtree(out, ignore_errors=True)
    beside.rename(out)


def count(these: list, one: str, many: str | None = None) -> str:
    return f"{len(these)} {one if len(these) == 1 else many or one + 's'}"


def listed(these: list[str]) -> str:
    """The first of these, one a line."""
    more = [f"... and {len(these) - SHOWN} more"] if len(these) > SHOWN else []
    return "\n    " + "\n    ".join(these[:SHOWN] + more)
