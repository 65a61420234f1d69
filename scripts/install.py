"""Set up `.venv` in the checkout: `python3 scripts/install.py [EXTRA ...]`. Standard library only; run by the Makefile.

llama-cpp-python has no wheel for most machines and is compiled once; its wheel is kept in the cache, per CPU, so that
neither a second checkout nor a removed `.venv` compiles again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
CONSTRAINTS = ROOT / "constraints.txt"


def say(text: str) -> None:
    """Print one line at once."""
    print(f"edgeos: {text}", flush=True)


def fail(text: str) -> None:
    """Print what is wrong and how to mend it, and end."""
    sys.exit(f"edgeos: {text}")


def pip(*words: str) -> None:
    """Run the environment's pip quietly; its own error text is shown where it fails."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", *words]
    if subprocess.run(command, check=False).returncode:
        fail(f"`{' '.join(command[1:])}` failed. Is the package index reachable? See the lines above.")


def cache() -> Path:
    """Return the folder of kept wheels: one per CPU, because the compiled code uses what this CPU has."""
    base = os.environ.get("EDGEOS_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgeos"
    info = Path("/proc/cpuinfo")
    flags = (
        next((ln for ln in info.read_text().splitlines() if ln.startswith(("flags", "Features"))), "")
        if info.is_file()
        else ""
    )
    cpu = hashlib.sha256(f"{platform.machine()} {' '.join(sorted(flags.split()))}".encode()).hexdigest()[:12]
    return Path(base).expanduser() / "wheels" / f"py{sys.version_info.major}{sys.version_info.minor}-{cpu}"


def pinned(name: str) -> str:
    """Return the version of a package in `constraints.txt`."""
    found = re.search(rf"^{re.escape(name)}==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    if not found:
        fail(f"{CONSTRAINTS.name} does not pin {name}")
        raise AssertionError
    return found[1]


def make_environment() -> None:
    """Create `.venv` unless it is there and works."""
    if sys.version_info < (3, 11):
        fail(f"Python 3.11 or later is needed, this is {platform.python_version()}. Try `make run PYTHON=python3.12`.")
    if (
        PYTHON.is_file()
        and subprocess.run([str(PYTHON), "-m", "pip", "--version"], check=False, capture_output=True).returncode == 0
    ):
        return
    say("making the virtual environment .venv")
    made = subprocess.run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)], check=False, capture_output=True, text=True
    )
    if made.returncode:
        fail(f"no virtual environment: {made.stdout.strip() or made.stderr.strip()}")


def borrow_compiler() -> dict[str, str]:
    """Return the settings that make a build use the compiler inside the package ziglang: this machine has none.

    It has no OpenMP, so evaluating a prompt slows down beside other busy programs; one of the system's own has not.
    """
    say(
        "no C++ compiler here: taking the one of the package ziglang (a little slower; `g++` or `clang++` serve better)"
    )
    pip("install", "-q", "-c", str(CONSTRAINTS), "ziglang")
    tools = VENV / "compiler"
    tools.mkdir(exist_ok=True)
    found = subprocess.run(
        [str(PYTHON), "-c", "import ziglang; print(ziglang.__path__[0])"], capture_output=True, text=True, check=True
    )
    settings = {}
    for variable, tool in {"CC": "cc", "CXX": "c++", "AR": "ar", "RANLIB": "ranlib"}.items():
        script = tools / tool
        script.write_text(f'#!/bin/sh\nexec "{found.stdout.strip()}/zig" {tool} "$@"\n')
        script.chmod(0o755)
        settings[variable] = str(script)
    return settings


def compile_llama(wheels: Path) -> None:
    """Build the llama-cpp-python wheel unless it is kept from before, showing how far it is."""
    version = pinned("llama-cpp-python")
    if list(wheels.glob(f"llama_cpp_python-{version}-*.whl")):
        return
    compilers = {} if any(map(shutil.which, ("c++", "g++", "clang++"))) else borrow_compiler()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    least, most = max(1, 8 // cores), max(2, 14 // cores)
    say(f"compiling llama-cpp-python {version}: {least} to {most} minutes on {cores} cores, once: the wheel is kept")
    wheels.mkdir(parents=True, exist_ok=True)
    log = wheels / "llama-cpp-python.log"
    wheel = f"llama-cpp-python=={version}"
    command = [str(PYTHON), "-m", "pip", "wheel", "-v", "--no-deps", "-w", str(wheels), wheel]
    environment = {**os.environ, "CMAKE_BUILD_PARALLEL_LEVEL": str(cores), **compilers}
    begun, shown = time.monotonic(), -1
    with (
        log.open("w") as out,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
        ) as build,
    ):
        for line in build.stdout or ():
            out.write(line)
            step = re.search(r"\[(\d+)/(\d+)\]", line)
            if step:
                shown = show_progress(int(step[1]), int(step[2]), time.monotonic() - begun, shown)
    if sys.stdout.isatty():
        print()
    if build.returncode:
        print("".join(log.read_text().splitlines(keepends=True)[-25:]))
        fail(f"llama-cpp-python did not compile; the whole log is {log}")
    say(f"compiled in {(time.monotonic() - begun) / 60:.1f} minutes, kept in {wheels}")


def show_progress(done: int, total: int, seconds: float, shown: int) -> int:
    """Draw a bar in a terminal, print every tenth elsewhere. Returns the tenth that was shown last."""
    tenth = done * 10 // total
    text = f"compiling {done}/{total}, {seconds / 60:.1f} min"
    if sys.stdout.isatty():
        bar = "█" * (done * 30 // total)
        print(f"\r  {bar:<30} {text}", end="", flush=True)
    elif tenth > shown:
        say(text)
    return tenth


def install_torch() -> None:
    """Install the CPU build of torch: from the configured index where it has one, else as uv finds it."""
    version = pinned("torch")
    has = f"import torch, sys; sys.exit(not torch.__version__.startswith({version!r}))"
    if subprocess.run([str(PYTHON), "-c", has], check=False, capture_output=True).returncode == 0:
        return
    say("installing the CPU build of torch")
    local = [str(PYTHON), "-m", "pip", "install", "-q", f"torch=={version}+cpu"]
    if subprocess.run(local, check=False, capture_output=True).returncode:
        pip("install", "-q", "uv")
        uv = [
            str(PYTHON),
            "-m",
            "uv",
            "pip",
            "install",
            "--python",
            str(PYTHON),
            "--torch-backend",
            "cpu",
            f"torch=={version}",
        ]
        if subprocess.run(uv, check=False).returncode:
            fail("the CPU build of torch could not be installed; see the lines above")


def main() -> None:
    """Install edgeos with the named extras, editable."""
    extras = sys.argv[1:]
    make_environment()
    wheels = cache()
    compile_llama(wheels)
    if "quantize" in extras:
        install_torch()
    say("installing packages")
    wanted = f"{ROOT}[{','.join(extras)}]" if extras else str(ROOT)
    pip("install", "-q", "--find-links", str(wheels), "-c", str(CONSTRAINTS), "-e", wanted)


if __name__ == "__main__":
    main()
