"""The envelope of the façade's answers, and what its errors look like."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import structlog
from aiohttp import web

from chassis.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Refused,
    TooManyTries,
    Unauthenticated,
    Unavailable,
)
from chassis.web import json_response
from registry.blobs import NoSpace
from registry.vm_files import TooLarge

_log = structlog.get_logger()


class BadRequest(Exception):
    """The request is malformed; the text says where."""


_NOBODY = 401
_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, 200),
    (TooLarge, 413),
    (Refused, 400),
    (BadRequest, 400),
    (Conflict, 409),
    (Unauthenticated, _NOBODY),
    (Forbidden, 403),
    (TooManyTries, 429),
    (NoSpace, 507),
    (Unavailable, 503),
)


def ok_v1(body: object) -> web.Response:
    """Success; the first version of the API puts the message last."""
    return json_response({"status": "OK", "body": body, "message": ""})


def ok(body: object) -> web.Response:
    """Success."""
    return json_response({"status": "OK", "message": "", "body": body})


def done(message: str = "") -> web.Response:
    """Success without a result."""
    return json_response({"status": "OK", "message": message})


def fail(message: str, status: int = 200) -> web.Response:
    """A failure; 200 is for what is well-formed and merely not there."""
    answer = json_response({"status": "FAIL", "message": message}, status)
    if status == _NOBODY:
        answer.text = f"{answer.text}\n"  # the documented length counts it
    return answer


@web.middleware
async def facade_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Answer every error in the envelope."""
    try:
        return await handler(request)
    except (ConnectionError, web.RequestPayloadError):
        return fail("the request was cut off", 400)
    except web.HTTPNotFound:
        return fail("Not found", 404)
    except web.HTTPException as error:
        return fail(error.reason, error.status)
    except Exception as error:
        for kind, status in _STATUSES:
            if isinstance(error, kind):
                return fail(str(error), status)
        _log.exception("registry.failed", path=request.path)
        return fail("internal error", 500)


async def parameters(request: web.Request) -> Mapping[str, Any]:
    """Query and JSON body as one; the body counts under any content type, and wins."""
    raw = await request.read()
    body: dict[str, Any] = {}
    if raw.strip():
        try:
            body = msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.ValidationError:
            raise BadRequest("the body is not a JSON object") from None
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadRequest("the body is not JSON") from None
    return dict(request.query) | body


def text(given: Mapping[str, Any], *names: str) -> str | None:
    """The first of these parameters that is there; BadRequest when it is no string."""
    for name in names:
        value = given.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise BadRequest(f"{name} must be a string")
            return value
    return None


def required(given: Mapping[str, Any], name: str) -> str:
    """This parameter, a string that is not empty; else BadRequest."""
    value = text(given, name)
    if not value:
        raise BadRequest(f"{name} is required")
    return value


def words(given: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    """This parameter as an array of strings, in a query separated by commas; else BadRequest."""
    value = given.get(name)
    if isinstance(value, str):
        value = [word.strip() for word in value.split(",") if word.strip()]
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
        raise BadRequest(f"{name} must be an array of strings")
    return tuple(dict.fromkeys(value))


def flag(given: Mapping[str, Any], name: str) -> bool:
    """Whether this parameter is true; BadRequest when it is no boolean."""
    value = given.get(name, False)
    if value in (True, "true"):
        return True
    if value in (False, "false", "", None):
        return False
    raise BadRequest(f"{name} must be true or false")


def whole(given: Mapping[str, Any], *names: str) -> int | None:
    """The first of these parameters that is there, as a whole number; else BadRequest."""
    for name in names:
        value = given.get(name)
        if value is None or value == "":
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
        raise BadRequest(f"{name} must be a whole number")
    return None
