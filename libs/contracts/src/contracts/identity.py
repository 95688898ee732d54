"""Who may ask for what: keys, permission groups and grants, all wish; each service owns its own."""

from datetime import datetime

import msgspec

from contracts.messages import Fact


class ApiKeyDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A user's key. ``id`` is its name and the actor of what is asked with it.

    ``public_key`` is PKIX DER. ``incarnation`` is made with the key: a login of an earlier key
    under the same name is worth nothing.
    """

    id: str = msgspec.field(name="_id")
    public_key: bytes
    groups: tuple[str, ...] = ()
    created: datetime
    expires: datetime
    incarnation: str


class PermissionGroupDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A permission group; ``id`` is its name. ``permissions`` are the documented words."""

    id: str = msgspec.field(name="_id")
    permissions: tuple[str, ...] = ()


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a permission group may do with one resource, a node or a template."""

    id: str
    id_type: str = "id"
    type: str
    permissions: tuple[str, ...]


class GrantsDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The grants of a permission group; ``id`` is its name.

    Those on nodes stand in ``resource_grants``, where the scheduler reads them as well.
    """

    id: str = msgspec.field(name="_id")
    resources: tuple[Grant, ...] = ()


class LoginDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A login by key: first a secret that was given out, then the session it was traded for.

    Neither is stored: ``id``, the session's, is made of the secret, and ``token_sha256`` is
    empty as long as the secret waits to be used. ``incarnation`` is the key's.
    """

    id: str = msgspec.field(name="_id")
    key_id: str
    incarnation: str
    token_sha256: bytes = b""
    expires: datetime


class AccessChanged(Fact, frozen=True, kw_only=True, tag="access.changed.v1"):
    """Keys, permission groups or grants were written; unheard, they are read in time as well."""
