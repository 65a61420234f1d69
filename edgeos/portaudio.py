"""The one place that loads PortAudio (through sounddevice), and that says how to get it."""

from __future__ import annotations

from typing import Any

from edgeos.errors import DeviceMissing


def load(device: str, instead: str) -> Any:
    """Return the `sounddevice` module. Raises `DeviceMissing` naming `device` and what can be done `instead`."""
    try:
        import sounddevice
    except OSError as error:
        raise DeviceMissing(
            device,
            expected="the library PortAudio",
            found=str(error),
            fix="`sudo apt install libportaudio2` (Debian, Ubuntu, Raspberry Pi OS), `sudo dnf install portaudio` "
            f"(Fedora), `sudo pacman -S portaudio` (Arch), or {instead}",
        ) from error
    return sounddevice
