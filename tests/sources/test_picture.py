from __future__ import annotations

import base64
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeos.errors import BadImage, FileMissing
from edgeos.sources import picture

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)

# An 8 x 8 CMYK JPEG of pure red: OpenCV cannot write one.
CMYK = base64.b64decode(
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAQCwwODAoQDg0OEhEQExgoGhgWFhgxIyUdKDozPTw5Mzg3QEhcTkBEV0U3OFBtUVdfYmdoZz5NcXlwZHhc"
    "ZWdj/8AAFAgACAAIBEMRAE0RAFkRAEsRAP/EABQAAQAAAAAAAAAAAAAAAAAAAAf/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/9oADgRDAE0AWQBLAAA/"
    "AEAfj8gP/9k="
)


def quadrants(height: int = 48, width: int = 64) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    h, w = height // 2, width // 2
    image[:h, :w], image[:h, w:], image[h:, :w], image[h:, w:] = RED, GREEN, BLUE, WHITE
    return image


def encoded(image: np.ndarray, suffix: str, *options: int) -> bytes:
    swapped = image[:, :, [2, 1, 0, *range(3, image.shape[2])]] if image.ndim == 3 else image
    ok, data = cv2.imencode(suffix, swapped, list(options))
    assert ok
    return data.tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + pixels + chunk(b"IEND", b"")


def with_orientation(jpeg: bytes, value: int) -> bytes:
    tiff = b"II*\x00\x08\x00\x00\x00\x01\x00" + struct.pack("<HHIHH", 0x0112, 3, 1, value, 0) + b"\x00" * 4
    body = b"Exif\x00\x00" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".png", ()),
        (".bmp", ()),
        (".jpg", (cv2.IMWRITE_JPEG_QUALITY, 95)),
        (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101)),
        (".webp", (cv2.IMWRITE_WEBP_QUALITY, 90)),
    ],
)
def test_every_format_gives_rgb(tmp_path, suffix, options):
    path = tmp_path / f"p{suffix}"
    path.write_bytes(encoded(quadrants(), suffix, *options))
    image = picture.read(path)
    assert image.shape == (48, 64, 3)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    for y, x, colour in [(8, 8, RED), (8, 56, GREEN), (40, 8, BLUE), (40, 56, WHITE)]:
        assert np.abs(image[y, x].astype(int) - colour).max() < 12


def test_the_name_does_not_matter_and_the_bytes_do(tmp_path):
    path = tmp_path / "really_a_png.txt"
    path.write_bytes(encoded(quadrants(), ".png"))
    assert np.array_equal(picture.read(path), quadrants())


