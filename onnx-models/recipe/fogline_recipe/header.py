"""Reads a picture file's format, size, orientation and completeness from its bytes.

The gateway and the page do the same in edge-wasm/src/device/picture/header.rs and web-demo/worker/header.js; docs/pictures.md has
the rules.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MOST_PIXELS = 52_000_000
ORIENTATION = 0x112
SHORT = 3
BRANDS = {b"avif": "AVIF", b"avis": "AVIF",
          **dict.fromkeys((b"heic", b"heim", b"heis", b"heix", b"hevc", b"mif1", b"msf1"), "HEIC")}
OTHERS = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"<svg": "SVG", b"<?xml": "SVG", b"\xff\x0a": "JPEG XL",
          b"\0\0\0\x0cJXL ": "JPEG XL"}


class PictureError(Exception):
    """The file is not a supported picture, or is incomplete."""


@dataclass
class Header:
    """kind: as Pillow calls it; width and height: as stored, 0 when the file ends before; orientation: 1 to 8, as Exif counts."""

    kind: str
    width: int = 0
    height: int = 0
    orientation: int = 1
    whole: bool = False


def read(file: bytes) -> Header:
    """The header of a supported picture. Raises PictureError if the file is of another kind, incomplete or too large."""
    if file.startswith(b"\xff\xd8\xff"):
        header = _jpeg(file)
    elif file.startswith(b"\x89PNG\r\n\x1a\n"):
        header = _png(file)
    elif file[:4] == b"RIFF" and file[8:12] == b"WEBP":
        header = _webp(file)
    else:
        name = BRANDS.get(file[8:12]) if file[4:8] == b"ftyp" else next((name for start, name in OTHERS.items() if file.startswith(start)), None)
        raise PictureError(f"{f'a picture in {name}' if name else 'not a picture'}: give a JPEG, PNG or WebP file")
    if header.width * header.height > MOST_PIXELS:
        raise PictureError(f"the picture has {header.width}x{header.height} pixels, but 1 to {MOST_PIXELS} are allowed")
    if not header.whole:
        raise PictureError("the picture is truncated or damaged: it ends early")
    return header


def _jpeg(file: bytes) -> Header:
    header, exif, at = Header("JPEG"), None, 2
    while at + 1 < len(file):
        marker = file[at + 1]
        if file[at] != 0xFF:  # pixels or padding: skip to the next marker
            if (at := file.find(0xFF, at)) < 0:
                break
        elif marker == 0xFF:  # a fill byte
            at += 1
        elif marker == 0xD9:
            header.whole = True
            break
        elif marker <= 0x01 or 0xD0 <= marker <= 0xD8:  # a stuffed zero, or a marker without a segment
            at += 2
        else:  # skip whole segments: an embedded thumbnail has its own end marker
            if at + 4 > len(file):
                break
            end = at + 2 + max(2, int.from_bytes(file[at + 2:at + 4]))
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and at + 9 <= len(file):
                header.height, header.width = struct.unpack_from(">HH", file, at + 5)
            elif marker == 0xE1 and exif is None and file.startswith(b"Exif\0\0", at + 4):
                exif = file[at + 10:end] or None
            elif marker == 0xDA and exif is None:  # an orientation after the pixels is ignored
                exif = b""
            at = end
    header.orientation = _turned(exif)
    return header


def chunks(png: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The name of each whole chunk, where it starts and where it ends, up to the PNG's end."""
    at = 8
    while at + 12 <= len(png):
        length, name = struct.unpack_from(">I4s", png, at)
        if (end := at + 12 + length) > len(png):
            break
        yield name, at, end
        if name == b"IEND":
            break
        at = end


def _png(file: bytes) -> Header:
    header, exif = Header("PNG"), None
    for name, at, end in chunks(file):
        if name == b"IHDR" and end - at >= 20:
            header.width, header.height = struct.unpack_from(">II", file, at + 8)
        elif name == b"eXIf" and exif is None:
            exif = file[at + 8:end - 4]
        elif name == b"IDAT" and exif is None:
            exif = b""
        header.whole = name == b"IEND"
    header.orientation = _turned(exif)
    return header


def _webp(file: bytes) -> Header:
    """Reads a WebP header. The orientation is always 1, because browsers ignore it in WebP."""
    header = Header("WEBP")
    if len(file) < 30:
        return header
    kind = file[12:16]
    if kind == b"VP8 ":
        header.width, header.height = (side & 0x3FFF for side in struct.unpack_from("<HH", file, 26))
    elif kind == b"VP8L":
        both = int.from_bytes(file[21:25], "little")
        header.width, header.height = (both & 0x3FFF) + 1, (both >> 14 & 0x3FFF) + 1
    elif kind == b"VP8X":
        header.width, header.height = (int.from_bytes(file[at:at + 3], "little") + 1 for at in (24, 27))
    else:
        return header
    header.whole = int.from_bytes(file[4:8], "little") + 8 <= len(file)
    return header


def _turned(exif: bytes | None) -> int:
    """The orientation in Exif's TIFF block, or 1 if it has no valid one."""
    exif = exif or b""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(entries):
            tag, kind, count, value, _ = struct.unpack_from(f"{order}HHIHH", exif, start + 2 + 12 * entry)
            if (tag, kind, count) == (ORIENTATION, SHORT, 1):
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
