from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeos import manifest
from edgeos.engines.ort import OrtConfig
from edgeos.engines.ppocr import Ppocr, PpocrSettings, PpocrSpec, boxes_of, ctc, is_text
from edgeos.engines.reading import Line, join_lines
from edgeos.engines.settings import checked
from edgeos.errors import BadConfig, ModelIncompatible
from edgeos.events import CameraFrame
from edgeos.sources import picture

sys.path.insert(0, str(Path(__file__).parent.parent / "assets"))
from make_vision_models import make_detector, make_recognizer


def page(*lines: tuple[str, int, int, int], size: tuple[int, int] = (640, 480), ground: int = 250) -> np.ndarray:
    """Text in black: (text, x, baseline y, height of a capital in pixels)."""
    image = np.full((size[1], size[0], 3), ground, np.uint8)
    for text, x, y, height in lines:
        thick = max(1, height // 12)
        scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, height, thick)
        cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (20, 20, 20), thick, cv2.LINE_AA)
    return image


WHITEBOARD = page(("MEETING AT 3 PM", 60, 200, 40), ("Bring the plan", 60, 300, 40))


# ---------------------------------------------------------------- the real models


@pytest.fixture(scope="module")
def reader(starter) -> Ppocr:
    files = starter("pp-ocrv6-small")
    settings = checked("ocr", manifest.find("pp-ocrv6-small").settings, PpocrSettings)
    spec = PpocrSpec(files["PP-OCRv6_det_small.onnx"], files["PP-OCRv6_rec_small.onnx"], settings, OrtConfig())
    return spec.build()  # type: ignore[return-value]


def texts(reader: Ppocr, image: np.ndarray) -> list[str]:
    return [line.text for line in reader.read(np.ascontiguousarray(image))]


def test_a_whiteboard_gives_facts_from_top_to_bottom(reader):
    facts = reader.look(CameraFrame(WHITEBOARD, 123, "test:"))
    assert [fact.value for fact in facts] == ["MEETING AT 3 PM", "Bring the plan"]
    assert {(fact.kind, fact.source, fact.t_ns) for fact in facts} == {("text", "pp-ocr", 123)}
    assert all(0.9 < fact.confidence <= 1 for fact in facts)


def test_the_place_of_a_line_is_where_it_was_written(reader):
    (first, _) = reader.read(WHITEBOARD)
    (left, top), (right, bottom) = first.quad.min(axis=0), first.quad.max(axis=0)
    assert 35 < left < 62
    assert 145 < top < 170
    assert 198 < bottom < 218
    assert 380 < right < 520


def test_rows_are_read_before_columns(reader):
    image = page(
        *[
            (text, x, y, 24)
            for y, row in ((100, ("Monday", "Tuesday")), (180, ("Bread", "Milk")))
            for x, text in zip((40, 380), row, strict=True)
        ]
    )
    assert texts(reader, image) == ["Monday", "Tuesday", "Bread", "Milk"]


@pytest.mark.parametrize("height", [14, 18, 24, 40, 90])
def test_sizes_from_14_pixels(reader, height):
    assert texts(reader, page(("Gate 47", 40, 200, height))) == ["Gate 47"]


def test_small_print_on_a_large_picture(reader):
    lines = [f"Platform {k} leaves at 1{k}:45" for k in range(4)]
    image = page(*[(line, 40, 100 + 90 * k, 14 + 6 * k) for k, line in enumerate(lines)], size=(1280, 720))
    assert texts(reader, image) == lines


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_a_page_on_its_side_or_upside_down_keeps_its_order(reader, quarter_turns):
    assert texts(reader, np.rot90(WHITEBOARD, quarter_turns)) == ["MEETING AT 3 PM", "Bring the plan"]


@pytest.mark.parametrize("degrees", [-20, -8, 8, 20])
def test_a_tilted_page(reader, degrees):
    turn = cv2.getRotationMatrix2D((320, 240), degrees, 0.8)
    tilted = cv2.warpAffine(WHITEBOARD, turn, (640, 480), borderValue=(250, 250, 250))
    assert texts(reader, tilted) == ["MEETING AT 3 PM", "Bring the plan"]


