"""JSON Schema from msgspec types, as the description refers to it."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from api_gateway.public.scalars import SCHEMAS

Schema: TypeAlias = dict[str, Any]

_NULL = {"type": "null"}


class Schemas:
    """Knows these types; ``components`` are those that have a name."""

    def __init__(self, types: Iterable[Any]) -> None:
        known = list(types)
        found, components = msgspec.json.schema_components(known, ref_template=SCHEMAS + "{name}")
        self._known = known
        self._found = found
        self.components: Mapping[str, Schema] = {
            name: _tidy(schema) for name, schema in sorted(components.items())
        }

    def of(self, kind: Any) -> Schema:
        """The schema of a type that was named at the beginning."""
        return _tidy(self._found[self._known.index(kind)])

    def fields(self, kind: Any) -> Sequence[tuple[str, Schema, bool]]:
        """Name, schema and whether it must be there, of each field of a struct."""
        struct = self.components[self.of(kind)["$ref"].removeprefix(SCHEMAS)]
        required = struct.get("required", ())
        return [(name, bare(s), name in required) for name, s in struct["properties"].items()]

    def without(self, kinds: Iterable[Any]) -> Mapping[str, Schema]:
        """The components but for these structs, which only held parameters."""
        gone = {self.of(kind)["$ref"].removeprefix(SCHEMAS) for kind in kinds}
        return {name: schema for name, schema in self.components.items() if name not in gone}


def bare(schema: Schema) -> Schema:
    """A parameter's schema: one that is not given is absent, never null."""
    kept = {key: value for key, value in schema.items() if key != "default"}
    options = [option for option in kept.pop("anyOf", ()) if option != _NULL]
    if len(options) == 1:
        return {**options[0], **kept}
    return {**kept, "anyOf": options} if options else kept


def _tidy(schema: Schema) -> Schema:
    """Docstrings without their indentation; a null that stands for absence is no default."""
    tidy = {
        key: _tidied(value)
        for key, value in schema.items()
        if not (key == "default" and value is None)
    }
    if isinstance(tidy.get("description"), str):
        tidy["description"] = inspect.cleandoc(tidy["description"])
    return tidy


def _tidied(value: Any) -> Any:
    if isinstance(value, dict):
        return _tidy(value)
    return [_tidied(item) for item in value] if isinstance(value, list) else value
