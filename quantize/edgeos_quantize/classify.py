"""The family `efficientnet_lite0`: weights of PyTorch -> ONNX -> static int8, scored by the names it finds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from edgeos.engines.classifier import ClassifierSettings, prepared
from edgeos.errors import BadConfig
from edgeos.manifest import Setting
from edgeos.sources import picture
from edgeos_quantize import graph, methods, pictures, testset
from edgeos_quantize.family import Contract, DataFile, Measured
from edgeos_quantize.measure import divergence, open_session, paired, score
from edgeos_quantize.recipe import Recipe, StaticInt8

WEIGHTS, SYNSETS, LEMMAS = "weights.pth", "synsets.txt", "lemmas.txt"
ROUNDS = 60


class Classify:
    """See `family.Family`."""

    metrics = frozenset({"top1", "top5"})

    def reference(self, recipe: Recipe, files: Mapping[str, Path], folder: Path) -> Contract:
        """Write `model.onnx` and `labels.json`."""
        from edgeos_quantize import efficientnet

        model = folder / "model.onnx"
        network = efficientnet.load(files[WEIGHTS])
        efficientnet.export(network, model)
        graph.fold_constants(model)
        graph.fold_pads(model)
        (folder / "labels.json").write_text(json.dumps(names_of(files), indent=0) + "\n", encoding="utf-8")
        size, classes = efficientnet.SIZE, efficientnet.CLASSES
        return Contract(
            inputs={"image": f"float32 [1, 3, {size}, {size}], RGB, (pixel - mean) / std"},
            outputs={"logits": f"float32 [1, {classes}], in the order of labels.json"},
            settings={**recipe.settings, "size": size, "output": "logits"},
            parameters=sum(weight.numel() for weight in network.parameters()),
            export_difference=efficientnet.difference(network, _runner(model)),
        )

    def shrink(self, recipe: Recipe, contract: Contract, reference: Path, folder: Path, data: Path) -> None:
        """Calibrate on the photographs that are not scored: those without a known label."""
        if not isinstance(recipe.method, StaticInt8):
            raise BadConfig(
                f"recipe {recipe.id}",
                expected="method static_int8",
                found="dynamic_int8",
                fix="convolutions need ranges",
            )
        methods.static_int8(
            reference / "model.onnx",
            folder / "model.onnx",
            _calibration(data, _settings(contract.settings)),
            reduce_range=recipe.method.reduce_range,
        )
        (folder / "labels.json").write_bytes((reference / "labels.json").read_bytes())

    def evaluate(self, contract: Contract, reference: Path, small: Path, data: Path) -> Measured:
        """Score on the photographs with known labels; compare the probabilities on the same."""
        found = testset.photos(data)
        scored = [photo for photo in found if photo.labels]
        settings = _settings(contract.settings)
        names: list[str] = json.loads((small / "labels.json").read_text(encoding="utf-8"))
        inputs = [prepared(picture.read(photo.path), settings) for photo in scored]
        before, after = (_runner(folder / "model.onnx") for folder in (reference, small))
        one, two = pictures.run_all(before, inputs), pictures.run_all(after, inputs)
        best = pictures.ranked(one, names), pictures.ranked(two, names)
        scores = tuple(
            score(
                f"top{among}",
                f"photographs with a right name among the best {among}",
                *(pictures.hits(ranks, scored, among) for ranks in best),
                higher_is_better=True,
            )
            for among in (1, 5)
        )
        timings = (
            paired(
                "load", lambda: open_session(reference / "model.onnx"), lambda: open_session(small / "model.onnx"), 7
            ),
            paired("one picture", lambda: before(inputs[0]), lambda: after(inputs[0]), ROUNDS),
        )
        used = tuple(
            DataFile(p.path.relative_to(data).as_posix(), p.sha256, "scoring" if p.labels else "calibration")
            for p in found
        )
        return Measured(scores, divergence(one, two), timings, used)


def names_of(files: Mapping[str, Path]) -> list[str]:
    """The 1000 ImageNet classes in order, each by the first lemma of its WordNet synset ("tabby", "hotdog")."""
    lines = files[LEMMAS].read_text(encoding="utf-8").splitlines()
    lemmas = dict(line.split("\t", 1) for line in lines if "\t" in line)
    return [lemmas[synset].split(",")[0] for synset in files[SYNSETS].read_text(encoding="utf-8").split()]


def _settings(values: Mapping[str, Setting]) -> ClassifierSettings:
    return msgspec.convert(dict(values), ClassifierSettings)


def _calibration(data: Path, settings: ClassifierSettings) -> Iterator[dict[str, NDArray[np.float32]]]:
    for photo in testset.photos(data):
        if not photo.labels:
            yield from ({"image": prepared(view, settings)} for view in pictures.views(picture.read(photo.path)))


def _runner(path: Path) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    session = open_session(path)
    return lambda image: np.asarray(session.run(["logits"], {"image": image})[0], np.float32)
