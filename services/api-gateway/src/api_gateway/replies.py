"""Answers that carry more than a body."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The encoded envelope, its status and headers of its own."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


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
