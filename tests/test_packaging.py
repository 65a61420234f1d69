"""What a wheel holds, and that the README says what was measured."""

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_wheel_holds_code_and_data_and_claims_no_common_names(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"edgeos", "edgeos_quantize"}
    for wanted in (
        "edgeos/_data/models/silero-vad.toml",
        "edgeos/_data/models/whisper-tiny.en-int8/decoder.onnx",
        "edgeos/_data/device_profiles/starter.toml",
        "edgeos_quantize/recipes/whisper-tiny.en-int8.toml",
    ):
        assert wanted in names


def test_the_tables_of_the_readme_are_those_that_were_measured():
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "tables.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
