"""Pictures and labels as byte tensors: CIFAR's binary and Python layouts, or a folder of pictures.

Nothing here fetches anything. A data set of 60,000 pictures of 32x32 takes 184 MB of memory.
"""

import io
import os
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from fogline_recipe import header

FEW = 200  # with fewer pictures, starting worker processes takes longer than decoding
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}
# The transposition that sets a picture of each Exif orientation upright.
TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
         6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90}


File, Found = TypeVar("File"), TypeVar("Found")


class DataError(Exception):
    """The folder is not a dataset that the recipe can read; the message says what was expected."""


@dataclass
class Pictures:
    """images: uint8 (N, 3, S, S); labels: int64 (N,); names: one a class, in label order."""

    images: torch.Tensor
    labels: torch.Tensor
    names: list[str]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: torch.Tensor) -> "Pictures":
        return Pictures(self.images[index], self.labels[index], self.names)


class _NumpyOnly(pickle.Unpickler):
    """Reads CIFAR's pickles safely: only numpy arrays and plain values, so that no file can run code."""

    ALLOWED = frozenset({
        ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
        ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
    })

    def find_class(self, module: str, name: str):
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}, which a CIFAR batch never does")
        return super().find_class(module, name)


def _unpickle(path: Path) -> dict:
    with open(path, "rb") as file:
        return _NumpyOnly(file, encoding="latin1").load()


