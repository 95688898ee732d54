"""Which instances a bulk termination means."""

import msgspec

from api_gateway.domain.fields import Fields
from api_gateway.domain.metadata import read_metadata
from contracts.instances import MetadataValue

MAX_IDS = 1000


class Bulk(msgspec.Struct, frozen=True, kw_only=True):
    """These ids, or whatever has all that is given of the rest."""

    ids: tuple[str, ...] = ()
    external_id: str | None = None
    group_id: str | None = None
    metadata: dict[str, MetadataValue] | None = None


def read_bulk(fields: Fields) -> Bulk | None:
    """None when nothing of it is given: nobody means all instances by saying nothing. BadField."""
    if "ids" in fields:
        ids = fields.texts("ids")
        if len(ids) > MAX_IDS:
            raise fields.bad("ids", f"at most {MAX_IDS} ids")
        return Bulk(ids=ids)
    bulk = Bulk(
        external_id=_filter(fields, "external_id"),
        group_id=_filter(fields, "group_id"),
        metadata=read_metadata(fields),
    )
    if bulk.metadata == {}:
        raise fields.bad("metadata", "at least one key")
    return None if bulk == Bulk() else bulk


def _filter(fields: Fields, name: str) -> str | None:
    """An empty one is refused: a variable that a script forgot to set would widen the choice."""
    text = fields.text_as_given(name)
    if text == "":
        raise fields.bad(name, "a string that is not empty")
    return text
