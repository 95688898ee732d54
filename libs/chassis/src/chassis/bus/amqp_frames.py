"""The few frames of AMQP 0-9-1 that make up nearly all traffic, encoded and decoded directly.

Everything else on the wire is the library's business. Layouts: AMQP 0-9-1 specification, 2.3
(framing) and 4.2 (grammar); class 60 is ``basic``.
"""

import struct
from typing import Any

import msgspec
from pamqp.encode import field_table
from pamqp.header import ContentHeader

METHOD, HEADER, BODY = 1, 2, 3
OVERHEAD = 8
"""Bytes of a frame around its payload."""

HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
DELIVER, RETURN, ACK, NACK = 0x003C003C, 0x003C0032, 0x003C0050, 0x003C0078
_END = b"\xce"
_TRANSIENT, _PERSISTENT = 1, 2
_HEADERS, _MODE_AND_ID = 0x2000, 0x1080

_frame = struct.Struct(">BHI")
_publish = struct.Struct(">HHH")
_content = struct.Struct(">HHQH")
_settle = struct.Struct(">BHIIQBB")
_tag = struct.Struct(">QB")
_index = struct.Struct(">I")

frame_parts = _frame.unpack_from
"""(kind, channel, length of the payload) of the frame that begins at an offset."""


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """Basic.Deliver: what comes before the content."""

    consumer: bytes
    tag: int
    redelivered: bool
    key: str


def publish(  # noqa: PLR0913 -- the fields of the frame
    channel: int,
    exchange: bytes,
    key: bytes,
    identity: bytes,
    body: bytes,
    *,
    persistent: bool,
    headers: dict[str, Any] | None,
    frame_max: int,
) -> bytes:
    """Basic.Publish, mandatory, with its content. ``identity`` comes back in a Basic.Return."""
    method = b"".join(
        (_publish.pack(60, 40, 0), _short(exchange), _short(key), b"\x01"),
    )
    flags, table = _MODE_AND_ID, b""
    if headers:
        flags, table = _MODE_AND_ID | _HEADERS, field_table(headers)
    mode = _PERSISTENT if persistent else _TRANSIENT
    header = b"".join(
        (_content.pack(60, 0, len(body), flags), table, bytes((mode,)), _short(identity))
    )
    parts = [
        *(_frame.pack(METHOD, channel, len(method)), method, _END),
        *(_frame.pack(HEADER, channel, len(header)), header, _END),
    ]
    most = frame_max - OVERHEAD
    for start in range(0, len(body), most):
        piece = body[start : start + most]
        parts += (_frame.pack(BODY, channel, len(piece)), piece, _END)
    return b"".join(parts)


def ack(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Basic.Ack."""
    return _settle.pack(METHOD, channel, 13, ACK, tag, multiple, 0xCE)


def nack(channel: int, tag: int) -> bytes:
    """Basic.Nack of one delivery, with requeue."""
    return _settle.pack(METHOD, channel, 13, NACK, tag, 2, 0xCE)


def method_index(data: bytes, start: int) -> int:
    """Class and method of a method frame whose payload begins at ``start``."""
    index: int = _index.unpack_from(data, start)[0]
    return index


def confirmation(data: bytes, start: int) -> tuple[int, bool]:
    """Delivery tag and ``multiple`` of a Basic.Ack or Basic.Nack."""
    tag, bits = _tag.unpack_from(data, start + 4)
    return tag, bool(bits & 1)


def deliver(data: bytes, start: int) -> Deliver:
    """Basic.Deliver."""
    at = start + 5 + data[start + 4]
    consumer = data[start + 5 : at]
    tag, bits = _tag.unpack_from(data, at)
    at += 9
    at += 1 + data[at]  # the exchange
    return Deliver(consumer, tag, bool(bits & 1), data[at + 1 : at + 1 + data[at]].decode())


def content_size(data: bytes, start: int) -> tuple[int, bool]:
    """Size of the body that follows a content header, and whether that has headers."""
    _, _, size, flags = _content.unpack_from(data, start)
    return size, bool(flags & _HEADERS)


def content_header(payload: bytes) -> ContentHeader:
    """A content header with all its properties."""
    header = ContentHeader()
    header.unmarshal(payload)
    return header


def _short(text: bytes) -> bytes:
    return bytes((len(text),)) + text
