"""A picture file becomes pixels, or a typed error: the header is checked before any native decoder sees the file."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeos.errors import BadImage, FileMissing
from edgeos.events import Image

MAX_PIXELS = 40_000_000
"""Larger pictures are refused from their header: decoded they would take over 120 MB."""

MAX_BYTES = 100_000_000
"""Larger files are refused before they are read."""

MAX_SIDE = 2560
"""Longer sides are reduced to this: twice what the text detector looks at, so strips of text stay sharp."""

FORMATS = "a JPEG, PNG, WebP or BMP picture"


def read(path: Path) -> Image:
    """Return the picture upright, [h, w, 3] uint8 RGB, transparent parts white, the long side at most `MAX_SIDE`.

    Grey, palette, 16-bit and CMYK pictures become RGB; the EXIF orientation is applied. Raises `FileMissing`,
    `BadImage` (not a picture, cut short, too large, animated).
    """
    try:
        if path.is_dir():
            raise BadImage(f"picture {path}", expected=FORMATS, found="a folder", fix="name a file, or use dir:PATH")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise BadImage(
                f"picture {path}", expected=f"at most {MAX_BYTES} bytes", found=f"{size}", fix="make it smaller"
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FileMissing(f"picture {path}", expected="a file", found="nothing", fix="check the path") from error
    except OSError as error:
        raise BadImage(
            f"picture {path}", expected="a file that can be read", found=str(error), fix="check its permissions"
        ) from error
    return decode(data, str(path))


def decode(data: bytes, name: str) -> Image:
    """The same from bytes; `name` goes into the errors."""
    try:
        alpha, data = _examine(data)
    except (_Unusable, struct.error, IndexError) as error:
        cut = isinstance(error, struct.error | IndexError)
        raise BadImage(
            f"picture {name}",
            expected=f"{FORMATS}, complete",
            found="a header that is cut short" if cut else str(error),
            fix="save it again, or name another file",
        ) from error
    return _reduced(_pixels(data, name, alpha))


def _pixels(data: bytes, name: str, alpha: bool) -> Image:
    import cv2

    try:
        # Only IMREAD_UNCHANGED keeps transparency. It ignores the EXIF orientation, which such files do not carry.
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED if alpha else cv2.IMREAD_COLOR)
    except cv2.error:
        decoded = None
    if decoded is None:
        raise BadImage(
            f"picture {name}",
            expected=f"{FORMATS}, complete",
            found="pixels that cannot be decoded (damaged or cut short)",
            fix="save it again, or name another file",
        )
    pixels = np.asarray(decoded)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = _over_white(pixels)
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(pixels[:, :, ::-1])


def _over_white(pixels: NDArray[Any]) -> Image:
    """Blend [h, w, 4] of 8 or 16 bits over white: dark writing on a transparent ground must not vanish in black."""
    top = np.iinfo(pixels.dtype).max
    opaque = pixels[:, :, 3:].astype(np.float32) / top
    colour = pixels[:, :, :3].astype(np.float32) * (255 / top)
    return np.asarray(np.rint(colour * opaque + 255 * (1 - opaque)), np.uint8)


def _reduced(image: Image) -> Image:
    import cv2

    scale = MAX_SIDE / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


# ---------------------------------------------------------------- headers


class _Unusable(Exception):
    """What is wrong with the file, in words."""


def _examine(data: bytes) -> tuple[bool, bytes]:
    """Return whether the picture is transparent, and the bytes to decode. Raises `_Unusable`, `struct.error`."""
    if not data:
        raise _Unusable("an empty file")
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    if data.startswith(b"BM"):
        return _bmp(data)
    if data.startswith((b"GIF87a", b"GIF89a")):
        raise _Unusable("a GIF, which may be animated: save one frame as PNG")
    raise _Unusable(f"a file that begins with {data[:12]!r}")


def _check_size(width: int, height: int) -> None:
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise _Unusable(f"{width} x {height} pixels, where 1 to {MAX_PIXELS // 1_000_000} megapixels are decoded")


def _png(data: bytes) -> tuple[bool, bytes]:
    """Walk the chunks up to IEND; only those that make pixels reach the decoder (no text, profiles, animation)."""
    width, height, _, colour = struct.unpack(">IIBB", data[16:26])
    _check_size(width, height)
    kept, at, alpha, ended, pixels = [data[:8]], 8, colour in {4, 6}, False, 0
    while at + 12 <= len(data) and not ended:
        (length,), kind = struct.unpack(">I", data[at : at + 4]), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            break
        if kind in {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}:
            kept.append(data[at:end])
        alpha, ended, pixels = alpha or kind == b"tRNS", kind == b"IEND", pixels + length * (kind == b"IDAT")
        at = end
    if not ended or not pixels:
        raise _Unusable("a PNG that is cut short")
    return alpha, b"".join(kept)


_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""A marker inside coded pixels: not a stuffed zero, a restart or padding."""


def _jpeg(data: bytes) -> tuple[bool, bytes]:
    """Walk the segments to the end marker: one inside an EXIF thumbnail does not count."""
    at, sized = 2, False
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise _Unusable("a JPEG with damaged segments")
        kind = data[at + 1]
        if kind == 0xFF:  # padding
            at += 1
            continue
        (length,) = struct.unpack(">H", data[at + 2 : at + 4])
        if 0xC0 <= kind <= 0xCF and kind not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            _check_size(width, height)
            sized = True
        at += 2 + length
        if kind == 0xDA:  # start of scan: coded pixels follow
            marker = _MARKER.search(data, at)
            if marker is None:
                break
            at = marker.start()
            if sized and data[at + 1] == 0xD9:
                return False, data
    raise _Unusable("a JPEG that is cut short")


def _webp(data: bytes) -> tuple[bool, bytes]:
    (length,) = struct.unpack("<I", data[4:8])
    kind = data[12:16]
    if kind == b"VP8X":
        if data[20] & 0x02:
            raise _Unusable("an animated WebP: save one frame as PNG")
        width, height = (int.from_bytes(data[i : i + 3], "little") + 1 for i in (24, 27))
        alpha = bool(data[20] & 0x10)
    elif kind == b"VP8L":
        (bits,) = struct.unpack("<I", data[21:25])
        width, height, alpha = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    elif kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in struct.unpack("<HH", data[26:30]))
        alpha = False
    else:
        raise _Unusable(f"a WebP whose first part is {kind!r}")
    _check_size(width, height)
    if length + 8 > len(data):
        raise _Unusable("a WebP that is cut short")
    return alpha, data


def _bmp(data: bytes) -> tuple[bool, bytes]:
    offset, header = struct.unpack("<II", data[10:18])
    packed = 0
    if header == 12:
        width, height, _, depth = struct.unpack("<HHHH", data[18:26])
    else:
        width, height, _, depth, packed = struct.unpack("<iiHHI", data[18:34])
    _check_size(width, abs(height))
    if packed in {0, 3} and offset + (width * depth + 31) // 32 * 4 * abs(height) > len(data):
        raise _Unusable("a BMP that is cut short")
    return False, data
