"""The document as a whole: every route of a table, by what it says of itself."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from api_gateway.auth.permissions import ANYBODY, NEEDS, OPEN, ROOTS
from api_gateway.openapi.responses import HEADERS, TYPES, answers, shared
from api_gateway.openapi.schemas import Schema, Schemas, bare
from api_gateway.openapi.tags import TAGS, tag_of
from api_gateway.operation import JSON, Operation, operation_of
from api_gateway.paths import names_in
from api_gateway.requests.values import COMMAS

_ABOUT = """\
Every JSON answer is an envelope: `status` (OK or FAIL), `message`, and `body` on success.
A failure of logic is HTTP 200 with FAIL, unless the caller accepts `application/problem+json`.
Bodies are JSON under any content type; null is the same as absent, unknown fields are ignored, \
numbers may be strings of digits where the documented API has it so.
What the documented API of the Anka Build Cloud controller does not have is marked as ours.
"""

_SCHEMES: Mapping[str, Schema] = {
    "root": {
        "type": "http",
        "scheme": "basic",
        "description": "The root token as the password; any user name.",
    },
    "session": {
        "type": "http",
        "scheme": "bearer",
        "description": "The session from `/tap/v1/shake`, as JSON in base64.",
    },
}

Table = Mapping[str, Mapping[str, Callable[..., Any] | Operation]]


def document(table: Table, version: str, *, guarded: bool) -> bytes:
    """The encoded document. ``guarded``: callers have to say who they are. Undescribed."""
    operations = {
        path: {verb: operation_of(route) for verb, route in verbs.items()}
        for path, verbs in table.items()
    }
    every = [said for verbs in operations.values() for said in verbs.values()]
    schemas = Schemas([*TYPES, *dict.fromkeys(kind for said in every for kind in _types(said))])
    parameters = {k for said in every for k in (said.query, said.headers, said.either) if k}
    bodies = {said.body for said in every if said.body}
    paths = {
        path: {verb.lower(): _call(path, verb, said, schemas, guarded) for verb, said in v.items()}
        for path, v in sorted(operations.items())
    }
    used = {tag for verbs in paths.values() for call in verbs.values() for tag in call["tags"]}
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "Corral", "version": version, "description": _ABOUT},
        "tags": [{"name": name, "description": d} for name, d in TAGS.items() if name in used],
        "paths": paths,
        "components": {
            "schemas": schemas.without(parameters - bodies),
            "responses": shared(schemas),
            "headers": HEADERS,
        }
        | ({"securitySchemes": _SCHEMES} if guarded else {}),
    }
    return msgspec.json.encode(whole)


def _types(said: Operation) -> Iterator[Any]:
    for kind in said.types():
        yield from (k for k in (kind if isinstance(kind, tuple) else (kind,)) if k is not None)


def _call(path: str, verb: str, said: Operation, schemas: Schemas, guarded: bool) -> Schema:
    need = NEEDS.get(path, {}).get(verb, ROOTS) if guarded else OPEN
    call: Schema = {
        "operationId": _identity(path, verb),
        "summary": said.summary,
        "tags": [tag_of(path)],
        "parameters": _parameters(path, said, schemas),
        "responses": answers(said, schemas, guarded=need != OPEN),
    }
    if said.description:
        call["description"] = said.description
    body = _body(said, schemas)
    if body is not None:
        call["requestBody"] = body
    if need != OPEN:
        roles = [] if need in {ANYBODY, ROOTS} else [need]
        schemes = ("root",) if need == ROOTS else tuple(_SCHEMES)
        call["security"] = [{name: roles} for name in schemes]
    return call


def _parameters(path: str, said: Operation, schemas: Schemas) -> list[Schema]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in names_in(path)
    ]
    for place, kind in (("query", said.query), ("query", said.either), ("header", said.headers)):
        if kind is not None:
            found += [
                _parameter(name, place, schema, required=required and kind is not said.either)
                for name, schema, required in schemas.fields(kind)
                if kind is not said.either or _fits_a_query(schema)
            ]
    return found


def _fits_a_query(schema: Schema) -> bool:
    """Arrays of those calls come in the body, unless commas make a text of them."""
    return schema.get("type") != "array" or COMMAS in schema


def _parameter(name: str, place: str, schema: Schema, *, required: bool) -> Schema:
    shown = dict(schema)
    found = {"name": name, "in": place, "required": required, "schema": shown}
    if "description" in shown:
        found["description"] = shown.pop("description")
    if shown.get("type") == "array":
        found["explode"] = COMMAS not in shown
    return found


def _body(said: Operation, schemas: Schemas) -> Schema | None:
    if said.either is not None:
        fields = {name: bare(schema) for name, schema, _ in schemas.fields(said.either)}
        described = "Instead of the query."
        schema: Schema = {"type": "object", "properties": fields}
        return {"required": False, "description": described, "content": {JSON: {"schema": schema}}}
    if said.body is None:
        return None
    content = {JSON: {"schema": schemas.of(said.body)}}
    return {"required": not said.optional, "content": content}


def _identity(path: str, verb: str) -> str:
    words = [word.strip("{}") for word in path.replace(".", "/").split("/") if word]
    return "_".join([verb.lower(), *words])
