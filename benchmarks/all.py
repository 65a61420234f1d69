"""Run every benchmark, one after another, and write the README's tables: `make bench`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ORDER = ("startup", "memory", "asr", "vision", "speech", "llm", "tables")


def main() -> None:
    """Stop at the first that fails."""
    for name in ORDER:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, str(Path(__file__).with_name(f"{name}.py"))], check=True)


if __name__ == "__main__":
    main()
