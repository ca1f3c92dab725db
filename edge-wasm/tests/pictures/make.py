"""Makes the tree of pictures that gateway, eval, recipe and page are tested with, and what each must make of it.

    python edge-wasm/tests/pictures/make.py

The levels expected are Pillow's, which decodes with libjpeg-turbo and libwebp, as browsers do; docs/pictures.md has the rule.
"""

import io
import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

HERE = Path(__file__).parent
PngImagePlugin.MAX_TEXT_CHUNK = 1 << 24
ROW = 3  # of the central square, which tells all eight orientations apart


def ramp(width: int, height: int) -> Image.Image:
    """A smooth picture whose colours also change, so that every step of a decoder shows."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [x * 255 // (width - 1), y * 255 // (height - 1), 255 - (x * y * 255) // ((width - 1) * (height - 1))]
    return Image.fromarray(np.stack(planes, axis=-1).astype(np.uint8))


def file(picture: Image.Image, kind: str, **options) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def tiff(orientation: int, kind: int = 3) -> bytes:
    value = struct.pack(">HH", orientation, 0) if kind == 3 else struct.pack(">I", orientation)
    return b"MM\0*" + struct.pack(">IHHHI", 8, 1, 0x112, kind, 1) + value + bytes(4)


def with_segments(jpeg: bytes, *bodies: bytes) -> bytes:
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body for body in bodies)
    return jpeg[:2] + segments + jpeg[2:]


def exif(block: bytes) -> bytes:
    return b"Exif\0\0" + block


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def with_chunks(png: bytes, before: bytes = b"", behind: bytes = b"") -> bytes:
    data, end = png.index(b"IDAT") - 4, png.index(b"IEND") - 4
    return png[:data] + before + png[data:end] + behind + png[end:]


def extended(webp: bytes, block: bytes) -> bytes:
    """With Exif, which turns no WebP."""
    body = b"VP8X" + struct.pack("<IB3x", 10, 8) + (23).to_bytes(3, "little") + (15).to_bytes(3, "little") + webp[12:]
    body += b"EXIF" + struct.pack("<I", len(block)) + block
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


XMP = (b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
       b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>')
WIDE = ramp(24, 16)
JPEG = file(WIDE, "JPEG", quality=90)
PNG = file(WIDE, "PNG")
WEBP = file(WIDE, "WEBP", lossless=True)
THUMBNAIL = file(ramp(8, 8), "JPEG")
WITH_THUMBNAIL = with_segments(JPEG, exif(tiff(1)) + THUMBNAIL)
ODD = ramp(23, 17)
SUBSAMPLED = {name: file(ODD, "JPEG", quality=80, **options) for name, options in {
    "420": {"subsampling": "4:2:0"}, "422": {"subsampling": "4:2:2"}, "444": {"subsampling": "4:4:4"},
    "411": {"subsampling": "4:1:1"}, "progressive": {"progressive": True}, "restarts": {"restart_marker_blocks": 1},
}.items()}
GREY = file(ODD.convert("L"), "JPEG")
LARGE_PROFILE = with_chunks(PNG, chunk(b"iCCP", b"zeros\0\0" + zlib.compress(bytes(1 << 21))))
CMYK = file(ODD.convert("CMYK"), "JPEG")

# What is a picture, by its path; None stands for one that is refused, and the number for the orientation that it is set upright by.
PICTURES = {
    "cat/0.jpg": (JPEG, 1),
    "cat/1.JPG": (with_segments(JPEG, exif(tiff(6))), 6),
    "cat/2.jpeg": (with_segments(JPEG, exif(tiff(6)), exif(tiff(1))), 6),
    "cat/3.png": (PNG, 1),
    "cat/4.webp": (WEBP, 1),
    "cat/5.webp": (file(WIDE, "WEBP", quality=80), 1),
    "cat/deep/deeper/6.png": (with_chunks(PNG, chunk(b"eXIf", tiff(8))), 8),
    "cat/motion.jpg": (JPEG + bytes(5000), 1),
    "cat/thumbnail.jpg": (WITH_THUMBNAIL, 1),
    "dog/cut.jpg": (WITH_THUMBNAIL[:-200], None),
    "dog/first-empty.jpg": (with_segments(JPEG, exif(b""), exif(tiff(3))), 3),
    "dog/first-says-nothing.jpg": (with_segments(JPEG, exif(tiff(6, kind=4)), exif(tiff(6))), 1),
    "dog/late.jpg": (JPEG[:-2] + with_segments(b"", exif(tiff(6))) + JPEG[-2:], 1),
    "dog/late.png": (with_chunks(PNG, behind=chunk(b"eXIf", tiff(6))), 1),
    "dog/named.jpg": (b"GIF89a, whatever its name says", None),
    "dog/no-end.png": (PNG[:-12], None),
    "dog/turned.webp": (extended(WEBP, tiff(6)), 1),
    "dog/two.png": (with_chunks(PNG, chunk(b"eXIf", tiff(6)) + chunk(b"eXIf", tiff(1))), 6),
    "dog/xmp.jpg": (with_segments(JPEG, XMP), 1),
    "dog/xmp.png": (with_chunks(PNG, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP[29:])), 1),
    **{f"odd/{name}": (content, 1) for name, content in sorted({
        **{f"{name}.jpg": jpeg for name, jpeg in SUBSAMPLED.items()}, "cmyk.jpg": CMYK, "grey.jpg": GREY, "large-profile.png": LARGE_PROFILE,
    }.items())},
}
OTHERS = {
    "cat/.DS_Store": b"\0\0\0\1Bud1", "cat/._0.jpg": b"\0\5\x16\7\0\2\0\0", "cat/.Trash/7.png": PNG, "cat/moving.gif": b"GIF89a", "cat/notes.txt": b"",
    "dog/8.HEIC": b"\0\0\0\x18ftypheic\0\0\0\0", "__MACOSX/cat/9.png": PNG, "README": b"",
}
LEFT_OUT = "left out: 1 .gif, 1 .heic, 1 .txt, 1 without an ending, 4 hidden"
TURNS = {1: [], 3: [Image.Transpose.ROTATE_180], 6: [Image.Transpose.ROTATE_270], 8: [Image.Transpose.ROTATE_90]}


def row(content: bytes, orientation: int) -> str:
    """A row of the central square of a picture, as hexadecimal RGB."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    for turn in TURNS[orientation]:
        picture = picture.transpose(turn)
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    return np.asarray(picture)[top + ROW, left:left + side].tobytes().hex()


def main() -> None:
    tree = HERE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for path, content in {**{path: content for path, (content, _) in PICTURES.items()}, **OTHERS}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    expected = {path: orientation and row(content, orientation) for path, (content, orientation) in PICTURES.items()}
    (HERE / "expected.json").write_text(json.dumps({"pictures": expected, "left_out": LEFT_OUT}, indent=1) + "\n")


if __name__ == "__main__":
    main()
