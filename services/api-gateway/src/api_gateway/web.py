"""From HTTP to functions and back: one table of paths and verbs, one place for every failure."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import structlog
from aiohttp import web

from api_gateway.domain.access import Access
from api_gateway.domain.fields import BadField, Fields, MissingField, parse_object
from api_gateway.packages import Packages
from api_gateway.paths import Paths
from api_gateway.public import envelope
from chassis.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Refused,
    TooManyTries,
    Unauthenticated,
    Unavailable,
)
from chassis.streams import Stream, Streams
from chassis.web import OTHER, REQUEST_ID, REQUESTS, SECONDS, Health, request_ids

_log = structlog.get_logger()

SERVICE = "gateway"

_HEADERS = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Server": "corral",
}


EVERYTHING = Access()


class Call:
    """One request as routes see it. ``access`` is what the caller may do: all, unless guarded."""

    __slots__ = ("_path", "_request", "access")

    def __init__(self, request: web.Request, path: Mapping[str, str]) -> None:
        self._request = request
        self._path = path
        self.access = EVERYTHING

    @property
    def actor(self) -> str:
        """Who asks: empty while nobody has to say so."""
        return self.access.actor

    @property
    def address(self) -> str:
        """Where the request comes from, the last hop of it."""
        return self._request.remote or ""

    def path(self, name: str) -> str:
        """The part of the path that stands for a name in braces in the route's path."""
        return self._path[name]

    @property
    def request_id(self) -> str:
        """Names this request in logs, events and the answer's header."""
        identity = self._request[REQUEST_ID]
        assert isinstance(identity, str)
        return identity

    def query(self, name: str) -> str | None:
        """A query parameter; the empty one counts as absent."""
        return self._request.query.get(name) or None

    def required_query(self, name: str) -> str:
        """A query parameter that must be there."""
        value = self.query(name)
        if value is None:
            raise MissingField(name)
        return value

    def header(self, name: str) -> str | None:
        """A request header."""
        return self._request.headers.get(name)

    async def raw(self) -> bytes:
        """The body as it came."""
        return await self._request.read()

    async def fields(self) -> Fields:
        """The body as a JSON object, whatever the content type says."""
        return Fields(parse_object(await self.raw()))

    async def fields_or_none(self) -> Fields:
        """The same, where the body may also be empty."""
        raw = await self.raw()
        return Fields(parse_object(raw) if raw.strip() else {})

    async def parameters(self) -> Fields:
        """Query and JSON body as one, where both are documented; the body wins."""
        raw = await self.raw()
        body = parse_object(raw) if raw.strip() else {}
        given = {name: value for name, value in body.items() if value is not None}
        return Fields({**self._request.query, **given})


Route: TypeAlias = Callable[[Call], Awaitable[bytes | Stream]]
"""Answers a call with the encoded envelope, or piece by piece, or raises."""

Routes: TypeAlias = Mapping[str, Mapping[str, Route]]
"""Path to verb to function: the whole API in one table."""


class Dispatch:
    """Finds the route; turns whatever goes wrong into the envelope and the right code.

    A logical failure is HTTP 200 with FAIL: clients throw on other codes before they read why.
    """

    def __init__(self, routes: Routes, streams: Streams) -> None:
        self._routes = routes
        self._streams = streams
        self._paths = Paths(routes)
        self._seconds = {
            (path, verb): SECONDS.labels(SERVICE, path, verb)
            for path, verbs in routes.items()
            for verb in verbs
        }

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        verb = request.method
        path, arguments = self._paths.find(request)
        verbs = self._routes.get(path)
        if verbs is None:
            return _no_route(404, "no such path")
        route = verbs.get("GET" if verb == "HEAD" else verb)
        if route is None:
            allowed = ", ".join(verbs)
            return _no_route(405, f"{verb} is not possible here, only {allowed}")
        started = time.perf_counter()
        code, answer = await _call(route, Call(request, arguments))
        if verb != "HEAD":
            self._seconds[path, verb].observe(time.perf_counter() - started)
        REQUESTS.labels(SERVICE, path, verb, code).inc()
        if isinstance(answer, Stream):
            return await self._streams.send(request, answer)
        return _answer(code, answer)


_FAILURES: tuple[tuple[tuple[type[Exception], ...], int, str | None], ...] = (
    ((BadField,), 400, None),
    ((Refused, NotFound, Conflict), 200, None),
    ((Forbidden,), 403, None),
    ((TooManyTries,), 429, None),
    ((Unavailable,), 503, "temporarily unavailable, try again later"),
    ((web.HTTPRequestEntityTooLarge,), 413, None),
    (
        (web.RequestPayloadError, ConnectionError),
        400,
        "body: expected as many readable bytes as announced",
    ),
)
"""What a route may raise: the HTTP status, and the message where the error's own is not told."""


async def _call(route: Route, call: Call) -> tuple[int, bytes | Stream]:
    try:
        answer = await route(call)
        return answer.status if isinstance(answer, Stream) else 200, answer
    except Exception as error:
        return _failure(error, call)


def _failure(error: Exception, call: Call) -> tuple[int, bytes]:
    if isinstance(error, Unauthenticated):
        return 401, envelope.AUTHENTICATION_REQUIRED
    for kinds, code, message in _FAILURES:
        if isinstance(error, kinds):
            if message is not None:
                _log.warning("request.not_answered", code=code, error=repr(error))
            return code, envelope.fail(message or _text(error))
    _log.error("request.failed", exc_info=error)
    return 500, envelope.fail(f"internal error, see the logs for request {call.request_id}")


def _no_route(code: int, message: str) -> web.Response:
    REQUESTS.labels(SERVICE, OTHER, OTHER, code).inc()
    return _answer(code, envelope.fail(message))


def _text(error: Exception) -> str:
    return (error.text or "") if isinstance(error, web.HTTPException) else str(error)


def _answer(code: int, body: bytes) -> web.Response:
    return web.Response(body=body, status=code, headers=_HEADERS)


def application(
    routes: Routes, health: Health, packages: Packages, max_body: int
) -> web.Application:
    """The probes, the packages, and the table behind everything else."""
    app = web.Application(middlewares=[request_ids], client_max_size=max_body)
    health.add_to(app)
    packages.add_to(app)
    streams = Streams()
    streams.add_to(app)
    app.router.add_route("*", "/{path:.*}", Dispatch(routes, streams).__call__)
    return app
