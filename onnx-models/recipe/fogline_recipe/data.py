"""Pictures and labels as byte tensors: CIFAR's binary and Python layouts, or a folder of pictures.

Nothing here fetches anything. A data set of 60,000 pictures of 32x32 takes 184 MB of memory.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

PICTURES = {".jpg", ".jpeg", ".png"}


class DataError(Exception):
    """The folder is not a data set this recipe reads; the text says what was looked for."""


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
    """Reads CIFAR's pickles without letting a file run code: numpy arrays and plain values only."""

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
            raise DataError(f"{root / file}: {raw.size} bytes are not whole records of {record}")
        rows.append(raw.reshape(-1, record))
    rows = np.concatenate(rows)
    images = rows[:, label_bytes:].reshape(-1, 3, 32, 32).copy()
    labels = rows[:, label_bytes - 1].astype(np.int64)
    return Pictures(torch.from_numpy(images), torch.from_numpy(labels), names.read_text().splitlines())


def _as_the_edge_sees_it(picture: Image.Image, size: int) -> np.ndarray:
    """Upright, on white, the central square, scaled with a triangle filter: as edge-wasm/src/picture.rs does."""
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I;16"):
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
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


def of_folder(folder: Path, size: int) -> torch.Tensor:
    """The pictures that lie in ``folder``, by name: uint8 (N, 3, S, S)."""
    if not folder.is_dir() or not (files := sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)):
        raise DataError(f"{folder}: no .jpg, .jpeg or .png there")
    return torch.from_numpy(np.stack([_as_the_edge_sees_it(Image.open(path), size) for path in files]))


def _names(root: Path, folders: list[str]) -> list[str]:
    """What the classes of ``folders`` are called: themselves, or what ``classes.txt``, a line FOLDER<TAB>NAME each, says."""
    path = root / "classes.txt"
    if not path.is_file():
        return folders
    lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
    if bad := next((line for line in lines if len(line) != 2), None):
        raise DataError(f"{path}: '{' '.join(bad)}' is not a folder, a tab and a name")
    called = dict(lines)
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
    folders = sorted(p.name for p in base.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))
    if len(folders) < 2:
        raise DataError(f"{base}: {len(folders)} folders named after classes, where at least two are needed")
    names = _names(root, folders)
    files = [(path, label) for label, folder in enumerate(folders)
             for path in sorted((base / folder).iterdir()) if path.suffix.lower() in PICTURES]
    if empty := set(range(len(folders))) - {label for _, label in files}:
        raise DataError(f"{base / folders[min(empty)]}: no .jpg, .jpeg or .png in the folder of a class")
    images = np.empty((len(files), 3, size, size), dtype=np.uint8)
    for i, (path, _) in enumerate(tqdm(files, desc=f"reading {split}", unit=" pictures", leave=False, mininterval=1.0)):
        try:
            with Image.open(path) as picture:
                images[i] = _as_the_edge_sees_it(picture, size)
        except (OSError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: {error}") from error
    labels = torch.tensor([label for _, label in files])
    return Pictures(torch.from_numpy(images), labels, names)


def load(root: Path, split: str, size: int = 32) -> Pictures:
    """Reads ``split`` ("train" or "test") of the data set in ``root``, whatever its layout."""
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    if size < 1:
        raise DataError(f"--size {size}: at least 1 is needed")
    for read in (_cifar_python, _cifar_binary):
        if (pictures := read(root, split)) is not None:
            return pictures
    if (pictures := _folder(root, split, size)) is not None:
        return pictures
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

