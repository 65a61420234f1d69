"""A tiny random Whisper, from its CTranslate2 file to int8 ONNX, against Transformers running the same weights."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="pip install 'edgeos[quantize]'")
pytest.importorskip("transformers", reason="pip install 'edgeos[quantize]'")
pytest.importorskip("optimum.exporters.onnx", reason="pip install 'edgeos[quantize]'")
pytest.importorskip("onnx", reason="pip install 'edgeos[quantize]'")

import onnx
import onnxruntime
import torch
from assets.make_ct2_whisper import HEADS, MELS, PIECES, POSITIONS, WIDTH, serialized, weights, write

from edgeos.errors import ModelIncompatible
from edgeos_quantize import ct2, methods, whisper_export, whisper_weights

pytestmark = pytest.mark.filterwarnings("ignore")  # torch, transformers and optimum warn about each other

LAYERS = 2
TOKENS = np.random.default_rng(1).integers(0, len(PIECES), 40)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    return whisper_weights.to_transformers(ct2.read(write(folder)["model.bin"]))


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("float")
    whisper_export.export(model, folder)
    return folder


def shrunk(source, folder):
    methods.share_table(source / "decoder.onnx", folder / "decoder.onnx")
    methods.dynamic_int8(folder / "decoder.onnx", folder / "decoder.onnx", reduce_range=True)
    methods.dynamic_int8(source / "encoder.onnx", folder / "encoder.onnx", reduce_range=True)
    return folder


@pytest.fixture(scope="module")
def int8(exported, tmp_path_factory):
    return shrunk(exported, tmp_path_factory.mktemp("int8"))


def mel(frames):
    return np.random.default_rng(2).standard_normal((1, MELS, frames), np.float32)


def run(path, feed):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def teacher_forced(folder, sound, chunks):
    """Scores after each of TOKENS, fed in pieces of these lengths over one growing cache."""
    cross = run(folder / "encoder.onnx", {"mel": sound})
    past = {f"past_{p}_{i}": np.zeros((1, HEADS, 0, WIDTH // HEADS), np.float32) for p in "kv" for i in range(LAYERS)}
    logits, at = [], 0
    for count in chunks:
        found = run(folder / "decoder.onnx", {"tokens": TOKENS[None, at : at + count], **past, **cross})
        logits.append(found.pop("logits")[0])
        past = {name.replace("present", "past"): value for name, value in found.items()}
        at += count
        assert past["past_k_0"].shape == (1, HEADS, at, WIDTH // HEADS)
    return np.concatenate(logits)


def wanted(model, sound):
    with torch.no_grad():
        return model(input_features=torch.from_numpy(sound), decoder_input_ids=torch.from_numpy(TOKENS[None])).logits[0]


@pytest.mark.parametrize("chunks", [(40,), (2, *[1] * 38), (1, 39), (2, 5, 10, 1, 1, 21)])
def test_any_split_of_the_tokens_gives_the_scores_of_transformers(model, exported, chunks):
    sound = mel(2 * POSITIONS)
    np.testing.assert_allclose(teacher_forced(exported, sound, chunks), wanted(model, sound), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("frames", [1000, 1302])
def test_a_shorter_window_is_a_model_with_fewer_positions(exported, frames):
    values = weights()
    key = "encoder/position_encodings/encodings"
    values[key] = values[key][: frames // 2]
    aliased = values | {"decoder/projection/weight": values["decoder/embeddings/weight"]}
    shorter = whisper_weights.to_transformers(ct2.Ct2Model("WhisperSpec", 3, aliased))
    sound = mel(frames)
    found = teacher_forced(exported, sound, (2, 38))
    np.testing.assert_allclose(found, wanted(shorter, sound), atol=1e-4, rtol=1e-4)


def test_keys_and_values_have_the_shapes_of_the_contract(exported):
    found = run(exported / "encoder.onnx", {"mel": mel(1000)})
    assert {name: value.shape for name, value in found.items()} == {
        f"cross_{part}_{index}": (1, HEADS, 500, WIDTH // HEADS) for part in "kv" for index in range(LAYERS)
    }


def test_int8_is_near_float_and_knows_one_table_only(exported, int8):
    sound = mel(1000)
    before, after = (teacher_forced(folder, sound, (2, 38)) for folder in (exported, int8))
    assert not np.array_equal(before, after)
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.99
    tables = [
        t for t in onnx.load(int8 / "decoder.onnx").graph.initializer if len(PIECES) in t.dims and len(t.dims) > 1
    ]
    assert [(t.data_type, list(t.dims)) for t in tables] == [(onnx.TensorProto.INT8, [WIDTH, len(PIECES)])]


def test_rows_keep_their_sign_and_scale_and_an_empty_row_stays_empty():
    table = np.array([[1.0, -2.0], [0.0, 0.0], [0.5, 0.25]], np.float32)
    quantized, scale = methods.rows_to_int8(table)
    assert quantized.tolist() == [[64, -127], [0, 0], [127, 64]]
    np.testing.assert_allclose(quantized * scale[:, None], table, atol=0.01)


def test_the_same_weights_give_the_same_bytes(model, int8, tmp_path):
    (tmp_path / "float").mkdir()
    (tmp_path / "int8").mkdir()
    whisper_export.export(model, tmp_path / "float")
    again = shrunk(tmp_path / "float", tmp_path / "int8")
    for name in ("encoder.onnx", "decoder.onnx"):
        assert (again / name).read_bytes() == (int8 / name).read_bytes()


def test_weights_of_something_else_are_refused(tmp_path):
    (tmp_path / "model.bin").write_bytes(serialized(weights(), spec="TransformerSpec"))
    with pytest.raises(ModelIncompatible, match="found TransformerSpec"):
        whisper_weights.to_transformers(ct2.read(tmp_path / "model.bin"))
    lacking = weights()
    del lacking["decoder/layer_1/ffn/linear_1/bias"]
    (tmp_path / "model.bin").write_bytes(serialized(lacking))
    with pytest.raises(ModelIncompatible, match="linear_1/bias"):
        whisper_weights.to_transformers(ct2.read(tmp_path / "model.bin"))


def test_a_decoder_whose_head_is_not_its_embedding_cannot_share(exported, tmp_path):
    model = onnx.load(exported / "decoder.onnx")
    head = next(node for node in model.graph.node if node.output[0] == "logits")
    table = next(t for t in model.graph.initializer if t.name == head.input[1])
    values = np.array(onnx.numpy_helper.to_array(table))
    values[0, 0] += 1
    table.CopyFrom(onnx.numpy_helper.from_array(values, table.name))
    onnx.save(model, tmp_path / "decoder.onnx")
    with pytest.raises(ModelIncompatible, match="two matrices"):
        methods.share_table(tmp_path / "decoder.onnx", tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()
