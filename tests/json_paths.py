"""Values of a JSON document by their path."""

from collections.abc import Iterator, Mapping
from typing import Any


def values_at(value: Any, path: str) -> Iterator[Any]:
    """Everything at a path such as ``body[].tag`` or ``body[0].tag``; nothing if there is none."""
    head, _, rest = path.partition(".")
    key, many, number = head.rstrip("]").partition("[")
    if not isinstance(value, Mapping) or key not in value:
        return
    found = value[key] if many else [value[key]]
    for item in found[int(number) :][:1] if number else found:
        if rest:
            yield from values_at(item, rest)
        else:
            yield item
