"""Makes further files from the photographs, and what gateway, eval, recipe and page must make of each at every size.

    python edge-wasm/tests/pictures/photographs.py

The levels expected are Pillow's, as in make.py. Digests are SHA-256 of RGB bytes.
"""

import hashlib
import json

import numpy as np
from make import HERE, TURNS, exif, file, tiff, with_segments
from PIL import Image

FOLDER = HERE / "photographs"
SIZES = [32, 64, 96, 128, 224]
TRANSPOSE = Image.Transpose
# What a camera stores is the upright picture, turned the other way.
STORED = {2: TRANSPOSE.FLIP_LEFT_RIGHT, 3: TRANSPOSE.ROTATE_180, 4: TRANSPOSE.FLIP_TOP_BOTTOM, 5: TRANSPOSE.TRANSPOSE,
          6: TRANSPOSE.ROTATE_90, 7: TRANSPOSE.TRANSVERSE, 8: TRANSPOSE.ROTATE_270}
UPRIGHT = {turn: [stored] for turn, stored in STORED.items()} | TURNS
TIMES = 10  # each pixel of the enlarged photograph becomes a square of this side, which makes 13.5 megapixels
ENLARGED = "chelsea.jpg"
COMPUTED = (300, 200)


def glass(picture: Image.Image) -> Image.Image:
    """The picture, more transparent from left to right."""
    alpha = np.broadcast_to(np.linspace(255, 0, picture.width).round().astype(np.uint8), picture.size[::-1])
    return Image.fromarray(np.dstack([np.asarray(picture), alpha]))


def made() -> dict[str, bytes]:
    with Image.open(FOLDER / "chelsea.jpg") as cat:
        cat.load()
    small, tiny = cat.resize((240, 160)), cat.resize((48, 32))
    return {
        **{f"turned-{turn}.jpg": with_segments(file(small.transpose(stored), "JPEG", quality=80), exif(tiff(turn))) for turn, stored in STORED.items()},
        "tiny.png": file(tiny, "PNG"),
        "strip.jpg": file(cat.crop((0, 140, 451, 157)), "JPEG", quality=90),
        "glass.png": file(glass(cat.resize((150, 100))), "PNG"),
    }


def upright(name: str) -> Image.Image:
    with Image.open(FOLDER / name) as picture:
        picture.load()
    if picture.mode == "RGBA":
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    orientation = picture.getexif().get(0x112, 1) if name.startswith("turned") else 1
    for turn in UPRIGHT[orientation]:
        picture = picture.transpose(turn)
    return picture


def computed() -> Image.Image:
    """A rough picture that tests/scaling.rs computes too, for where no file can be read."""
    width, height = COMPUTED
    at = np.arange(width * height * 3, dtype=np.int64)
    return Image.fromarray((at * at * 31 >> 7 & 255).astype(np.uint8).reshape(height, width, 3))


def digest(picture: Image.Image) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def scaled(picture: Image.Image) -> dict[str, str]:
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    square = picture.crop((left, top, left + side, top + side))
    return {str(size): digest(square.resize((size, size), Image.Resampling.BILINEAR)) for size in SIZES}


def expected(name: str) -> dict:
    """The digests of the upright picture as a whole, and scaled to each size."""
    picture = upright(name)
    return {"width": picture.width, "height": picture.height, "whole": digest(picture), "scaled": scaled(picture)}


def main() -> None:
    for name, content in made().items():
        (FOLDER / name).write_bytes(content)
    names = sorted(path.name for path in FOLDER.iterdir() if path.name != "README.md")
    picture = upright(ENLARGED)
    large = picture.resize((picture.width * TIMES, picture.height * TIMES), Image.Resampling.NEAREST)
    told = {
        "photographs": {name: expected(name) for name in names},
        "enlarged": {"of": ENLARGED, "times": TIMES, "scaled": scaled(large)},
        "computed": {"width": COMPUTED[0], "height": COMPUTED[1], "scaled": scaled(computed())},
    }
    (HERE / "photographs.json").write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
