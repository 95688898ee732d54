"""HTTP for every service: health, metrics, JSON, a request id in every answer and log line."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import version
from typing import TypeAlias

import msgspec
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest

from chassis.telemetry import BUILD

REQUESTS = Counter(
    "corral_http_requests_total", "HTTP requests.", ["service", "path", "verb", "code"]
)
SECONDS = Histogram(
    "corral_http_request_seconds",
    "Time to answer.",
    ["service", "path", "verb"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
)
OTHER = "other"
"""Path and verb of requests that no route answers: metrics must not grow with what is asked."""

Exposition: TypeAlias = Callable[[], bytes]
"""More metrics in the Prometheus text format."""

Check = Callable[[], Awaitable[str]]
"""A readiness check: the empty string, or what is wrong."""

REQUEST_ID = web.RequestKey("request_id", str)
REQUEST_ID_HEADER = "X-Request-ID"
ACTOR_HEADER = "X-Corral-Actor"
"""On whose behalf one service asks another."""

KEEP_ALIVE_SECONDS = 120.0

_CLIENT_GONE = 499
_MAX_REQUEST_ID = 128
_MAX_MESSAGE = 200
_log = structlog.get_logger()


class Health:
    """Liveness is answering at all; readiness is every check saying nothing."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks
        self.draining = False

    async def livez(self, _request: web.Request) -> web.Response:
        """200 while the process answers."""
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        """200 when every check passes, else 503; ``?verbose`` names each."""
        wrong = {"drain": "draining"} if self.draining else {}
        for name, check in self._checks.items():
            try:
                problem = await asyncio.wait_for(check(), 2)
            except Exception as error:
                problem = repr(error)
            if problem:
                wrong[name] = problem
        lines = "".join(f"{k}: {v}\n" for k, v in wrong.items()) or "ok\n"
        if "verbose" in request.query:
            lines += "".join(f"[{'-' if n in wrong else '+'}] {n}\n" for n in self._checks)
        return web.Response(text=lines, status=503 if wrong else 200)

    def add_to(self, app: web.Application) -> None:
        """Add both probes; they are open without authentication."""
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/readyz", self.readyz)


def measured(service: str) -> Middleware:
    """Counts and times requests by the pattern of their route; to be the first that runs."""

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        path, verb = (OTHER, OTHER) if resource is None else (resource.canonical, request.method)
        code = _CLIENT_GONE
        started = time.perf_counter()
        try:
            response = await handler(request)
            code = response.status
        except web.HTTPException as error:
            code = error.status
            raise
        finally:
            SECONDS.labels(service, path, verb).observe(time.perf_counter() - started)
            REQUESTS.labels(service, path, verb, code).inc()
        return response

    return measure


@web.middleware
async def request_ids(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take the caller's request id or make one; bind it to the log and return it."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    identity = (
        given if 0 < len(given) <= _MAX_REQUEST_ID and given.isprintable() else os.urandom(16).hex()
    )
    request[REQUEST_ID] = identity
    structlog.contextvars.bind_contextvars(request_id=identity)  # each request is its own task
    response = await handler(request)
    if not response.prepared:
        response.headers[REQUEST_ID_HEADER] = identity
    return response


class ConnectionLog:
    """What aiohttp's connections log. A request that is no HTTP is its sender's mistake."""

    def debug(self, message: str, *args: object, **_given: object) -> None:
        """Nothing that anybody needs."""

    def warning(self, message: str, *args: object) -> None:
        """See logging.Logger."""
        _log.warning("web.connection", message=message % args)

    def exception(self, message: str, *args: object, exc_info: BaseException | None = None) -> None:
        """One line for a malformed request, the whole story of anything else."""
        if isinstance(exc_info, HttpProcessingError):
            _log.info("web.malformed_request", error=exc_info.message[:_MAX_MESSAGE])
        else:
            _log.error("web.connection_failed", message=message % args, exc_info=exc_info)


def json_response(value: object, status: int = 200) -> web.Response:
    """A struct or builtin as compact JSON."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


class WebServer:
    """An application on one address; ``port`` 0 takes a free one, ``address`` tells which.

    ``keep_alive``: a connection is closed that has not sent a whole head of a request for so
    many seconds, be it idle or slow. Longer than proxies and clients keep theirs (60 to 90 s):
    a request must not meet a connection that is being closed.
    """

    def __init__(
        self, app: web.Application, host: str, port: int, keep_alive: float = KEEP_ALIVE_SECONDS
    ) -> None:
        self._runner = web.AppRunner(
            app,
            access_log=None,
            logger=ConnectionLog(),
            shutdown_timeout=5,
            keepalive_timeout=keep_alive,
        )
        self._host = host
        self._port = port

    @property
    def port(self) -> int:
        """The port it listens on (after start)."""
        return self._port

    @property
    def address(self) -> str:
        """Its URL, without a trailing slash."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=1024)
        await site.start()
        for address in self._runner.addresses:
            self._port = address[1]
        _log.info("web.listening", address=self.address)

    async def stop(self) -> None:
        """Finish running requests, close."""
        await self._runner.cleanup()


def metrics_server(
    service: str, health: Health, host: str, port: int, more: Exposition | None = None
) -> WebServer:
    """The second listener that every service has: metrics and probes."""

    async def metrics(_request: web.Request) -> web.Response:
        body = generate_latest() + (more() if more else b"")
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    BUILD.labels(service, version("corral-chassis")).set(1)
    app = web.Application()
    app.router.add_get("/metrics", metrics)
    health.add_to(app)
    return WebServer(app, host, port)
