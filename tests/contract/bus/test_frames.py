"""Our encoding of the hot frames against an independent one."""

import asyncio

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from chassis.bus import amqp_frames as frames
from chassis.bus.amqp_tap import Tap

names = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:", max_size=60)
tags = st.integers(1, 2**62)
channels = st.integers(1, 65_535)


def unmarshal(data: bytes):
    found = []
    while data:
        used, channel, frame = pamqp.frame.unmarshal(data)
        found.append((channel, frame))
        data = data[used:]
    return found


@given(channels, names, names, st.binary(max_size=300), st.booleans(), st.booleans())
def test_a_published_message_is_what_the_specification_says(
    channel, exchange, key, body, persistent, with_headers
):
    headers = {"x-corral-key": key, "x-corral-attempt": 3} if with_headers else None
    data = frames.publish(
        channel,
        exchange.encode(),
        key.encode(),
        b"17",
        body,
        persistent=persistent,
        headers=headers,
        frame_max=108,
    )
    (_, method), (_, header), *bodies = unmarshal(data)
    assert {number for number, _ in unmarshal(data)} == {channel}
    assert isinstance(method, commands.Basic.Publish)
    assert (method.exchange, method.routing_key) == (exchange, key)
    assert (method.mandatory, method.immediate) == (True, False)
    assert isinstance(header, ContentHeader)
    assert header.body_size == len(body)
    assert header.properties.message_id == "17"
    assert header.properties.delivery_mode == (2 if persistent else 1)
    assert header.properties.headers == headers
    assert all(isinstance(part, ContentBody) and len(part.value) <= 100 for _, part in bodies)
    assert b"".join(part.value for _, part in bodies) == body


@given(channels, tags, st.booleans())
def test_settling_is_what_the_specification_says(channel, tag, multiple):
    [(number, ack)] = unmarshal(frames.ack(channel, tag, multiple=multiple))
    assert (number, ack.name, ack.delivery_tag, ack.multiple) == (
        channel,
        "Basic.Ack",
        tag,
        multiple,
    )
    [(number, nack)] = unmarshal(frames.nack(channel, tag))
    assert (number, nack.name, nack.delivery_tag) == (channel, "Basic.Nack", tag)
    assert (nack.multiple, nack.requeue) == (False, True)


@given(names, tags, st.booleans(), names, names)
def test_a_delivery_is_read_as_the_specification_says(consumer, tag, redelivered, exchange, key):
    data = pamqp.frame.marshal(commands.Basic.Deliver(consumer, tag, redelivered, exchange, key), 1)
    assert frames.method_index(data, 7) == frames.DELIVER
    assert frames.deliver(data, 7) == frames.Deliver(consumer.encode(), tag, redelivered, key)


@given(tags, st.booleans())
def test_a_confirmation_is_read_as_the_specification_says(tag, multiple):
    ack = pamqp.frame.marshal(commands.Basic.Ack(tag, multiple), 1)
    assert frames.method_index(ack, 7) == frames.ACK
    assert frames.confirmation(ack, 7) == (tag, multiple)
    nack = pamqp.frame.marshal(commands.Basic.Nack(tag, multiple, False), 1)
    assert frames.method_index(nack, 7) == frames.NACK
    assert frames.confirmation(nack, 7) == (tag, multiple)


class Everything:
    """A sink that takes all frames of its channel."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def frame(self, kind: int, data: bytes, start: int, end: int) -> bool:
        self.taken.append(data[start:end])
        return True


@given(
    st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40)), max_size=20),
    st.lists(st.integers(1, 30), min_size=1),
)
def test_however_the_stream_is_cut_every_frame_reaches_its_reader(sent, cuts):
    async def body():
        reader = asyncio.StreamReader()
        tap = Tap(reader, asyncio.get_running_loop())
        sink = Everything()
        tap.sinks[2] = sink
        encoded = [
            (channel, pamqp.frame.marshal(ContentBody(part), channel)) for channel, part in sent
        ]
        stream = b"".join(data for _, data in encoded)
        position = step = 0
        while position < len(stream):
            size = cuts[step % len(cuts)]
            tap.data_received(stream[position : position + size])
            position, step = position + size, step + 1
        tap.eof_received()
        passed = (await reader.read()).replace(frames.HEARTBEAT, b"")
        assert passed == b"".join(data for channel, data in encoded if channel == 1).replace(
            frames.HEARTBEAT, b""
        )
        assert sink.taken == [part for channel, part in sent if channel == 2]

    asyncio.run(body())


async def test_a_lost_connection_takes_no_more():
    tap = Tap(asyncio.StreamReader(), asyncio.get_running_loop())
    with pytest.raises(ConnectionError):
        tap.write(b"x")
