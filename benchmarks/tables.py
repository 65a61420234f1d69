"""Write the README's tables from what was measured and from the manifests: `python benchmarks/tables.py [--check]`.

Every `benchmarks/results/*.json` may hold `"table"`: a list of rows [what, edgeos, compared with].
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from common import RESULTS

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def measured() -> list[str]:
    """One line per row of every result, in the order of the files' names."""
    lines = ["| what | edgeos | compared with | from |", "|---|---|---|---|"]
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        lines += [f"| {' | '.join(row)} | `{path.stem}.py` |" for row in result.get("table", [])]
    return lines


def models() -> list[str]:
    """One line per model of the starter profile."""
    from edgeos import manifest, profile

    lines = ["| job | model | size | licence |", "|---|---|---|---|"]
    for job, name in profile.load("starter").models.items():
        model = manifest.find(name)
        lines.append(f"| {job} | {model.title} | {model.total_bytes / 1e6:.1f} MB | {model.licence.name} |")
    return lines


def fill(text: str, name: str, lines: list[str]) -> str:
    """Replace what stands between `<!-- name -->` and `<!-- /name -->`."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, rest = text.split(begin, 1)
    return before + begin + "".join(line + "\n" for line in lines) + end + rest.split(end, 1)[1]


def main() -> None:
    """Rewrite the README, or with `--check` fail where it is not what this would write."""
    old = README.read_text()
    new = fill(fill(old, "measured", measured()), "models", models())
    if "--check" in sys.argv:
        sys.exit("README.md is out of date: run `python benchmarks/tables.py`" if new != old else 0)
    README.write_text(new)


if __name__ == "__main__":
    main()
