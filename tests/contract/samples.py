"""One example of every message and of every stored document, kept for ever.

``python -m tests.contract.samples`` writes the examples that are missing; it never touches one
that is there, for that stands for what older versions have sent and stored.
"""

import enum
import importlib
import inspect
import pkgutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect as types

from contracts.catalog import message_types

GOLDEN = Path(__file__).with_name("golden")
DOCUMENTS = GOLDEN / "documents"
PACKAGES = ("contracts", "chassis", "api_gateway", "scheduler", "registry", "event_pusher")
_MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def document_types() -> dict[str, type[msgspec.Struct]]:
    """Every struct that is read from the store: those with an ``_id``."""
    found: dict[str, type[msgspec.Struct]] = {}
    for package in PACKAGES:
        for module in _modules(package):
            for _, kind in inspect.getmembers(module, _is_struct):
                if kind.__module__ == module.__name__ and _is_stored(kind):
                    found[f"{package}.{kind.__name__.lstrip('_')}"] = kind
    return dict(sorted(found.items()))


def missing() -> dict[Path, type[msgspec.Struct]]:
    """What has no example yet."""
    wanted = {GOLDEN / f"{tag}.json": kind for tag, kind in message_types().items()}
    wanted |= {DOCUMENTS / f"{name}.json": kind for name, kind in document_types().items()}
    return {path: kind for path, kind in wanted.items() if not path.exists()}


def example(kind: type[msgspec.Struct]) -> bytes:
    """An instance with every field set, as JSON for people to read."""
    value = msgspec.convert(_value(types.type_info(kind), "value"), kind)
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _modules(package: str) -> list[Any]:
    top = importlib.import_module(package)
    names = [m.name for m in pkgutil.walk_packages(top.__path__, f"{package}.")]
    wanted = [name for name in names if not name.endswith("__main__")]
    return [top, *map(importlib.import_module, wanted)]


def _is_struct(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, msgspec.Struct)


def _is_stored(kind: type[msgspec.Struct]) -> bool:
    is_frame = bool(kind.__subclasses__())
    return not is_frame and any(f.encode_name == "_id" for f in msgspec.structs.fields(kind))


_PLAIN: dict[type, Any] = {
    types.IntType: 7,
    types.FloatType: 0.5,
    types.BoolType: True,
    types.BytesType: b"bytes",
    types.ByteArrayType: b"bytes",
    types.DateTimeType: _MOMENT,
    types.AnyType: "anything",
    types.RawType: msgspec.Raw(b'"raw"'),
}


def _value(kind: types.Type, name: str) -> Any:  # noqa: PLR0911 -- a table of types
    match kind:
        case types.StrType():
            return name
        case types.EnumType():
            members: list[enum.Enum] = list(kind.cls)
            return members[-1].value
        case types.LiteralType():
            return kind.values[0]
        case types.UnionType():
            return _value(next(t for t in kind.types if not _is_none(t)), name)
        case types.StructType():
            fields = {f.encode_name: _value(f.type, f.name) for f in kind.fields}
            return fields | ({kind.tag_field: kind.tag} if kind.tag_field else {})
        case types.VarTupleType() | types.ListType() | types.SetType() | types.FrozenSetType():
            return [_value(kind.item_type, name)]
        case types.TupleType():
            return [_value(item, name) for item in kind.item_types]
        case types.DictType():
            return {"key": _value(kind.value_type, name)}
        case _:
            return _PLAIN[type(kind)]


def _is_none(kind: types.Type) -> bool:
    return isinstance(kind, types.NoneType)


def main() -> None:
    """Write what is missing."""
    DOCUMENTS.mkdir(parents=True, exist_ok=True)
    for path, kind in missing().items():
        path.write_bytes(example(kind))


if __name__ == "__main__":
    main()
