"""Questions typed on standard input, line by line: what is left when there is no microphone."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator

from edgeos.channel import Channel, ChannelClosed


async def lines() -> AsyncIterator[str]:
    """Yield the non-empty lines of standard input until it ends.

    The reader is a daemon thread: a read that waits for a key cannot be interrupted, and must not hold up the end.
    """
    loop = asyncio.get_running_loop()
    arrived: Channel[str] = Channel(16)

    def read() -> None:
        try:
            for line in sys.stdin:
                asyncio.run_coroutine_threadsafe(arrived.send(line.strip()), loop).result()
            asyncio.run_coroutine_threadsafe(arrived.close(), loop).result()
        except (ChannelClosed, RuntimeError, ValueError):
            return  # the loop or standard input was closed under us: the conversation is over

    threading.Thread(target=read, name="stdin", daemon=True).start()
    try:
        async for line in arrived:
            if line:
                yield line
    finally:
        await arrived.close()
