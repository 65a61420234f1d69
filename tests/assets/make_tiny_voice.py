"""Make a Piper voice of a few KB that hums: the true path of `edgeos.engines.piper`, offline and fast."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

RATE_HZ = 22_050
PER_ID = 512
"""Samples that the tiny voice makes of each id, at length scale 1."""

PHONEMES = "_^$ !',-.:;?abcdefhijklmnoprstuvwzæðŋɐɑɔəɚɛɜɡɪɹɾʃʊʌʒˈˌːθᵻ"


def make_tiny_voice(folder: Path, *, speakers: int = 1, loudness: float = 0.3) -> tuple[Path, Path]:
    """Write `voice.onnx` and `voice.onnx.json` and return both paths.

    Ids [1, n] become [1, 1, 1, 512 n length_scale] samples: a sine of peak `loudness` for every id that is a letter,
    silence for the others. Noise of 1/100 of the noise scale comes from a RandomNormalLike node without a seed, as in a
    real voice. With several speakers the input `sid` divides the loudness by 1 + sid.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    constants = {
        "letters": np.int64(PHONEMES.index("a") - 1),
        "per_id": np.float32([PER_ID]),
        "one_one": np.int64([1, 1]),
        "column": np.int64([2]),
        "flat": np.int64([-1]),
        "shape": np.int64([1, 1, 1, -1]),
        "first": np.int64([0]),
        "second": np.int64([1]),
        "third": np.int64([2]),
        "axis": np.int64(0),
        "zero": np.float32(0),
        "step": np.float32(2 * np.pi * 220 / RATE_HZ),
        "hundredth": np.float32(0.01),
        "one": np.float32([1]),
        "loudness": np.float32([loudness]),
    }
    node = helper.make_node
    nodes = [
        node("Slice", ["scales", "first", "second"], ["noise_scale"]),
        node("Slice", ["scales", "second", "third"], ["length_scale"]),
        node("Mul", ["length_scale", "per_id"], ["per"]),
        node("Cast", ["per"], ["per_int"], to=TensorProto.INT64),
        node("Concat", ["one_one", "per_int"], ["repeats"], axis=0),
        node("Greater", ["input", "letters"], ["is_letter"]),
        node("Cast", ["is_letter"], ["letter"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["letter", "column"], ["letter_column"]),
        node("Tile", ["letter_column", "repeats"], ["held"]),
        node("Reshape", ["held", "flat"], ["envelope"]),
        node("Mul", ["envelope", "zero"], ["zeros"]),
        node("Add", ["zeros", "step"], ["steps"]),
        node("CumSum", ["steps", "axis"], ["phase"]),
        node("Sin", ["phase"], ["tone"]),
        node("RandomNormalLike", ["zeros"], ["normal"], dtype=TensorProto.FLOAT),
        node("Mul", ["normal", "noise_scale"], ["scaled"]),
        node("Mul", ["scaled", "hundredth"], ["noise"]),
        node("Add", ["tone", "noise"], ["sound"]),
        node("Mul", ["sound", "envelope"], ["voiced"]),
        node("Mul", ["voiced", "loudness"], ["loud"]),
        node("Reshape", ["loud", "shape"], ["output"]),
    ]
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, "n"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    if speakers > 1:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
        nodes[-1:] = [
            node("Cast", ["sid"], ["speaker"], to=TensorProto.FLOAT),
            node("Add", ["speaker", "one"], ["speakers"]),
            node("Div", ["loud", "speakers"], ["shared"]),
            node("Reshape", ["shared", "shape"], ["output"]),
        ]
    graph = helper.make_graph(
        nodes,
        "voice",
        inputs,
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "m"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    path, config = folder / "voice.onnx", folder / "voice.onnx.json"
    onnx.save(model, path)
    config.write_text(
        json.dumps(
            {
                "audio": {"sample_rate": RATE_HZ, "quality": "tiny"},
                "espeak": {"voice": "en-us"},
                "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
                "phoneme_type": "espeak",
                "phoneme_id_map": {p: [i] for i, p in enumerate(PHONEMES)},
                "num_speakers": speakers,
            }
        )
    )
    return path, config
