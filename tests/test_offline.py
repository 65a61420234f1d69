"""The runtime never connects, listens or resolves a name: seen from Python by an audit hook, from outside by strace."""

import os
import shutil
import subprocess
import sys

import pytest

from edgeos import data

FORBIDDEN = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")

HOOKED = f"""
import sys
def hook(event, args):
    # A socketpair inside the event loop is no network; everything else on this list is.
    if event in {FORBIDDEN!r}:
        sys.stderr.write(f"NETWORK {{event}} {{args!r}}\\n")
        sys.stderr.flush()
sys.addaudithook(hook)
sys.argv = ["edgeos", *sys.argv[1:]]
from edgeos.cli import main
main()
"""


@pytest.fixture(scope="module")
def turns(starter, tmp_path_factory):
    """Command lines that use every engine: a spoken turn with a picture and a voice, and a whole conversation."""
    import cv2

    from edgeos import demo, profile
    from edgeos.assemble import assemble

    for model in profile.load("starter").models.values():
        starter(model)
    folder = tmp_path_factory.mktemp("offline")
    questions, pictures = demo.make(folder, assemble(profile.load("starter"), ["tts"]).specs.tts.build())
    board = folder / "board.png"
    cv2.imwrite(str(board), demo.draw(("OPEN",)))
    return {
        "ask": ["ask", "--audio", str(questions), "--image", str(board), "--speak", str(folder / "a.wav"), "--json"],
        "run": [
            "run",
            "--mic",
            f"wav:{questions}?pace=fast",
            "--camera",
            f"dir:{pictures}?pace=fast",
            "--speaker",
            f"wav:{folder / 'b.wav'}",
        ],
    }


@pytest.mark.parametrize("command", ["ask", "run"])
def test_python_never_touches_the_network(turns, command):
    done = subprocess.run([sys.executable, "-c", HOOKED, *turns[command]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "NETWORK" not in done.stderr


def test_the_hook_would_see_a_connection():
    connect = "import socket; s = socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9)); s.close()"
    code = HOOKED.split("sys.argv")[0] + connect
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "NETWORK socket.connect" in done.stderr


def test_native_code_never_touches_the_network(turns, tmp_path):
    """A whole conversation in real time: a library may wait half a minute before it calls home."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    log = tmp_path / "strace.log"
    traced = ["strace", "-f", "-e", "trace=connect,bind,listen,sendto,sendmsg", "-o", str(log)]
    paced = [word.replace("?pace=fast", "") for word in turns["run"]]
    done = subprocess.run([*traced, sys.executable, "-m", "edgeos", *paced], capture_output=True, check=False)
    if not log.exists() or b"ptrace" in done.stderr:
        pytest.skip(f"strace may not trace here: {done.stderr.decode()[:200]}")
    assert done.returncode == 0, done.stderr.decode()
    calls = [line for line in log.read_text().splitlines() if "AF_INET" in line or "listen(" in line]
    assert calls == []


def test_nothing_is_written_into_the_home_folder(turns, tmp_path):
    """No device id, no history, no settings: what was not asked for is not there."""
    home = {"HOME": str(tmp_path), "EDGEOS_CACHE": str(data.cache()), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-B", "-m", "edgeos", *turns["ask"]]
    done = subprocess.run(command, capture_output=True, check=False, env=home)
    assert done.returncode == 0, done.stderr.decode()
    assert list(tmp_path.rglob("*")) == []


def test_everything_works_with_the_network_taken_away(turns):
    if subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False).returncode:
        pytest.skip("unshare -rn is not allowed here")
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, "-m", "edgeos", *turns["ask"]],
        capture_output=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr.decode()