def test_a_file_turned_by_exif_is_read_upright(reader):
    ok, jpeg = cv2.imencode(".jpg", np.rot90(WHITEBOARD)[:, :, ::-1])
    assert ok
    exif = b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00" + bytes(4)
    data = jpeg.tobytes()
    data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:]
    image = picture.decode(data, "phone.jpg")
    assert image.shape == WHITEBOARD.shape
    assert texts(reader, image) == ["MEETING AT 3 PM", "Bring the plan"]


def test_light_writing_on_a_dark_ground(reader):
    assert texts(reader, 255 - WHITEBOARD) == ["MEETING AT 3 PM", "Bring the plan"]


@pytest.mark.parametrize(
    "image",
    [
        page(),
        page(ground=0),
        np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8),
        np.zeros((4, 300, 3), np.uint8),
        np.zeros((300, 9, 3), np.uint8),
    ],
    ids=["white", "black", "noise", "flat", "narrow"],
)
def test_where_nothing_is_written_nothing_is_read(reader, image):
    assert reader.read(image) == []


def test_patterns_on_photographs_are_no_text(reader, testdata):
    for name in ("cat_chelsea.png", "desk_objects.jpg", "restaurant.jpg", "beagle.jpg"):
        assert reader.read(picture.read(testdata / "photos" / name)) == [], name


def test_photographs_of_text(reader, testdata):
    plate = texts(reader, picture.read(testdata / "photos" / "plate_alaska.jpg"))
    assert plate[0].strip("-") == "ALASKA"  # the mountains beside it may pass for a dash
    assert plate[1:] == ["USA907", "MOOSE COUNTRY"]
    log = texts(reader, picture.read(testdata / "photos" / "book_log.png"))
    assert log[0] == 'Setting default log level to "WARN".'
    assert log[2] == "Spark context Web UI available at http://rally1.fyre.ibm.com:4040"
    assert len(log) == 6
    sign = texts(reader, picture.read(testdata / "photos" / "paris_signpost.jpg"))
    assert "Palais du LOUVRE" in sign  # the column icon before it is no letter


# ---------------------------------------------------------------- our own steps, on tiny models


@pytest.fixture
def tiny(tmp_path):
    def build(settings: PpocrSettings) -> Ppocr:
        make_detector(tmp_path / "det.onnx")
        make_recognizer(tmp_path / "rec.onnx")
        return PpocrSpec(tmp_path / "det.onnx", tmp_path / "rec.onnx", settings, OrtConfig()).build()  # type: ignore[return-value]

    return build


def bars(count: int) -> np.ndarray:
    image = np.full((544, 544, 3), 255, np.uint8)
    for k in range(count):
        image[20 + 40 * k : 36 + 40 * k, 50 : 200 + 10 * k] = 0
    return image


def test_one_line_per_bar_and_the_largest_where_there_are_too_many(tiny):
    one_letter = PpocrSettings()
    lines = tiny(one_letter).read(bars(5))
    assert [line.text for line in lines] == ["A"] * 5
    assert [round(float(line.quad[0, 1])) for line in lines] == sorted(round(float(x.quad[0, 1])) for x in lines)
    few = tiny(PpocrSettings(max_fragments=2)).read(bars(5))
    assert len(few) == 2
    assert min(line.quad[:, 1].min() for line in few) > 120  # the last two are the longest


def test_a_recognizer_without_its_characters_is_refused(tmp_path):
    make_detector(tmp_path / "det.onnx")
    for name, make in {
        "none": lambda path: make_recognizer(path, (), classes=4),
        "other": lambda path: make_recognizer(path, ("A", "B"), classes=9),
    }.items():
        make(tmp_path / f"{name}.onnx")
        spec = PpocrSpec(tmp_path / "det.onnx", tmp_path / f"{name}.onnx", PpocrSettings(), OrtConfig())
        with pytest.raises(ModelIncompatible, match="a character list of"):
            spec.build()


