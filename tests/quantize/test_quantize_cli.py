"""`edgeos quantize`: what a person types and reads."""

from __future__ import annotations

import json
import subprocess
import sys

from typer.testing import CliRunner

from edgeos.errors import FileMissing, UnknownName
from edgeos_quantize import cli
from edgeos_quantize.recipe import packaged


def run(*words):
    return CliRunner().invoke(cli.app, list(words))


def test_list_names_every_recipe():
    rows = json.loads(run("list", "--json").output)["recipes"]
    assert [row["id"] for row in rows] == list(packaged())
    shown = run("list").output
    assert all(name in shown for name in packaged())


def test_every_command_has_help_with_an_example():
    for words in (["--help"], ["list", "--help"], ["run", "--help"]):
        result = run(*words)
        assert result.exit_code == 0
        assert "Example: edgeos quantize" in result.output


def test_an_unknown_recipe_is_an_error_of_ours():
    result = run("run", "whisper-huge")
    assert result.exit_code == 1
    assert isinstance(result.exception, UnknownName)


def test_missing_data_is_an_error_before_anything_is_downloaded(tmp_path):
    result = run("run", "whisper-tiny.en-int8", "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, FileMissing)
    assert list(tmp_path.iterdir()) == []


def test_listing_loads_no_heavy_library():
    code = (
        "import sys; sys.path.append('quantize'); from edgeos_quantize import cli; cli.list_recipes(False);"
        "print([m for m in ('torch', 'transformers', 'onnx', 'onnxruntime', 'numpy') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.splitlines()[-1] == "[]"
