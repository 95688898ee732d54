"""An instance's metadata: string keys; strings, whole numbers and booleans as values."""

from api_gateway.domain.fields import BadField, Fields
from contracts.instances import MetadataValue

_INT64 = 2**63
_EXPECTED = "an object of strings, numbers and booleans"


def read_metadata(fields: Fields) -> dict[str, MetadataValue] | None:
    """The field ``metadata``, with whole floats as integers."""
    given = fields.mapping("metadata")
    if given is None:
        return None
    return {_key(key): _value(key, value) for key, value in given.items()}


def _key(key: str) -> str:
    if not key or "\0" in key:
        raise BadField("metadata", "keys that are neither empty nor contain a NUL")
    return key


def _value(key: str, value: object) -> MetadataValue:
    if isinstance(value, float) and value.is_integer() and abs(value) < _INT64:
        return int(value)
    if isinstance(value, int) and not -_INT64 <= value < _INT64:
        raise BadField(f"metadata.{key}", "a number of 64 bits")
    if not isinstance(value, str | int | float | bool):
        raise BadField("metadata", _EXPECTED)
    return value