def test_settings_are_checked():
    with pytest.raises(BadConfig, match=r"settings of model ocr.*alphabet"):
        checked("ocr", {"alphabet": "runes"}, PpocrSettings)


def test_a_box_grows_by_area_over_perimeter():
    heat = np.zeros((100, 200), np.float32)
    heat[40:60, 50:150] = 0.9
    (box,) = boxes_of(heat)
    (left, top), (right, bottom) = box.min(axis=0), box.max(axis=0)
    # 100 x 20 pixels, one more of each by the dilation: 1.6 * area / perimeter, on every side.
    grow = 1.6 * 100 * 20 / (2 * (100 + 20))
    assert [left, top] == pytest.approx([50 - grow, 40 - grow], abs=1.5)
    assert [right, bottom] == pytest.approx([150 + grow, 60 + grow], abs=1.5)


def test_faint_and_tiny_blobs_are_no_boxes():
    heat = np.zeros((100, 200), np.float32)
    heat[10:30, 10:90] = 0.35  # a text pixel each, and no text box on the mean
    heat[60:62, 60:61] = 1.0
    assert boxes_of(heat) == []


def test_ctc_merges_repeats_unless_a_blank_parts_them():
    steps = np.array([1, 1, 0, 1, 2, 2, 0, 0, 3, 4, 3])
    probabilities = np.full((len(steps), 5), 0.05, np.float32)
    probabilities[np.arange(len(steps)), steps] = 0.8
    text, confidence = ctc(probabilities, ["", "l", "o", " ", "x"])
    assert text == "llo x"
    assert confidence == pytest.approx(0.8)
    assert ctc(np.eye(5, dtype=np.float32)[[0, 0, 0]], ["", "l", "o", " ", "x"]) == ("", 0.0)
    assert ctc(np.eye(5, dtype=np.float32)[[3, 0, 3]], ["", "l", "o", " ", "x"]) == ("", 0.0)


@pytest.mark.parametrize(
    ("text", "confidence", "worth"),
    [("EXIT", 0.7, True), ("EXIT", 0.5, False), ("9", 0.95, False), ("9", 0.99, True), ("--", 0.99, False)],
)
def test_what_is_worth_a_fact(text, confidence, worth):
    assert is_text(Line(text, confidence, np.zeros((4, 2), np.float32)), 0.6) is worth


# ---------------------------------------------------------------- reading order


def fragment(text: str, x: float, y: float, width: float = 50, height: float = 20, confidence: float = 1.0) -> Line:
    quad = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)
    return Line(text, confidence, quad)


def turned(line: Line, degrees: float) -> Line:
    a = np.deg2rad(degrees)
    rotation = np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    return Line(line.text, line.confidence, (line.quad @ rotation).astype(np.float32))


PARAGRAPH = [
    fragment("the", 0, 0),
    fragment("quick", 58, 2),
    fragment("fox", 116, -2),
    fragment("jumps", 0, 26),
    fragment("price", 300, 0),
    fragment("high", 60, 27),
]


@pytest.mark.parametrize("degrees", [0, 15, -30, 90, 180, 270])
@pytest.mark.parametrize("seed", range(4))
def test_fragments_join_where_they_are_near_whatever_their_order_and_tilt(degrees, seed):
    shuffled = [turned(PARAGRAPH[i], degrees) for i in np.random.default_rng(seed).permutation(len(PARAGRAPH))]
    assert [line.text for line in join_lines(shuffled)] == ["the quick fox", "price", "jumps high"]


def test_a_joined_line_covers_its_fragments():
    (line,) = join_lines([fragment("ab", 0, 0, confidence=0.9), fragment("cdefgh", 55, 0, confidence=0.5)])
    assert line.confidence == pytest.approx(0.6)
    assert line.quad[:, 0].min() == 0
    assert line.quad[:, 0].max() == 105


def test_a_heading_does_not_join_small_print_beside_it():
    lines = join_lines([fragment("SALE", 0, 0, 100, 60), fragment("today only", 110, 35, 60, 14)])
    assert [line.text for line in lines] == ["SALE", "today only"]
    assert join_lines([]) == []
