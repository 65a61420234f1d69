"""The command line as a whole."""

import re

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
