"""Memory: peak RSS of one process with every starter model resident after one turn that used each of them.

python benchmarks/memory.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from common import versions, write

TURN = """
import asyncio, json, resource, sys
from pathlib import Path
from edgeos import demo, manifest, profile
from edgeos.assemble import assemble
from edgeos.clock import MonotonicClock
from edgeos.session import Senses, converse
from edgeos.sinks import open_speaker
from edgeos.sources.audio import open_audio
from edgeos.sources.camera import open_camera
from edgeos.events import TurnEnded

chosen = profile.load("starter")
specs = assemble(chosen, list(chosen.models)).specs
folder, clock, answers = Path(sys.argv[1]), MonotonicClock(), []
senses = Senses(
    typed=None,
    mic=lambda: open_audio(f"wav:{folder / 'questions.wav'}?pace=fast", clock),
    camera=lambda: open_camera(f"dir:{folder / 'pictures'}?every=1&pace=fast", clock),
    speaker=lambda: open_speaker("null:", clock),
)
asyncio.run(converse(specs, chosen, senses, lambda e: answers.append(e) if isinstance(e, TurnEnded) else None, clock))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
files = sum(manifest.find(m).total_bytes for m in chosen.models.values())
print(json.dumps({"peak": peak, "files": files, "turns": len(answers)}))
"""


def main() -> None:
    """Measure three times, each in a fresh process; keep the highest peak."""
    from edgeos import demo, profile
    from edgeos.assemble import assemble

    with tempfile.TemporaryDirectory() as folder:
        demo.make(Path(folder), assemble(profile.load("starter"), ["tts"]).specs.tts.build())
        runs = []
        for _ in range(3):
            done = subprocess.run([sys.executable, "-c", TURN, folder], capture_output=True, text=True, check=True)
            runs.append(json.loads(done.stdout.splitlines()[-1]))
    peak, files = max(run["peak"] for run in runs), runs[0]["files"]
    row = {
        "peak_mb": round(peak / 1e6, 1),
        "model_files_mb": round(files / 1e6, 1),
        "allowed_mb": round(1.25 * files / 1e6 + 250, 1),
        "turns": runs[0]["turns"],
        "runs_peak_mb": [round(run["peak"] / 1e6, 1) for run in runs],
        "table": [
            [
                "memory: peak RSS of a conversation, all starter models resident",
                f"{peak / 1e6:.0f} MB",
                f"model files {files / 1e6:.0f} MB; limit {1.25 * files / 1e6 + 250:.0f} MB",
            ]
        ],
        "versions": versions("onnxruntime", "llama-cpp-python", "numpy", "opencv-python-headless"),
    }
    write("memory", row)
    print(f"peak {row['peak_mb']} MB, models {row['model_files_mb']} MB, allowed {row['allowed_mb']} MB")


if __name__ == "__main__":
    main()
