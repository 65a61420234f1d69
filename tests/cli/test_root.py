"""The command line as a whole."""

import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from edgeos.cli import app

COMMANDS = ["ask", "chat", "demo", "listen", "models", "pull", "quantize", "run", "watch"]


def test_help_lists_every_command():
    done = CliRunner().invoke(app, ["--help"])
    assert done.exit_code == 0
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", done.output)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    done = CliRunner().invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert f"edgeos {command}" in done.output


def test_version():
    from edgeos import __version__

    assert CliRunner().invoke(app, ["--version"]).output == f"edgeos {__version__}\n"


def test_an_unknown_command_is_bad_usage():
    assert CliRunner().invoke(app, ["fly"]).exit_code == 2


@pytest.mark.parametrize(
    ("module", "works"),
    [
        ("import typer\n\n\ndef command():\n    typer.echo('hello from afar')\n", True),
        ("import no_such_module\n", False),
    ],
)
def test_another_package_adds_a_command_and_a_broken_one_takes_nothing_away(tmp_path, module, works):
    (tmp_path / "afar.py").write_text(module)
    info = tmp_path / "afar-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: afar\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[edgeos.commands]\nafar = afar:command\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}

    def edgeos(*words):
        return subprocess.run(
            [sys.executable, "-m", "edgeos", *words], capture_output=True, text=True, check=False, env=environment
        )

    assert edgeos("--help").returncode == 0
    done = edgeos("afar")
    assert (done.stdout == "hello from afar\n") == works
    assert ("'afar'" in done.stderr) != works
