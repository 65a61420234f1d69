"""What the vision models find on the project's photographs.

    python benchmarks/vision.py [--threads 1]                      needs the extra `quantize`

Labels: top-1 and top-5 hit rate of the shipped int8 model, beside the float PyTorch model that it was made from. A
picture counts where the manifest names labels and does not say "do not score". Facts: of the labels above the
threshold, how many are right, and which appear on pictures whose labels are unknown.

Text: character error rate over the fields `text_in_image`. Each field is compared with the piece of the text read,
lines joined by spaces in reading order, that matches it best (edit distance with free ends); case and punctuation
count, runs of spaces and the shape of quotes do not, and a zero equals an O where the manifest says so. Legible is
every picture that has fields, except those whose `text_note` says "hard case": these are listed apart.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import unicodedata
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from common import median_ratio, versions, write

from edgeos import manifest
from edgeos.engines.classifier import Classifier, ClassifierSettings, ClassifierSpec, prepared
from edgeos.engines.ort import OrtConfig
from edgeos.engines.ppocr import Ppocr, PpocrSettings, PpocrSpec
from edgeos.engines.settings import checked
from edgeos.events import CameraFrame
from edgeos.sources import picture
from edgeos.store import Store

ROOT = Path(__file__).resolve().parent.parent
TESTDATA = Path(os.environ.get("EDGEOS_TESTDATA", ROOT.parent / "shared" / "testdata"))


def photographs() -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (TESTDATA / "manifest.jsonl").read_text().splitlines()]
    photos = [row for row in rows if row["kind"] == "photos"]
    return [{**row, "name": Path(row["path"]).stem, "image": picture.read(TESTDATA / row["path"])} for row in photos]


# ---------------------------------------------------------------- labels


def classifier(threads: int) -> tuple[Classifier, ClassifierSettings]:
    model = manifest.find("efficientnet-lite0-int8")
    files = Store().files(model)
    settings = checked(model.id, model.settings, ClassifierSettings)
    return Classifier(ClassifierSpec(files["model.onnx"], files["labels.json"], settings, OrtConfig(threads))), settings


def float_scores(threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """The float PyTorch model that ours was made from: [1, 3, s, s] -> [classes] scores."""
    import torch

    from edgeos import data
    from edgeos.fetch import Quiet
    from edgeos_quantize import efficientnet, recipe

    store, source = Store(data.cache() / "quantize"), recipe.load(recipe.locate("efficientnet-lite0-int8")).source()
    store.pull(source, Quiet())
    torch.set_num_threads(threads)
    network = efficientnet.load(store.files(source)["weights.pth"])

    def scores(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(x))[0].numpy()

    return scores


def hits(labels: list[str], ranked: np.ndarray, row: dict[str, Any]) -> tuple[bool, bool]:
    names = [labels[i] for i in ranked[:5]]
    return names[0] in row["labels"], any(name in row["labels"] for name in names)


def measure_labels(photos: list[dict[str, Any]], threads: int) -> dict[str, Any]:
    engine, settings = classifier(threads)
    reference = float_scores(threads)
    scored = [row for row in photos if row["labels"] and "do not score" not in row.get("labels_note", "")]
    ours: list[float] = []
    theirs: list[float] = []
    got: dict[str, list[tuple[bool, bool]]] = {"int8": [], "float": []}
    agree = 0
    engine.probabilities(photos[0]["image"])
    for row in scored:
        begun = perf_counter()
        ranked = np.argsort(-engine.probabilities(row["image"]))
        ours.append(perf_counter() - begun)
        begun = perf_counter()
        float_ranked = np.argsort(-reference(prepared(row["image"], settings)))
        theirs.append(perf_counter() - begun)
        got["int8"].append(hits(engine.labels, ranked, row))
        got["float"].append(hits(engine.labels, float_ranked, row))
        agree += bool(ranked[0] == float_ranked[0])
    result: dict[str, Any] = {"pictures": len(scored), "ms": 1000 * statistics.median(ours)}
    for name, found in got.items():
        result[f"top1_{name}"], result[f"top5_{name}"] = (sum(hit) / len(found) for hit in zip(*found, strict=True))
    result |= {"same_top1": agree / len(scored), "time_ratio_int8_to_float": median_ratio(ours, theirs)}
    return result | {"facts": measure_facts(engine, photos, scored)}


def measure_facts(
    engine: Classifier, photos: list[dict[str, Any]], scored: list[dict[str, Any]]
) -> dict[str, int | list[str]]:
    right = wrong = pictures = 0
    unknown: list[str] = []
    for row in photos:
        values = [fact.value for fact in engine.look(CameraFrame(row["image"], 0, row["path"]))]
        if row in scored:
            right += sum(value in row["labels"] for value in values)
            wrong += sum(value not in row["labels"] for value in values)
            pictures += any(value in row["labels"] for value in values)
        elif not row["labels"]:
            unknown += [f"{row['name']}: {value}" for value in values]
    return {"right": right, "wrong": wrong, "pictures_with_a_right_one": pictures, "on_unlabelled_pictures": unknown}


# ---------------------------------------------------------------- text


def plain(text: str) -> str:
    for curly, straight in (("’", "'"), ("‘", "'"), ("“", '"'), ("”", '"')):
        text = text.replace(curly, straight)
    return " ".join(unicodedata.normalize("NFC", text).split())


def field_errors(field: str, text: str) -> int:
    """Edit distance between `field` and the piece of `text` that is nearest to it."""
    row = [0] * (len(text) + 1)
    for i, letter in enumerate(field, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(text, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (letter != other))
    return min(row)


def measure_text(photos: list[dict[str, Any]], threads: int) -> dict[str, Any]:
    model = manifest.find("pp-ocrv6-small")
    files = Store().files(model)
    settings = checked(model.id, model.settings, PpocrSettings)
    det, rec = files["PP-OCRv6_det_small.onnx"], files["PP-OCRv6_rec_small.onnx"]
    engine = Ppocr(PpocrSpec(det, rec, settings, OrtConfig(threads)))
    pictures: dict[str, Any] = {}
    nothing_written: list[str] = []
    times: list[float] = []
    for row in photos:
        begun = perf_counter()
        lines = engine.read(row["image"])
        seconds = perf_counter() - begun
        times.append(seconds)
        if not row["text_in_image"]:
            nothing_written += [f"{row['name']}: {line.text}" for line in lines]
            continue
        text, same = plain(" ".join(line.text for line in lines)), "zero" in row.get("text_note", "")
        fields = [plain(field) for field in row["text_in_image"]]
        if same:
            text, fields = text.replace("O", "0"), [field.replace("O", "0") for field in fields]
        errors, letters = sum(field_errors(field, text) for field in fields), sum(map(len, fields))
        pictures[row["name"]] = {
            "cer": errors / letters,
            "errors": errors,
            "characters": letters,
            "lines": len(lines),
            "seconds": seconds,
            "hard": "hard case" in row.get("text_note", ""),
        }
    result: dict[str, Any] = {}
    for kind, hard in (("legible", False), ("hard", True)):
        chosen = [entry for entry in pictures.values() if entry["hard"] is hard]
        errors, letters = (sum(entry[key] for entry in chosen) for key in ("errors", "characters"))
        result[kind] = {"pictures": len(chosen), "errors": errors, "characters": letters, "cer": errors / letters}
    return result | {
        "seconds_median": statistics.median(times),
        "seconds_max": max(times),
        "read_on_other_pictures": nothing_written,
        "per_picture": pictures,
    }


def tables(labels: dict[str, Any], text: dict[str, Any]) -> list[list[str]]:
    """Rows for the README."""
    ratio, low, high = labels["time_ratio_int8_to_float"]
    legible, hard = text["legible"], text["hard"]
    return [
        [
            f"labels: a right name among the first five, {labels['pictures']} photographs",
            f"{labels['top5_int8']:.1%}",
            f"{labels['top5_float']:.1%} the float model in PyTorch",
        ],
        ["labels: time per picture", f"{ratio:.2f} ({low:.2f} to {high:.2f}) of PyTorch's", f"{labels['ms']:.0f} ms"],
        [
            f"text read: wrong characters, {legible['pictures']} pictures of legible text",
            f"{legible['cer']:.1%}",
            f"goal 10 %; {hard['cer']:.1%} on {hard['pictures']} hard ones (tilted, arched)",
        ],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    photos = photographs()
    row = {
        "threads": args.threads,
        "labels": measure_labels(photos, args.threads),
        "text": measure_text(photos, args.threads),
        "versions": versions("onnxruntime", "opencv-python-headless", "torch"),
    }
    row["table"] = tables(row["labels"], row["text"])
    print(json.dumps(row, indent=2, ensure_ascii=False))
    print(write("vision", row))


if __name__ == "__main__":
    main()
