"""Answers that carry more than a body."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from api_gateway.public import envelope
from api_gateway.public.problem import PROBLEM, problem

NOT_MODIFIED = 304
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
UNAVAILABLE = "temporarily unavailable, try again later"


class Failure(NamedTuple):
    """What went wrong, and the HTTP status that says so to those who want to hear it there."""

    message: str
    status: int


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The encoded envelope, its status and headers of its own."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = _NO_HEADERS
    failure: Failure | None = None


def failed(status: int, message: str, right: int | None = None) -> Reply:
    """A failure in the envelope; ``right`` is its status where the documented one is 200."""
    return Reply(
        status=status,
        body=envelope.fail(message),
        failure=Failure(message, status if right is None else right),
    )


def as_problem(failure: Failure, request_id: str) -> Reply:
    """The same failure as RFC 9457 describes one."""
    return Reply(
        status=failure.status,
        body=problem(failure.status, failure.message, request_id),
        headers={"Content-Type": PROBLEM},
    )


def tagged(
    known: str | None, tag: bytes, make: Callable[[], bytes], headers: Mapping[str, str]
) -> Reply:
    """An answer with an ETag; without a body when ``If-None-Match`` (``known``) names it."""
    etag = f'"{tag.hex()}"'
    headers = {**headers, "ETag": etag}
    if is_known(known, tag):
        return Reply(body=b"", status=NOT_MODIFIED, headers=headers)
    return Reply(body=make(), headers=headers)


def is_known(known: str | None, tag: bytes) -> bool:
    """Whether ``If-None-Match`` names this content. Compared weakly, see RFC 9110, 13.1.2."""
    if known is None:
        return False
    names = {name.strip().removeprefix("W/").strip('"') for name in known.split(",")}
    return tag.hex() in names or "*" in names
