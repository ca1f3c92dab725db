"""Looks a folder of pictures over before anything is trained on it, and lays out what can be used as training and test pictures.

A folder is ``DIR/train/CLASS`` and ``DIR/test/CLASS``, or ``DIR/CLASS`` without a split. What is laid out are links: no picture is
copied, and none is changed.
"""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import data, header
from .data import DataError

TEST_SHARE = 0.2  # of a folder without a split
LEAST = 8  # training pictures of a class; fewer teach nothing
FEW = 50  # training pictures of a class; fewer are worth a word
THUMB = 16
ALIKE = 2.0  # mean difference in levels between the thumbnails of two copies of one picture
FLAT = 6.0  # thumbnails with less contrast say too little to be compared
SHOWN = 5  # files named in a finding


@dataclass(frozen=True)
class Seen:
    """One picture: its file, and the class folder that it is in; train or test; its digest, sides in pixels, and thumbnail (3 * 16 * 16)."""

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
    bases = {part: root / part for part in ("train", "test") if (root / part).is_dir()}
    if "test" in bases and "train" not in bases:
        raise DataError(f"{root} has a folder test, but no folder train beside it")
    bases = bases or {"": root}
    folders = class_folders(next(iter(bases.values())))
    for base in bases.values():
        if (other := class_folders(base)) != folders:
            odd = sorted(set(other) ^ set(folders))
            raise DataError(f"{base} has other class folders than {next(iter(bases.values()))}: {', '.join(odd)}")
    found = Look(root, data.class_names(root, folders), folders)
    left_out, files = Counter(), []
    for part, base in bases.items():
        for label, folder in enumerate(folders):
            of_class = list(data.pictures_below(base / folder, left_out))
            if not of_class:
                raise DataError(f"{base / folder}: this class folder has no .jpg, .jpeg, .png or .webp")
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


def class_folders(base: Path) -> list[str]:
    """The names of the folders in ``base``, one a class."""
    folders = sorted(path.name for path in base.iterdir() if path.is_dir() and not data.is_hidden(path.name, is_folder=True))
    if len(folders) < 2:
        what = "no class folders" if not folders else f"one class folder, {folders[0]}"
        raise DataError(f"{base} has {what}; put the pictures of each class into a folder of its own, two classes at least: "
                        f"{base}/cat/1.jpg, {base}/dog/1.jpg")
    return folders


def decoded(files: list[tuple[Path, Path, str, int]], found: Look) -> list[Seen]:
    """The readable ones of these pictures; the others are named in ``found``."""
    pictures, unreadable = [], []
    for each in seen(files):
        if isinstance(each, str):
            unreadable.append(each)
        else:
            pictures.append(each)
    if unreadable:
        found.notes.append(f"left out, {count(unreadable, 'file')} that cannot be read:{listed(unreadable)}")
    return pictures


def seen(files: list[tuple[Path, Path, str, int]]) -> Iterator[Seen | str]:
    """Each picture, decoded on every core, or its name and why it cannot be read."""
    def bar(them: Iterator) -> Iterator:
        return tqdm(them, total=len(files), desc="looking at pictures", unit=" pictures", leave=False, mininterval=1.0)

    if len(files) < data.FEW:
        yield from bar(map(seen_or_why, files))
        return
    with ProcessPoolExecutor() as workers:
        yield from bar(workers.map(seen_or_why, files, chunksize=16))


def seen_or_why(file: tuple[Path, Path, str, int]) -> Seen | str:
    path, folder, part, label = file
    try:
        pixels = data.as_the_edge_sees_it(path, THUMB)
        raw = path.read_bytes()
        said = header.read(raw)
    except (OSError, header.PictureError) as error:
        return f"{path}: {error}"
    return Seen(path, folder, part, label, hashlib.sha256(raw).hexdigest(), (said.width, said.height), pixels.reshape(-1))


def without_copies(pictures: list[Seen], found: Look) -> list[Seen]:
    """One of each picture. In two classes, none of its copies can be trusted; in both parts, the one in test goes."""
    groups = [group for group in copies(pictures) if len(group) > 1]
    leave, same, between, leaked = set(), [], [], []
    for group in groups:
        group = sorted(group, key=lambda i: (pictures[i].part == "test", pictures[i].path))
        first, *others = group
        if len({pictures[i].label for i in group}) > 1:
            leave |= set(group)
            between.append(" and ".join(str(pictures[i].path) for i in group))
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
    """Groups of pictures with the same bytes, or that look the same."""
    parent = list(range(len(pictures)))

    def top(i: int) -> int:
        while parent[i] != i:
            parent[i] = i = parent[parent[i]]
        return i

    by_digest = {}
    for i, picture in enumerate(pictures):
        parent[top(i)] = top(by_digest.setdefault(picture.digest, i))
    # Copies are as bright as one another: compare each thumbnail with those just above it in order of brightness.
    thumbs = np.array([picture.thumb for picture in pictures], dtype=np.int16).reshape(len(pictures), -1)
    telling = np.flatnonzero(thumbs.std(1) >= FLAT) if len(pictures) else np.array([], dtype=int)
    means = thumbs[telling].mean(1)
    order = telling[np.argsort(means, kind="stable")]
    means = np.sort(means, kind="stable")
    for place, i in enumerate(order):
        near = order[place + 1:np.searchsorted(means, means[place] + ALIKE, side="right")]
        for j in near[np.abs(thumbs[near] - thumbs[i]).mean(1) < ALIKE]:
            parent[top(int(j))] = top(int(i))
    groups = {}
    for i in range(len(pictures)):
        groups.setdefault(top(i), []).append(i)
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
