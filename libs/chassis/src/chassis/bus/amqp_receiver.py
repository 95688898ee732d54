"""Receiving on one channel: deliveries to their subscriptions, acknowledgements in runs."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from aiormq.channel import Channel
from pamqp.header import ContentHeader

from chassis.bus import amqp_frames as frames
from chassis.bus.amqp_tap import Sink, Tap

Arrived: TypeAlias = Callable[[frames.Deliver, bytes, dict[str, Any]], None]
"""Takes a delivery, its body and its headers."""


class Receiver(Sink):
    """The consuming side of a channel, for any number of subscriptions.

    Acknowledgements of one turn of the loop go out together; a run of tags as one frame.
    """

    def __init__(self, channel: Channel, tap: Tap) -> None:
        super().__init__(channel, tap)
        self.arrived: dict[bytes, Arrived] = {}
        self.prefetch = 0
        self._unsettled: dict[int, bytes] = {}
        self._done: set[int] = set()
        self._deliver: frames.Deliver | None = None

    def ack(self, tag: int) -> None:
        """Settle; raises ConnectionError when the channel is lost."""
        self._check(tag)
        if not self._done:
            asyncio.get_running_loop().call_soon(self.flush)
        self._done.add(tag)

    def requeue(self, tag: int) -> None:
        """Give back; raises ConnectionError when the channel is lost."""
        self._check(tag)
        del self._unsettled[tag]
        self.tap.write(frames.nack(self.channel.number, tag))

    def requeue_all(self, consumer: bytes) -> None:
        """Give back what a subscription has not settled."""
        self.flush()
        for tag, owner in list(self._unsettled.items()):
            if owner == consumer:
                self.requeue(tag)

    def flush(self) -> None:
        """Send the acknowledgements collected so far."""
        done, self._done = self._done, set()
        if not done or self.channel.is_closed:
            return
        run = 0
        parts: list[bytes] = []
        for tag in self._unsettled:
            if tag not in done:
                break
            run, last = run + 1, tag
        if run:
            parts.append(frames.ack(self.channel.number, last, multiple=run > 1))
        for tag in sorted(done):
            del self._unsettled[tag]
            if not run or tag > last:
                parts.append(frames.ack(self.channel.number, tag, multiple=False))
        with suppress(ConnectionError):  # then the broker delivers them again
            self.tap.write(b"".join(parts))

    def method(self, index: int, data: bytes, start: int) -> bool:
        """See Sink."""
        if index != frames.DELIVER:
            return False
        self._deliver = frames.deliver(data, start)
        self.expect_content()
        return True

    def content(self, body: bytes, header: ContentHeader | None) -> None:
        """See Sink."""
        deliver = self._deliver
        assert deliver is not None
        self._unsettled[deliver.tag] = deliver.consumer
        arrived = self.arrived.get(deliver.consumer)
        if arrived is None:
            self.requeue(deliver.tag)  # sent before the broker heard that we left
            return
        headers: dict[str, Any] = {}
        if header is not None and header.properties.headers:
            headers = dict(header.properties.headers)
        arrived(deliver, body, headers)

    def _check(self, tag: int) -> None:
        if self.channel.is_closed or tag not in self._unsettled or tag in self._done:
            raise ConnectionError("the delivery went back to its queue")
