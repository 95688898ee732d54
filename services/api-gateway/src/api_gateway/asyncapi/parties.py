"""Who says a message and who hears it, as the services' own tables had it: `make messages`."""

from importlib import resources
from typing import TypeAlias

import msgspec

FILE = "parties.json"


class Parties(msgspec.Struct, frozen=True, kw_only=True):
    """Services by name."""

    says: tuple[str, ...]
    hears: tuple[str, ...]


ByTag: TypeAlias = dict[str, Parties]


def parties() -> ByTag:
    """Tag of a message to its parties."""
    raw = (resources.files("api_gateway.asyncapi") / FILE).read_bytes()
    return msgspec.json.decode(raw, type=ByTag)
