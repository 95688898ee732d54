"""A collector of OpenTelemetry traces, over HTTP and only as long as a test."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from chassis.web import WebServer


class Collector:
    """``spans`` in the order of their arrival; ``services`` by the names of their spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.services: dict[str, str] = {}
        app = web.Application()
        app.router.add_post("/v1/traces", self._take)
        self._server = WebServer(app, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        """What services are told."""
        return self._server.address

    async def start(self) -> None:
        """Listen."""
        await self._server.start()

    async def stop(self) -> None:
        """Be gone."""
        await self._server.stop()

    def named(self, name: str) -> list[Span]:
        """All spans of that name so far."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> Span:
        """The only span of that name."""
        [span] = self.named(name)
        return span

    async def _take(self, request: web.Request) -> web.Response:
        export = ExportTraceServiceRequest.FromString(await request.read())
        for part in export.resource_spans:
            service = str(_values(part.resource.attributes)["service.name"])
            for scope in part.scope_spans:
                self.spans += scope.spans
                self.services |= {span.name: service for span in scope.spans}
        return web.Response()


def attributes(span: Span) -> dict[str, Any]:
    """What a span says beside its name and times."""
    return _values(span.attributes)


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}
