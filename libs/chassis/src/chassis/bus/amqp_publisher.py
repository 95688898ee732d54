"""Publishing with confirms: any number of messages in flight, one future for each batch."""

import asyncio
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from aiormq.channel import Channel
from pamqp.header import ContentHeader

from chassis.bus import amqp_frames as frames
from chassis.bus import topology
from chassis.bus.amqp_tap import Sink, Tap
from chassis.bus.packing import Packet
from chassis.errors import BusDown


class _Batch:
    """Messages sent together; ``done`` is set when the broker has answered for all of them."""

    __slots__ = ("done", "first", "left", "refused", "returned")

    def __init__(self, first: int, size: int, done: asyncio.Future[None]) -> None:
        self.first = first
        self.left = size
        self.done = done
        self.refused = False
        self.returned: set[int] = set()


class Publisher(Sink):
    """The publishing side of a channel in confirm mode; nothing else publishes on it."""

    wants_properties = True

    def __init__(self, channel: Channel, tap: Tap, frame_max: int) -> None:
        super().__init__(channel, tap)
        self._frame_max = frame_max
        self._last = 0
        self._unconfirmed: dict[int, _Batch] = {}
        channel.closing.add_done_callback(lambda _: self._lose())

    async def send(
        self, exchange: str, packets: Sequence[Packet], headers: dict[str, Any] | None = None
    ) -> list[bool]:
        """Publish in this order; for each whether a queue has it, once all are confirmed.

        Raises BusDown when the broker refuses one, ConnectionError when the connection is lost.
        """
        first = self._last + 1
        batch = _Batch(first, len(packets), asyncio.get_running_loop().create_future())
        exchange_name = exchange.encode()
        parts: list[bytes] = []
        for tag, packet in enumerate(packets, first):
            self._unconfirmed[tag] = batch
            parts.append(
                frames.publish(
                    self.channel.number,
                    exchange_name,
                    packet.key.encode(),
                    b"%d" % tag,
                    packet.body,
                    persistent=topology.is_persistent(packet.key),
                    headers=headers,
                    frame_max=self._frame_max,
                )
            )
        self._last += len(packets)
        self.tap.write(b"".join(parts))
        await batch.done
        if batch.refused:
            raise BusDown("the broker refused a message")
        return [tag not in batch.returned for tag in range(first, first + len(packets))]

    def method(self, index: int, data: bytes, start: int) -> bool:
        """See Sink."""
        if index == frames.ACK:
            self._confirmed(*frames.confirmation(data, start), refused=False)
        elif index == frames.NACK:
            self._confirmed(*frames.confirmation(data, start), refused=True)
        elif index == frames.RETURN:
            self.expect_content()
        else:
            return False
        return True

    def content(self, _body: bytes, header: ContentHeader | None) -> None:
        """See Sink: a message came back that no queue is bound for; its confirmation follows."""
        assert header is not None
        tag = int(header.properties.message_id or 0)
        if (batch := self._unconfirmed.get(tag)) is not None:
            batch.returned.add(tag)

    def _confirmed(self, tag: int, multiple: bool, *, refused: bool) -> None:
        if not multiple:
            self._settle(tag, refused=refused)
            return
        for known in list(takewhile(tag.__ge__, self._unconfirmed)):
            self._settle(known, refused=refused)

    def _settle(self, tag: int, *, refused: bool) -> None:
        batch = self._unconfirmed.pop(tag, None)
        if batch is None:
            return
        batch.left -= 1
        batch.refused |= refused
        if not batch.left and not batch.done.done():
            batch.done.set_result(None)

    def _lose(self) -> None:
        """The channel is gone: nobody will ever answer for what is in flight."""
        batches = set(self._unconfirmed.values())
        self._unconfirmed.clear()
        for batch in batches:
            if not batch.done.done():
                batch.done.set_exception(ConnectionError("the connection was lost"))
