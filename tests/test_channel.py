import asyncio

import pytest

from edgeos.channel import Channel, ChannelClosed


async def drain(channel):
    return [item async for item in channel]


def test_what_is_buffered_is_delivered_after_close():
    async def main():
        channel = Channel(3)
        for i in range(3):
            await channel.send(i)
        await channel.close()
        assert await drain(channel) == [0, 1, 2]
        with pytest.raises(ChannelClosed):
            await channel.send(3)

    asyncio.run(main())


def test_wait_holds_the_sender_back():
    async def main():
        channel = Channel(1)
        await channel.send("a")
        sending = asyncio.ensure_future(channel.send("b"))
        await asyncio.sleep(0)
        assert not sending.done()
        assert await anext(channel) == "a"
        await sending
        assert channel.statistics().dropped == 0

    asyncio.run(main())


@pytest.mark.parametrize(("policy", "capacity", "kept"), [("drop_oldest", 2, [3, 4]), ("latest", 9, [4])])
def test_policies_drop_the_oldest_and_count(policy, capacity, kept):
    async def main():
        channel = Channel(capacity, policy)
        for i in range(5):
            await channel.send(i)
        await channel.close()
        assert await drain(channel) == kept
        stats = channel.statistics()
        assert stats.dropped == 5 - len(kept)
        assert stats.sent == stats.received + stats.dropped

    asyncio.run(main())


def test_closing_wakes_a_blocked_sender_and_receiver():
    async def main():
        full, empty = Channel(1), Channel(1)
        await full.send(1)
        sender = asyncio.ensure_future(full.send(2))
        receiver = asyncio.ensure_future(drain(empty))
        await asyncio.sleep(0)
        await full.close()
        await empty.close()
        with pytest.raises(ChannelClosed):
            await sender
        assert await receiver == []

    asyncio.run(main())