STORED = {  # orientation of EXIF 2.32, table 6: how a camera that was turned stored the upright picture
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", sorted(STORED))
def test_exif_orientation_is_honoured(orientation):
    stored = np.ascontiguousarray(STORED[orientation](quadrants()))
    image = picture.decode(with_orientation(encoded(stored, ".jpg"), orientation), "turned.jpg")
    assert image.shape == (48, 64, 3)
    assert np.abs(image.astype(int) - quadrants())[4:20, 4:28].max() < 12
    assert np.abs(image.astype(int) - quadrants())[28:44, 36:60].max() < 12


def test_grey_16_bit_palette_and_cmyk_become_rgb():
    grey = np.full((10, 12), 90, np.uint8)
    assert np.array_equal(picture.decode(encoded(grey, ".png"), "grey"), np.full((10, 12, 3), 90, np.uint8))
    assert picture.decode(encoded(grey, ".jpg"), "grey").shape == (10, 12, 3)
    deep = np.full((10, 12, 3), 0x8080, np.uint16)
    assert np.array_equal(picture.decode(encoded(deep, ".png"), "deep"), np.full((10, 12, 3), 0x80, np.uint8))
    rows = b"".join(b"\x00" + bytes([0, 1, 2, 1]) for _ in range(4))
    palette = png(4, 4, 8, 3, rows, chunk(b"PLTE", bytes([*RED, *GREEN, *BLUE])))
    assert np.array_equal(picture.decode(palette, "palette")[0], [RED, GREEN, BLUE, GREEN])
    assert np.abs(picture.decode(CMYK, "cmyk").astype(int) - RED).max() <= 2


def test_transparent_parts_are_white():
    writing = np.zeros((8, 8, 4), np.uint8)  # black throughout; only the left half is opaque
    writing[:, :4, 3] = 255
    for suffix in (".png", ".webp"):
        image = picture.decode(encoded(writing, suffix), suffix)
        assert image[:, :4].max() < 8, suffix
        assert image[:, 4:].min() > 247, suffix
    grey_alpha = png(2, 1, 8, 4, b"\x00" + bytes([50, 255, 50, 0]))
    assert np.array_equal(picture.decode(grey_alpha, "LA")[0], [[50] * 3, [255] * 3])


def test_large_pictures_are_reduced_without_changing_their_shape():
    image = picture.decode(encoded(np.zeros((300, 5120, 3), np.uint8), ".png"), "wide")
    assert image.shape == (150, picture.MAX_SIDE, 3)


@pytest.mark.parametrize(("depth", "colour"), [(1, 0), (8, 0), (8, 2), (16, 6), (8, 3)])
def test_a_huge_picture_is_refused_from_its_header(depth, colour):
    # No pixel follows, so nothing could be decoded: the error can only come from the header.
    with pytest.raises(BadImage, match=r"20000 x 20000 pixels.*40 megapixels"):
        picture.decode(png(20_000, 20_000, depth, colour, b""), "huge.png")


def test_a_complete_20000_x_20000_png_is_refused(tmp_path):
    path = tmp_path / "huge.png"
    path.write_bytes(png(20_000, 20_000, 1, 0, bytes(20_000 * 2501)))
    with pytest.raises(BadImage, match=r"huge.png.*20000 x 20000"):
        picture.read(path)


def test_other_formats_are_refused_by_size_too():
    jpeg = bytearray(encoded(quadrants(), ".jpg"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 20_000, 20_000)
    bmp = bytearray(encoded(quadrants(), ".bmp"))
    bmp[18:26] = struct.pack("<ii", 20_000, -20_000)
    for data in (jpeg, bmp):
        with pytest.raises(BadImage, match="20000 x 20000 pixels"):
            picture.decode(bytes(data), "huge")
    with pytest.raises(BadImage, match="0 x 5 pixels"):
        picture.decode(png(0, 5, 8, 2, b""), "flat.png")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"The quick brown fox, a text and no picture.", "begins with b'The quick br'"),
        (b"GIF89a" + bytes(40), "GIF, which may be animated"),
        (b"RIFF\x20\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02" + bytes(20), "animated WebP"),
        (b"\x89PNG\r\n\x1a\n", "header that is cut short"),
        (b"\xff\xd8\xff", "JPEG that is cut short"),
        (b"BM", "header that is cut short"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, found):
    path = tmp_path / "upload.jpg"
    path.write_bytes(content)
    with pytest.raises(BadImage, match=found) as caught:
        picture.read(path)
    assert "upload.jpg" in str(caught.value)
    assert "Fix:" in str(caught.value)


def test_missing_and_folder(tmp_path):
    with pytest.raises(FileMissing, match=r"nothing.*check the path"):
        picture.read(tmp_path / "no.png")
    with pytest.raises(BadImage, match="a folder"):
        picture.read(tmp_path)


@pytest.mark.parametrize("name", ["bakery.jpg", "astronaut.png", "page_curved.png", "pickup.jpg"])
def test_a_real_photograph_cut_anywhere_is_refused_and_whole_is_read(testdata, name):
    data = (testdata / "photos" / name).read_bytes()
    assert picture.decode(data, name).size
    for kept in (3, 30, 200, len(data) // 3, len(data) * 9 // 10, len(data) - 2, len(data) - 1):
        with pytest.raises(BadImage):
            picture.decode(data[:kept], name)


@pytest.mark.parametrize("suffix", [".bmp", ".webp"])
def test_other_formats_cut_short_are_refused(suffix):
    data = encoded(quadrants(), suffix)
    for kept in (20, len(data) // 2, len(data) - 3):
        with pytest.raises(BadImage):
            picture.decode(data[:kept], suffix)


def test_an_end_marker_inside_a_thumbnail_does_not_count():
    whole = encoded(quadrants(), ".jpg")
    body = b"thumbnail\x00" + whole  # ends in FF D9
    jpeg = whole[:2] + b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body + whole[2:]
    assert picture.decode(jpeg, "ok").shape == (48, 64, 3)
    with pytest.raises(BadImage, match="cut short"):
        picture.decode(jpeg[: len(body) + 200], "cut")


def test_damaged_pixels_are_refused():
    data = bytearray(encoded(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8), ".png"))
    at = data.index(b"IDAT") + 60
    data[at : at + 8] = bytes(8)
    with pytest.raises(BadImage, match="cannot be decoded"):
        picture.decode(bytes(data), "damaged.png")


BEGINNINGS = [encoded(quadrants(8, 8), suffix)[:60] for suffix in (".jpg", ".png", ".webp", ".bmp")]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(BEGINNINGS), st.binary(max_size=80), st.integers(0, 60))
def test_no_bytes_bring_another_error(beginning, tail, kept):
    try:
        image = picture.decode(beginning[:kept] + tail, "fuzz")
    except BadImage:
        return
    assert image.ndim == 3
