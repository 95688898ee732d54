"""Logins and permissions, as the API shows them."""

import msgspec

from chassis.auth.identity import Session


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """The key's name and its session."""

    id: str
    data: Session


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a permission group may be allowed."""

    name: str
    label: str


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Permissions that people see together."""

    section: str
    permissions: tuple[Permission, ...]
