"""edgeos: an on-device multimodal assistant that sees, hears, thinks and talks, wholly offline."""

import os

__version__ = "0.1.0"

# The published builds of ONNX Runtime (seen in 1.32) write a device id into the home folder when they are imported, and
# send what they run on and load to their maker some seconds later. This switch is read at import, so it is set here.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
