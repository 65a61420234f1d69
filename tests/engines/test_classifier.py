from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edgeos import manifest
from edgeos.engines.classifier import Classifier, ClassifierSettings, ClassifierSpec, prepared
from edgeos.engines.ort import OrtConfig
from edgeos.engines.settings import checked
from edgeos.errors import BadConfig, ModelIncompatible
from edgeos.events import CameraFrame
from edgeos.sources import picture

sys.path.insert(0, str(Path(__file__).parent.parent / "assets"))
from make_vision_models import make_classifier

PLAIN = ClassifierSettings(mean=(0, 0, 0), std=(255, 255, 255), size=8)


def colour(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((30, 40, 3), (red, green, blue), np.uint8)


@pytest.fixture
def tiny(tmp_path):
    def build(names=("red", "green", "blue"), settings=PLAIN, output="logits") -> Classifier:
        make_classifier(tmp_path / "model.onnx", output)
        (tmp_path / "labels.json").write_text(json.dumps(names))
        settings = msgspec.structs.replace(settings, output=output)
        spec = ClassifierSpec(tmp_path / "model.onnx", tmp_path / "labels.json", settings, OrtConfig(), "tiny")
        return spec.build()  # type: ignore[return-value]

    return build


def test_the_label_of_the_picture_with_its_time_and_source(tiny):
    (fact,) = tiny().look(CameraFrame(colour(0, 255, 0), 77, "test:"))
    assert (fact.kind, fact.value, fact.source, fact.t_ns) == ("label", "green", "tiny", 77)
    assert fact.confidence == pytest.approx(np.exp(10) / (np.exp(10) + 2), abs=1e-6)


def test_a_picture_that_could_be_anything_gives_no_fact(tiny):
    engine = tiny()
    assert engine.look(CameraFrame(colour(90, 90, 90), 0, "test:")) == ()
    assert engine.probabilities(colour(90, 90, 90)) == pytest.approx([1 / 3] * 3)


def test_facts_come_surest_first(tiny):
    engine = tiny(settings=msgspec.structs.replace(PLAIN, min_confidence=0.1))
    facts = engine.look(CameraFrame(colour(100, 120, 90), 0, "test:"))
    assert [fact.value for fact in facts] == ["green", "red", "blue"]
    assert [fact.confidence for fact in facts] == sorted((f.confidence for f in facts), reverse=True)


def test_kinds_of_print_are_no_facts(tiny):
    engine = tiny(names=("red", "web site", "blue"))
    assert engine.look(CameraFrame(colour(0, 255, 0), 0, "test:")) == ()
    assert engine.probabilities(colour(0, 255, 0)).argmax() == 1


def test_logits_and_probabilities_mean_the_same(tiny):
    image = colour(200, 30, 90)
    assert tiny(output="probabilities").probabilities(image) == pytest.approx(tiny().probabilities(image), abs=1e-6)


def test_the_middle_square_is_seen(tiny):
    image = colour(255, 0, 0)  # 30 x 40: five columns on each side are outside the square
    image[:, :5] = image[:, 35:] = (0, 255, 0)
    assert tiny().probabilities(image)[1] == pytest.approx(1 / (np.exp(10) + 2), rel=1e-3)
    narrow = msgspec.structs.replace(PLAIN, crop=0.5)
    image[:, :12] = image[:, 28:] = (0, 255, 0)
    assert prepared(image, narrow)[0, 1].max() == 0
    assert prepared(image, PLAIN)[0, 1].max() == 1


def test_input_is_normalised_rgb_and_shrinking_averages():
    settings = ClassifierSettings(mean=(1, 2, 3), std=(2, 4, 5), size=8)
    x = prepared(colour(11, 22, 33), settings)
    assert x.shape == (1, 3, 8, 8)
    assert x.dtype == np.float32
    assert x[0, :, 4, 4] == pytest.approx([5, 5, 6])
    board = np.indices((64, 64)).sum(axis=0)[:, :, None].repeat(3, 2) % 2 * 255
    assert prepared(board.astype(np.uint8), PLAIN) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 500, 3), (3000, 2, 3)])
def test_any_picture_has_probabilities(tiny, shape):
    assert tiny().probabilities(np.full(shape, 50, np.uint8)).sum() == pytest.approx(1, abs=1e-5)


def test_labels_that_do_not_fit_are_refused(tiny, tmp_path):
    with pytest.raises(ModelIncompatible, match=r"2 classes.*found 3"):
        tiny(names=("red", "green"))
    make_classifier(tmp_path / "model.onnx")
    (tmp_path / "labels.json").write_text('{"0": "red"}')
    with pytest.raises(ModelIncompatible, match="a JSON list of names"):
        ClassifierSpec(tmp_path / "model.onnx", tmp_path / "labels.json", PLAIN, OrtConfig()).build()


def test_settings_are_checked():
    good = {"mean": [127, 127, 127], "std": [128.0, 128.0, 128.0], "size": 224, "crop": 0.875}
    assert checked("m", good, ClassifierSettings).crop == 0.875
    for bad in ({"sise": 224}, {"size": "big"}, {"mean": [1, 2]}, {"output": "votes"}):
        with pytest.raises(BadConfig, match=r"settings of model m.*keys mean, std, size"):
            checked("m", good | bad, ClassifierSettings)


def test_the_starter_model_knows_the_photographs(starter, testdata):
    files = starter("efficientnet-lite0-int8")
    settings = checked("it", manifest.find("efficientnet-lite0-int8").settings, ClassifierSettings)
    engine = ClassifierSpec(files["model.onnx"], files["labels.json"], settings, OrtConfig()).build()
    wanted = {"parrot.jpg": "macaw", "taxis.jpg": "cab", "burger.jpg": "cheeseburger", "hot_dog_receipt.jpg": "hotdog"}
    for name, label in wanted.items():
        facts = engine.look(CameraFrame(picture.read(testdata / "photos" / name), 0, name))
        assert [fact.value for fact in facts] == [label], name
    for name in ("page_curved.png", "book_log.png", "nutrition_facts.jpg", "plate_arizona.jpg"):
        assert engine.look(CameraFrame(picture.read(testdata / "photos" / name), 0, name)) == (), name
