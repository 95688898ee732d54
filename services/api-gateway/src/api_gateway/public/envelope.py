"""The envelope of every JSON answer: ``status``, ``message``, and ``body`` on success only."""

from typing import Literal

import msgspec


class FailureEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of what was not done; ``message`` says why."""

    status: Literal["FAIL"]
    message: str


class DoneEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """The envelope of what was done, where there is nothing more to say."""

    status: Literal["OK"]
    message: str


_encode = msgspec.json.Encoder().encode

OK = _encode(DoneEnvelope(status="OK", message=""))
AUTHENTICATION_REQUIRED = b'{"status":"FAIL","message":"Authentication Required"}\n'
"""The one answer with a documented length, newline included; a client compares its message."""
SAVED = _encode(DoneEnvelope(status="OK", message="Saved"))
_OPEN = b'{"status":"OK","message":"","body":'


def ok(body: bytes) -> bytes:
    """Success with an encoded body."""
    return b"".join((_OPEN, body, b"}"))


def ok_list(items: "list[bytes]") -> bytes:
    """Success with an array of encoded items; empty is ``[]``, never null."""
    if not items:
        return ok(b"[]")
    pieces = items.copy()  # so that a long list is copied once
    pieces[0] = _OPEN + b"[" + pieces[0]
    pieces[-1] += b"]}"
    return b",".join(pieces)


def fail(message: str) -> bytes:
    """Failure; no body, since typed clients would choke on one of another shape."""
    return _encode(FailureEnvelope(status="FAIL", message=message))
