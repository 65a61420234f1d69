"""Several vision engines behind one: they look one after another, on one thread, within one share of the cores."""

from __future__ import annotations

from dataclasses import dataclass

from edgeos.engines import Vision
from edgeos.events import CameraFrame, Fact
from edgeos.worker import Spec


@dataclass(frozen=True, slots=True)
class EyesSpec:
    """The engines, in the order in which their facts are given."""

    specs: tuple[Spec[Vision], ...]

    def build(self) -> Eyes:
        """Build each of them."""
        return Eyes(tuple(spec.build() for spec in self.specs))


class Eyes:
    """See the module."""

    def __init__(self, engines: tuple[Vision, ...]) -> None:
        """Take built engines."""
        self._engines = engines

    def look(self, frame: CameraFrame) -> tuple[Fact, ...]:
        """Return the facts of all engines."""
        return tuple(fact for engine in self._engines for fact in engine.look(frame))
