"""edgeos: an on-device multimodal assistant that sees, hears, thinks and talks, wholly offline."""

__version__ = "0.1.0"