def _cifar_python(root: Path, split: str) -> Pictures | None:
    if (root / "batches.meta").is_file():
        names = _unpickle(root / "batches.meta")["label_names"]
        files = [f"data_batch_{i}" for i in range(1, 6)] if split == "train" else ["test_batch"]
        key = "labels"
    elif (root / "meta").is_file() and (root / split).is_file():
        names, files, key = _unpickle(root / "meta")["fine_label_names"], [split], "fine_labels"
    else:
        return None
    batches = [_unpickle(root / file) for file in files]
    images = np.concatenate([np.asarray(b["data"], dtype=np.uint8) for b in batches]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([np.asarray(b[key], dtype=np.int64) for b in batches])
    return Pictures(torch.from_numpy(images), torch.from_numpy(labels), list(names))


def _cifar_binary(root: Path, split: str) -> Pictures | None:
    if (root / "batches.meta.txt").is_file():
        names, label_bytes = (root / "batches.meta.txt"), 1
        files = [f"data_batch_{i}.bin" for i in range(1, 6)] if split == "train" else ["test_batch.bin"]
    elif (root / "fine_label_names.txt").is_file():
        names, label_bytes, files = (root / "fine_label_names.txt"), 2, [f"{split}.bin"]
    else:
        return None
    record = label_bytes + 3072
    rows = []
    for file in files:
        raw = np.fromfile(root / file, dtype=np.uint8)
        if raw.size == 0 or raw.size % record:
            raise DataError(f"{root / file}: {raw.size} bytes are not a whole number of records of {record} bytes")
        rows.append(raw.reshape(-1, record))
    rows = np.concatenate(rows)
    images = rows[:, label_bytes:].reshape(-1, 3, 32, 32).copy()
    labels = rows[:, label_bytes - 1].astype(np.int64)
    # The official archive's file of names ends in an empty line.
    known = [name for line in _text(names).splitlines() if (name := line.strip())]
    return Pictures(torch.from_numpy(images), torch.from_numpy(labels), known)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8: {error}") from error


def as_the_edge_sees_it(path: Path, size: int) -> np.ndarray:
    """A picture's pixels (3, S, S): upright, on white, the central square, scaled with a triangle filter.

    edge-wasm/src/device/picture/ does the same; docs/pictures.md has the rule. What is no whole picture is a PictureError.
    """
    try:
        return decoded(file_of(path), size)
    except OSError as error:
        raise header.PictureError(f"the picture is truncated or damaged: {error}") from error


def file_of(path: Path) -> bytes:
    """The picture's file. A pipe, which reading would wait for, is a PictureError."""
    if not path.is_file():
        raise header.PictureError("not a regular file")
    return path.read_bytes()


def decoded(file: bytes, size: int) -> np.ndarray:
    """The pixels (3, S, S) of a picture's file, as ``as_the_edge_sees_it``."""
    try:
        said = header.read(file)
        if said.kind == "PNG":
            file = _without_metadata(file)
        with Image.open(io.BytesIO(file), formats=[said.kind]) as picture:
            picture.load()
            return _upright_square(picture, said.orientation, size)
    # Pillow tells of damage in each of these ways.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise header.PictureError(f"the picture is truncated or damaged: {error}") from error


def _without_metadata(png: bytes) -> bytes:
    """The PNG without colour profile and texts, which change no pixel, and of which Pillow refuses large ones."""
    metadata = (b"iCCP", b"tEXt", b"zTXt", b"iTXt")
    return png[:8] + b"".join(png[at:end] for name, at, end in header.chunks(png) if name not in metadata)


def _upright_square(picture: Image.Image, orientation: int, size: int) -> np.ndarray:
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if orientation in TURNS:
        picture = picture.transpose(TURNS[orientation])
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    side = min(picture.size)
    left, top = ((long - side) // 2 for long in picture.size)  # whole pixels, unlike ImageOps.fit
    picture = picture.crop((left, top, left + side, top + side))
    if side != size:
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(picture).transpose(2, 0, 1)


def pictures_below(folder: Path, left_out: Counter) -> Iterator[Path]:
    """The pictures in ``folder`` and below, by name; other files are counted in ``left_out``, by their extension."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        tqdm.write(f"{folder}: {error.strerror}")
        return
    for entry in entries:
        path, is_folder = Path(entry.path), entry.is_dir(follow_symlinks=False)
        if is_hidden(entry.name, is_folder):
            left_out["hidden"] += 1
        elif is_folder:
            yield from pictures_below(path, left_out)
        elif not path.is_dir():  # a link to a folder is not followed: one that leads up would never end
            if path.suffix.lower() in PICTURES:
                yield path
            else:
                left_out[path.suffix.lower() or "without an ending"] += 1


def is_hidden(name: str, is_folder: bool) -> bool:
    """Whether a file or folder belongs to another program: .DS_Store, ._cat.jpg, .git, __MACOSX."""
    return name.startswith(".") or (is_folder and name.startswith("__"))


def said(left_out: Counter) -> str:
    """Describes the skipped files, as in ``left out: 2 .gif, 1 .heic, 3 hidden``."""
    order = sorted(left_out, key=lambda ending: (ending == "hidden", ending))
    return "left out: " + ", ".join(f"{left_out[ending]} {ending}" for ending in order)


def _pixels_or_why(path: Path, size: int) -> np.ndarray | str:
    try:
        return as_the_edge_sees_it(path, size)
    except header.PictureError as error:
        return str(error)


def pixels_of(files: list[Path], size: int, what: str) -> Iterator[np.ndarray | str]:
    """The pixels of each picture, as ``as_the_edge_sees_it``, or why it cannot be read; decoded on every core."""
    return on_every_core(partial(_pixels_or_why, size=size), files, f"reading {what}")


def on_every_core(read: Callable[[File], Found], files: list[File], what: str) -> Iterator[Found]:
    """``read`` of each file, in order, with a progress bar."""
    bar = partial(tqdm, total=len(files), desc=what, unit=" pictures", leave=False, mininterval=1.0)
    if len(files) < FEW:
        yield from bar(map(read, files))
        return
    with ProcessPoolExecutor() as workers:
        yield from bar(workers.map(read, files, chunksize=32))


def _read(files: list[Path], size: int, what: str) -> tuple[np.ndarray, list[int]]:
    """The pixels of the readable pictures and their indices in ``files``; prints the names of the others."""
    images, places = np.empty((len(files), 3, size, size), dtype=np.uint8), []
    for place, (path, found) in enumerate(zip(files, pixels_of(files, size, what), strict=True)):
        if isinstance(found, str):
            tqdm.write(f"{path}: {found}")
        else:
            images[len(places)] = found
            places.append(place)
    if len(places) < len(files):
        tqdm.write(f"{len(files) - len(places)} of {len(files)} pictures cannot be read and are skipped")
    return images[:len(places)], places


def of_folder(folder: Path, size: int) -> torch.Tensor:
    """The pictures in and below ``folder``, by name: uint8 (N, 3, S, S)."""
    images, places = _read(list(pictures_below(folder, Counter())), size, folder.name)
    if not places:
        raise DataError(f"{folder}: no .jpg, .jpeg, .png or .webp found")
    return torch.from_numpy(images)


def class_names(root: Path, folders: list[str]) -> list[str]:
    """The names of the classes in ``folders``: the folders' own, or those in ``classes.txt``, one line FOLDER<TAB>NAME each."""
    path = root / "classes.txt"
    if not path.is_file():
        return folders
    called = {}
    for line in filter(str.strip, _text(path).splitlines()):
        folder, *name = (part.strip() for part in line.split("\t"))
        if len(name) != 1 or not folder or not name[0]:
            raise DataError(f"{path}: '{' '.join(line.split())}' must be a line FOLDER, a tab and NAME")
        if folder in called:
            raise DataError(f"{path}: two lines name the folder {folder}")
        called[folder] = name[0]
    if missing := [folder for folder in folders if folder not in called]:
        raise DataError(f"{path}: no name for the folder {missing[0]}")
    names = [called[folder] for folder in folders]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: two folders have the same name")
    return names


def _folder(root: Path, split: str, size: int) -> Pictures | None:
    base = root / split
    if not base.is_dir():
        return None
    folders = sorted(p.name for p in base.iterdir() if p.is_dir() and not is_hidden(p.name, is_folder=True))
    if len(folders) < 2:
        raise DataError(f"{base}: found {len(folders)} class folders; at least two are needed")
    names, left_out = class_names(root, folders), Counter()
    files, labels = [], []
    for label, folder in enumerate(folders):
        of_class = list(pictures_below(base / folder, left_out))
        files += of_class
        labels += [label] * len(of_class)
    if left_out:
        print(f"{base}: {said(left_out)}", flush=True)
    images, places = _read(files, size, split)
    labels = torch.tensor(labels, dtype=torch.int64)[places]
    if empty := set(range(len(folders))) - set(labels.tolist()):
        raise DataError(f"{base / folders[min(empty)]}: this class folder has no readable .jpg, .jpeg, .png or .webp")
    return Pictures(torch.from_numpy(images), labels, names)


def _checked(pictures: Pictures, root: Path) -> Pictures:
    """Checks that every label has a unique name, and returns the pictures."""
    names = pictures.names
    if "" in names or len(set(names)) < len(names):
        raise DataError(f"{root}: the classes {names} need distinct names")
    if len(pictures) and (most := int(pictures.labels.max())) >= len(names):
        raise DataError(f"{root}: label {most} is out of range: there are {len(names)} names")
    return pictures


def load(root: Path, split: str, size: int = 32) -> Pictures:
    """Reads ``split`` ("train" or "test") of the data set in ``root``, whatever its layout."""
    if not root.is_dir():
        raise DataError(f"{root} does not exist or is not a folder")
    if size < 1:
        raise DataError(f"--size {size}: at least 1 is needed")
    for read in (_cifar_python, _cifar_binary):
        if (pictures := read(root, split)) is not None:
            return _checked(pictures, root)
    if (pictures := _folder(root, split, size)) is not None:
        return _checked(pictures, root)
    raise DataError(
        f"{root}: neither CIFAR's Python layout (batches.meta or meta), nor its binary layout (batches.meta.txt or "
        f"fine_label_names.txt), nor a folder {split}/CLASS/*.jpg")


def write_binary(pictures: Pictures, out: Path) -> None:
    """Writes decoded test pictures of 32x32 in the binary layout of CIFAR-10, or, of more than ten classes, of CIFAR-100.

    Decoders of JPEG differ by a few levels: this gives two programs the same pixels.
    """
    if tuple(pictures.images.shape[2:]) != (32, 32):
        raise DataError("CIFAR's binary layout holds pictures of 32x32")
    ten = len(pictures.names) <= 10
    label = pictures.labels.numpy().astype(np.uint8)[:, None]
    columns = [label] if ten else [np.zeros_like(label), label]
    out.mkdir(parents=True, exist_ok=True)
    (out / ("batches.meta.txt" if ten else "fine_label_names.txt")).write_text("\n".join(pictures.names) + "\n")
    records = np.hstack([*columns, pictures.images.numpy().reshape(len(pictures), -1)])
    records.tofile(out / ("test_batch.bin" if ten else "test.bin"))


def hold_out(pictures: Pictures, every: int) -> tuple[Pictures, Pictures]:
    """Splits off every ``every``-th picture of each class: (the rest, the held-out ones)."""
    held = torch.zeros(len(pictures), dtype=torch.bool)
    for label in range(len(pictures.names)):
        of_label = (pictures.labels == label).nonzero().flatten()
        # At least one of each class, however small the data set.
        held[of_label[every - 1::every] if len(of_label) >= every else of_label[-1:]] = True
    return pictures.take(~held), pictures.take(held)


GREY = 128


def normalise(images: torch.Tensor) -> torch.Tensor:
    """Bytes to [-1, 1): (p - 128) / 128, that is mean = std = 128/255."""
    return (images.float() - GREY) / GREY

