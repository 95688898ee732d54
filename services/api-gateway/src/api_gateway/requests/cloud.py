"""Requests about the cloud itself, its logs and who may use it."""

from typing import Annotated, Literal

import msgspec

from api_gateway.domain.http_url import HTTP_URL
from api_gateway.domain.paging import MAX_LIMIT
from api_gateway.domain.vm_logs import NAME
from api_gateway.requests.values import Text, Words, entire, entire_or_empty
from chassis.auth.keys import MAX_TTL
from contracts.macs import MAC_ADDRESS

_MAC_ADDRESS = msgspec.Meta(pattern=entire_or_empty(MAC_ADDRESS))
_SECONDS = "Seconds from now that it is good for."


class MacQuery(msgspec.Struct, kw_only=True):
    """One of ``count``, ``in_use``, ``limit`` and ``last`` at least."""

    count: Annotated[str, msgspec.Meta(description="On, unless ``0`` or ``false``.")] | None = None
    in_use: Annotated[str, msgspec.Meta(description="On, unless ``0`` or ``false``.")] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] | None = None
    last: (
        Annotated[str, _MAC_ADDRESS, msgspec.Meta(description="The last one of the page before.")]
        | None
    ) = None


class SettingsRequest(msgspec.Struct, kw_only=True):
    """What is not given stays."""

    registry_address: (
        Annotated[
            str,
            msgspec.Meta(
                pattern=entire_or_empty(HTTP_URL),
                description="For nodes and new instances; empty: the gateway's own again.",
            ),
        ]
        | None
    ) = None
    central_logging: bool | None = None


class ServiceQuery(msgspec.Struct, kw_only=True):
    """One service, or all."""

    service: str | None = None


class LogQuery(msgspec.Struct, kw_only=True):
    """One service, and how much of its newest lines."""

    service: Text
    lines: Annotated[int, msgspec.Meta(ge=0)] | None = None


class LogFileQuery(LogQuery, kw_only=True):
    """One file of it; without ``file`` the newest."""

    file: str | None = None


class RangeHeader(msgspec.Struct, kw_only=True):
    """A part of a file."""

    range: str | None = msgspec.field(name="Range", default=None)


class VmLogQuery(msgspec.Struct, kw_only=True):
    """The uuid of a VM, and one of its files."""

    id: Annotated[str, msgspec.Meta(pattern=entire(NAME))]
    name: Annotated[str, msgspec.Meta(pattern=entire_or_empty(NAME))] | None = None


class NewKey(msgspec.Struct, kw_only=True):
    """A user's key, made here unless the public half is given."""

    id: Text
    ttl: Annotated[int, msgspec.Meta(ge=1, le=MAX_TTL, description=_SECONDS)]
    groups: Words
    public_key: Annotated[str, msgspec.Meta(description="PKIX DER in base64.")] | None = (
        msgspec.field(name="publicKey", default=None)
    )


class KeyChanges(msgspec.Struct, kw_only=True):
    """What is not given stays."""

    id: Text
    ttl: Annotated[int, msgspec.Meta(ge=1, le=MAX_TTL, description=_SECONDS)] | None = None
    groups: Words | None = None


class HandRequest(msgspec.Struct, kw_only=True):
    """Names the key."""

    id: Text


class ShakeRequest(HandRequest, kw_only=True):
    """The secret that the key has opened."""

    secret: Text


class Permissions(msgspec.Struct, kw_only=True):
    """Names of permissions; none when it is missing."""

    permissions: tuple[Text, ...] | None = None


class NewPermissionGroup(Permissions, kw_only=True):
    """A permission group."""

    name: Text


class GrantRequest(msgspec.Struct, kw_only=True):
    """What a group may do with one resource."""

    id: Text
    id_type: Literal["id"] | None = None
    type: Text
    permissions: tuple[Text, ...] | None = None
