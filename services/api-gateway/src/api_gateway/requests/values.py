"""Values that several requests share."""

from collections.abc import Iterable
from typing import Annotated, TypeAlias

import msgspec

from api_gateway.domain.fields import BASE64, MAX_INTEGER
from api_gateway.domain.moments import MOMENT
from api_gateway.domain.paging import MAX_LIMIT, MAX_SEQUENCE
from api_gateway.domain.start_request import MAX_COUNT, MAX_PORT, MAX_PRIORITY
from contracts.instances import MetadataValue

COMMAS = "x-commas"
"""Marks an array that a query may have as one text, with commas between."""


def entire(pattern: str) -> str:
    """As JSON Schema has a pattern that the whole text must match."""
    return f"^(?:{pattern})$"


def entire_or_empty(pattern: str) -> str:
    """The same where the empty text counts as absent."""
    return f"^(?:{pattern})?$"


def one_of(words: Iterable[str]) -> msgspec.Meta:
    """Of a text: it is one of these."""
    return msgspec.Meta(extra_json_schema={"enum": [str(word) for word in words]})


Text: TypeAlias = Annotated[str, msgspec.Meta(min_length=1)]
Base64: TypeAlias = Annotated[
    str, msgspec.Meta(pattern=entire(BASE64), extra_json_schema={"contentEncoding": "base64"})
]
Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
Port: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=MAX_PORT)]
Priority: TypeAlias = Annotated[
    int, msgspec.Meta(ge=1, le=MAX_PRIORITY, description="The lower, the sooner.")
]
EventSequence: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQUENCE)]
MomentText: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        description="RFC 3339 with an offset, or seconds since 1970.",
        examples=["2026-01-31T12:00:00Z"],
        pattern=entire_or_empty(MOMENT),
    ),
]
Metadata: TypeAlias = dict[
    Annotated[str, msgspec.Meta(min_length=1, pattern="^[^\\u0000]+$")], MetadataValue
]
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
Words: TypeAlias = Annotated[tuple[Text, ...], msgspec.Meta(extra_json_schema={COMMAS: True})]
Ids: TypeAlias = Annotated[tuple[Text, ...], msgspec.Meta(min_length=1)]


class ById(msgspec.Struct, kw_only=True):
    """Names one."""

    id: Text


class PerhapsById(msgspec.Struct, kw_only=True):
    """Names one; without it all are meant."""

    id: str | None = None


class PageQuery(msgspec.Struct, kw_only=True):
    """A part of a list."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] | None = None
    after: (
        Annotated[str, msgspec.Meta(description="The cursor that ``Link`` of the page before has.")]
        | None
    ) = None


class Conditional(msgspec.Struct, kw_only=True):
    """Asks for nothing while nothing has moved."""

    if_none_match: str | None = msgspec.field(name="If-None-Match", default=None)
