"""What a call may be answered."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import NoneType
from typing import Any

from api_gateway.openapi.schemas import Schema, Schemas
from api_gateway.operation import ANY, JSON, Operation
from api_gateway.public.envelope import DoneEnvelope, FailureEnvelope
from api_gateway.public.problem import PROBLEM, Problem

RESPONSES = "#/components/responses/"
_OK, _NOT_MODIFIED = "200", "304"


TYPES: tuple[type, ...] = (FailureEnvelope, DoneEnvelope, Problem, NoneType)
"""What answers are made of besides the routes' own types."""

_ALWAYS: Mapping[int, str] = {
    400: "A field is not what it should be; the message names it.",
    408: "The request's body took too long to arrive.",
    413: "The request's body is too large.",
    500: "A fault of ours; the message names the request in the logs.",
    503: "Temporarily unavailable: nothing is known to be wrong, try again.",
}
_GUARDED: Mapping[int, str] = {
    401: "Nobody is known by these credentials.",
    403: "The caller lacks the permission.",
}
_PROBLEMS: Mapping[int, str] = {
    404: "Not found.",
    409: "It exists already, or is being changed by somebody else.",
    422: "Refused: well-formed, but impossible.",
}
_HEADER = {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}}

HEADERS: Mapping[str, Schema] = {
    "RequestId": {
        "description": "Names the request in logs and events: the caller's own, if it sent one.",
        "schema": {"type": "string"},
    }
}


def shared(schemas: Schemas) -> Mapping[str, Schema]:
    """The failures of all calls, by the name of their HTTP status."""
    failure, problem = schemas.of(FailureEnvelope), schemas.of(Problem)
    both = {JSON: {"schema": failure}, PROBLEM: {"schema": problem}}
    only = {PROBLEM: {"schema": problem}}
    wished = "Only to whoever accepts application/problem+json; else it is 200 with FAIL. "
    plain = {
        _name(code): {"description": text, "headers": _HEADER, "content": both}
        for code, text in {**_ALWAYS, **_GUARDED}.items()
    }
    return plain | {
        _name(code): {"description": wished + text, "headers": _HEADER, "content": only}
        for code, text in _PROBLEMS.items()
    }


def answers(said: Operation, schemas: Schemas, *, guarded: bool) -> Mapping[str, Schema]:
    """The answers of one call by HTTP status."""
    found: dict[str, Schema] = {
        _OK: {
            "description": "Done, or FAIL with the reason." if said.enveloped else "Done.",
            "headers": _headers(said.sends),
            "content": _contents(said, schemas),
        }
    }
    if said.cacheable:
        not_modified = "The caller has it already."
        headers = _headers(said.sends)
        found[_NOT_MODIFIED] = {"description": not_modified, "headers": headers}
    codes: Iterable[int] = (*_ALWAYS, *(_GUARDED if guarded else ()), *_PROBLEMS)
    if said.raw:
        codes = ()
    found |= {str(code): {"$ref": RESPONSES + _name(code)} for code in codes}
    for code, text in said.codes.items():
        found[str(code)] = _own(code, text, said, schemas)
    return dict(sorted(found.items()))


def _own(code: int, text: str, said: Operation, schemas: Schemas) -> Schema:
    """A status that only some calls have: one of success is like 200, any other a failure."""
    if said.raw or ANY in said.media or code < HTTPStatus.BAD_REQUEST:
        media = said.media[-1]
        content = {media: _content(media, said, schemas)}
    else:
        content = {
            JSON: {"schema": schemas.of(FailureEnvelope)},
            PROBLEM: {"schema": schemas.of(Problem)},
        }
    return {"description": text, "headers": _HEADER, "content": content}


def _contents(said: Operation, schemas: Schemas) -> Mapping[str, Schema]:
    """Also a stream or a file that cannot be had is 200 with FAIL."""
    found = {media: _content(media, said, schemas) for media in said.media}
    if JSON not in found and not said.raw:
        found[JSON] = {"schema": schemas.of(FailureEnvelope)}
    return found


def _content(media: str, said: Operation, schemas: Schemas) -> Schema:
    if media != JSON:
        kinds = _kinds(said)
        return {"schema": _item(kinds[0], schemas)} if len(said.media) == 1 else {}
    if said.bare:
        return {"schema": schemas.of(said.answer)}
    options = [_success(kind, schemas) for kind in _kinds(said)]
    return {"schema": {"anyOf": [*options, schemas.of(FailureEnvelope)]}}


def _item(kind: Any, schemas: Schemas) -> Schema:
    """What a stream consists of: text, of which each piece may be an object."""
    if kind is str:
        return {"type": "string"}
    return {"type": "string", "contentMediaType": JSON, "contentSchema": schemas.of(kind)}


def _success(kind: Any, schemas: Schemas) -> Schema:
    if kind is None:
        return schemas.of(DoneEnvelope)
    return {
        "type": "object",
        "required": ["status", "message", "body"],
        "properties": {
            "status": {"const": "OK"},
            "message": {"const": ""},
            "body": schemas.of(kind),
        },
    }


def _kinds(said: Operation) -> Sequence[Any]:
    return said.answer if isinstance(said.answer, tuple) else (said.answer,)


def _headers(sends: Mapping[str, str]) -> Schema:
    own = {
        name: {"description": text, "schema": {"type": "string"}} for name, text in sends.items()
    }
    return {**_HEADER, **own}


def _name(code: int) -> str:
    return HTTPStatus(code).phrase.title().replace(" ", "")
