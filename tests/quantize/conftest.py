"""Makes the workstation tool importable from a checkout that is not installed."""

from __future__ import annotations

import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "quantize"
if str(TOOL) not in sys.path:
    sys.path.append(str(TOOL))
