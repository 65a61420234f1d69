"""The CTranslate2 reader, on a file laid out as CTranslate2's converter does."""

from __future__ import annotations

import numpy as np
import pytest
from assets.make_ct2_whisper import serialized, weights

from edgeos.errors import ModelIncompatible
from edgeos_quantize import ct2


@pytest.fixture
def made(tmp_path):
    def write(data):
        path = tmp_path / "model.bin"
        path.write_bytes(data)
        return path

    return write


def test_every_variable_comes_back_as_written(made):
    wanted = weights()
    model = ct2.read(made(serialized(wanted)))
    assert (model.spec, model.revision) == ("WhisperSpec", 3)
    assert set(model.weights) == {*wanted, "decoder/projection/weight"}
    for name, value in wanted.items():
        assert model.weights[name].dtype == value.dtype
        np.testing.assert_array_equal(model.weights[name], value)


def test_an_alias_is_what_it_stands_for(made):
    model = ct2.read(made(serialized(weights())))
    assert model.weights["decoder/projection/weight"] is model.weights["decoder/embeddings/weight"]


@pytest.mark.parametrize("kept", [0, 3, 20, 5000, -1])
def test_a_file_cut_anywhere_is_refused_by_name(made, kept):
    path = made(serialized(weights())[:kept])
    with pytest.raises(ModelIncompatible, match=r"model\.bin.*version 6, complete"):
        ct2.read(path)


def test_another_version_is_refused(made):
    with pytest.raises(ModelIncompatible, match="found version 5"):
        ct2.read(made(serialized(weights(), version=5)))


def test_a_data_type_that_numpy_lacks_is_refused(made):
    data = serialized({"x": np.zeros(2, np.float32), "decoder/embeddings/weight": np.zeros((2, 2), np.float32)})
    bfloat16 = data.replace(b"\x00" + (8).to_bytes(4, "little"), b"\x05" + (8).to_bytes(4, "little"), 1)
    with pytest.raises(ModelIncompatible, match="data type id 5"):
        ct2.read(made(bfloat16))
