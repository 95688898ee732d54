"""From HTTP to functions and back: one table of paths and verbs, one place for every failure."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import NamedTuple, TypeAlias

import structlog
from aiohttp import web
from multidict import CIMultiDict
from prometheus_client import Counter

from api_gateway.domain.access import Access
from api_gateway.domain.fields import BadField, Fields, MissingField, parse_object
from api_gateway.packages import Packages
from api_gateway.paths import Paths
from api_gateway.public import envelope
from api_gateway.public.problem import PROBLEM
from api_gateway.replies import UNAVAILABLE, Failure, Reply, as_problem, failed
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

_LONG = 4 << 20
_PIECE = 1 << 20
_BODY_SECONDS = web.AppKey("body_seconds", float)

_EVERY_PATH = "/{path:(?s:.*)}"
"""With line breaks too, or the framework would answer in its own words."""

_HEADERS = CIMultiDict(
    {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "Server": "corral",
    }
)


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

    def queries(self, name: str) -> tuple[str, ...]:
        """Every value of a query parameter; empty ones count as absent."""
        return tuple(filter(None, self._request.query.getall(name, ())))

    def target(self, **query: str) -> str:
        """This request's path and query, with these parameters set."""
        url = self._request.rel_url
        return str((url.relative() if url.absolute else url).update_query(query))

    def header(self, name: str) -> str | None:
        """A request header."""
        return self._request.headers.get(name)

    async def raw(self) -> bytes:
        """The body as it came."""
        try:
            async with asyncio.timeout(self._request.app[_BODY_SECONDS]):
                return await self._request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="body: it took too long to arrive") from None

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


Route: TypeAlias = Callable[[Call], Awaitable[bytes | Reply | Stream]]
"""Answers a call with the encoded envelope, perhaps with headers, or piece by piece, or raises."""

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
        self._counts: dict[tuple[str, str, int], Counter] = {}

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        verb = request.method
        path, arguments = self._paths.find(request)
        verbs = self._routes.get(path)
        if verbs is None:
            return _no_route(request, failed(404, "no such path"))
        route = verbs.get("GET" if verb == "HEAD" else verb)
        if route is None:
            allowed = ", ".join(verbs)
            message = f"{verb} is not possible here, only {allowed}"
            return _no_route(request, failed(405, message), {"Allow": allowed})
        started = time.perf_counter()
        answer = await _call(route, Call(request, arguments))
        if verb != "HEAD":
            self._seconds[path, verb].observe(time.perf_counter() - started)
        if isinstance(answer, Reply):
            answer = _wished(request, answer)
        self._count(path, verb, answer.status)
        if isinstance(answer, Reply) and len(answer.body) <= _LONG:
            return _response(answer)
        stream = _in_pieces(answer) if isinstance(answer, Reply) else answer
        return await self._streams.send(request, stream)

    def _count(self, path: str, verb: str, status: int) -> None:
        """Looking a counter up by its labels costs more than counting."""
        key = path, verb, status
        counter = self._counts.get(key)
        if counter is None:
            counter = self._counts[key] = REQUESTS.labels(SERVICE, *key)
        counter.inc()


_FAILURES: tuple[tuple[tuple[type[Exception], ...], int, str | None], ...] = (
    ((BadField,), 400, None),
    ((Refused, NotFound, Conflict), 200, None),
    ((Forbidden,), 403, None),
    ((TooManyTries,), 429, None),
    ((Unavailable,), 503, UNAVAILABLE),
    ((web.HTTPRequestTimeout,), 408, None),
    ((web.HTTPRequestEntityTooLarge,), 413, None),
    (
        (web.RequestPayloadError, ConnectionError),
        400,
        "body: expected as many readable bytes as announced",
    ),
)
"""What a route may raise: the HTTP status, and the message where the error's own is not told."""


_RIGHT: tuple[tuple[type[Exception], int], ...] = ((NotFound, 404), (Conflict, 409), (Refused, 422))
"""The HTTP status of logical failures, for whoever accepts application/problem+json."""


async def _call(route: Route, call: Call) -> Reply | Stream:
    try:
        answer = await route(call)
    except Exception as error:
        return _failure(error, call)
    return Reply(body=answer) if isinstance(answer, bytes) else answer


def _failure(error: Exception, call: Call) -> Reply:
    if isinstance(error, Unauthenticated):
        failure = Failure("Authentication Required", 401)
        return Reply(status=401, body=envelope.AUTHENTICATION_REQUIRED, failure=failure)
    for kinds, code, message in _FAILURES:
        if isinstance(error, kinds):
            if message is not None or error.__cause__ is not None:
                _log.warning(
                    "request.not_answered", code=code, error=repr(error.__cause__ or error)
                )
            right = next((right for kind, right in _RIGHT if isinstance(error, kind)), None)
            return failed(code, message or _text(error), right)
    _log.error("request.failed", exc_info=error)
    return failed(500, f"internal error, see the logs for request {call.request_id}")


def _no_route(
    request: web.Request, reply: Reply, headers: Mapping[str, str] | None = None
) -> web.Response:
    REQUESTS.labels(SERVICE, OTHER, OTHER, reply.status).inc()
    response = _response(_wished(request, reply))
    response.headers.update(headers or {})
    return response


def _text(error: Exception) -> str:
    return (error.text or "") if isinstance(error, web.HTTPException) else str(error)


def _wished(request: web.Request, reply: Reply) -> Reply:
    if reply.failure is not None and PROBLEM in request.headers.get("Accept", "").lower():
        return as_problem(reply.failure, request[REQUEST_ID])
    return reply


def _response(reply: Reply) -> web.Response:
    headers = _HEADERS.copy()
    headers.update(reply.headers)
    return web.Response(body=reply.body, status=reply.status, headers=headers)


def _in_pieces(reply: Reply) -> Stream:
    """A long answer, so that whoever takes none of it for a while does not hold it for ever."""
    headers = {**_HEADERS, "Content-Length": str(len(reply.body)), **reply.headers}

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(reply.body), _PIECE):
            yield reply.body[start : start + _PIECE]

    return Stream(
        pieces=pieces(),
        content_type=headers["Content-Type"],
        status=reply.status,
        headers=headers,
    )


class Limits(NamedTuple):
    """Of one request: bytes of its body, seconds for that to come, seconds to take more answer."""

    body: int
    receive: float
    send: float


def application(
    routes: Routes, health: Health, packages: Packages, limits: Limits
) -> web.Application:
    """The probes, the packages, and the table behind everything else."""
    app = web.Application(middlewares=[request_ids], client_max_size=limits.body)
    app[_BODY_SECONDS] = limits.receive
    health.add_to(app)
    packages.add_to(app)
    streams = Streams(limits.send)
    streams.add_to(app)
    app.router.add_route("*", _EVERY_PATH, Dispatch(routes, streams).__call__)
    return app
