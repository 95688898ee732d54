"""Failures for those who ask for them in the form of RFC 9457."""

from http import HTTPStatus

import msgspec

PROBLEM = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """``type`` stays the generic one: ``detail`` has the text of the envelope's message.

    ``request_id`` is an extension member: it names the request in the logs.
    """

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str


_encode = msgspec.json.Encoder().encode


def problem(status: int, detail: str, request_id: str) -> bytes:
    """The encoded Problem."""
    title = HTTPStatus(status).phrase
    return _encode(Problem(title=title, status=status, detail=detail, request_id=request_id))
