"""Start-up: `import edgeos` inside a process, and `edgeos --help` as a whole process; medians of 15.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from common import write

IMPORT = "import time; t = time.perf_counter(); import edgeos; print((time.perf_counter() - t) * 1000)"


def whole(command: list[str]) -> float:
    """Seconds that a command takes."""
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - begun


def main() -> None:
    """Measure both in turns, after one warm-up of each."""
    imports, helps, bare = [], [], []
    for i in range(16):
        done = subprocess.run([sys.executable, "-c", IMPORT], check=True, capture_output=True, text=True)
        shown, nothing = whole([sys.executable, "-m", "edgeos", "--help"]), whole([sys.executable, "-c", "pass"])
        if i:
            imports.append(float(done.stdout))
            helps.append(shown)
            bare.append(nothing)
    row = {
        "import_ms": round(statistics.median(imports), 1),
        "help_s": round(statistics.median(helps), 3),
        "bare_python_s": round(statistics.median(bare), 3),
        "runs": len(helps),
        "table": [
            ["`import edgeos`", f"{statistics.median(imports):.1f} ms", "limit 100 ms"],
            ["`edgeos --help`", f"{statistics.median(helps):.2f} s", "limit 0.5 s"],
        ],
    }
    write("startup", row)
    print(f"import edgeos {row['import_ms']} ms, edgeos --help {row['help_s']} s, bare python {row['bare_python_s']} s")


if __name__ == "__main__":
    main()
