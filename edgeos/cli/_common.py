"""What commands share: the console, running a coroutine so that Ctrl-C and SIGTERM end it cleanly, the events file."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from edgeos.errors import FileMissing, StoreError
from edgeos.events import Event, as_json

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T | None:
    """Run to the end; on Ctrl-C or SIGTERM cancel, let it clean up, and return None."""

    async def guarded() -> T | None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, task.cancel)
        try:
            return await main
        except asyncio.CancelledError:
            return None

    # Python hands the interpreter over every 5 ms; an audio callback that waits so long behind compute stutters.
    sys.setswitchinterval(0.0005)
    return asyncio.run(guarded())


@contextmanager
def events_file(path: Path | None) -> Iterator[Callable[[Event], None]]:
    """Give an observer that writes one JSON line per event; every line is whole at all times."""
    if path is None:
        yield lambda _: None
        return
    if not path.parent.is_dir():
        raise FileMissing(
            f"events file {path}", expected=f"a folder {path.parent}", found="none", fix="make the folder first"
        )
    try:
        with path.open("w", encoding="utf-8", buffering=1) as file:
            yield lambda event: print(json.dumps(as_json(event), ensure_ascii=False), file=file)
    except OSError as error:
        raise StoreError(f"events file {path}", found=str(error), fix="name a file that can be written") from error
