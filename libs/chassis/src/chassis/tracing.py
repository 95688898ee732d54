"""Traces in OpenTelemetry's form, as an optional extra.

Without ``otlp_endpoint`` nothing of it is imported and a span costs about a microsecond. A trace
goes from service to service as a W3C ``traceparent`` in the documents and orders of a start.
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from chassis.config import BadSettings

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Tracer

_NOTHING = contextlib.nullcontext()
_HEADER = "traceparent"
_LAST_SECONDS = 2.0


class _Tracing:
    """``tracer`` is None while tracing is off."""

    tracer: "Tracer | None" = None


@contextlib.contextmanager
def exporting(service: str, endpoint: str) -> Iterator[None]:
    """Meanwhile send spans in batches over OTLP/HTTP to ``endpoint``; "" turns tracing off.

    ``endpoint`` is the collector's base URL, such as ``http://127.0.0.1:4318``. What waits at the
    end is sent, and tried again for two seconds. Raises BadSettings when the packages are missing.
    """
    if not endpoint:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise BadSettings(
            f"otlp_endpoint: tracing needs the extra corral-chassis[tracing] ({error})"
        ) from None
    resource = Resource.create({"service.name": f"corral-{service}"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    _Tracing.tracer = provider.get_tracer("corral")
    try:
        yield
    finally:
        _Tracing.tracer = None
        no_more = threading.Timer(_LAST_SECONDS, exporter.shutdown)
        no_more.start()
        provider.shutdown()
        no_more.cancel()


def span(
    name: str, parent: str | None = None, **attributes: str | int
) -> AbstractContextManager[None]:
    """A span around a block, whose log lines carry ``trace_id``; it is told of what is raised.

    ``parent``: the ``traceparent`` it continues, "" or a malformed one for a new trace, None for
    whatever span is open here.
    """
    tracer = _Tracing.tracer
    return _NOTHING if tracer is None else _open(tracer, name, parent, attributes)


def record(
    name: str,
    parent: str,
    times: tuple[datetime, datetime],
    failure: str = "",
    **attributes: str | int,
) -> None:
    """A span that is over, from and until ``times``; nothing when ``parent`` is ""."""
    tracer = _Tracing.tracer
    if tracer is None or not parent:
        return
    from opentelemetry.trace import StatusCode

    begun, ended = map(_nanoseconds, times)
    past = tracer.start_span(name, _continued(parent), attributes=attributes, start_time=begun)
    if failure:
        past.set_status(StatusCode.ERROR, failure)
    past.end(max(begun, ended))


def inject() -> str:
    """The ``traceparent`` of the open span, to be continued elsewhere; "" without one."""
    if _Tracing.tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(_HEADER, "")


def log_ids(traceparent: str) -> dict[str, str]:
    """What a log line outside of any span says of its trace."""
    return {"trace_id": traceparent.split("-")[1]} if traceparent else {}


@contextlib.contextmanager
def _open(
    tracer: "Tracer", name: str, parent: str | None, attributes: Mapping[str, str | int]
) -> Iterator[None]:
    context = None if parent is None else _continued(parent)
    with tracer.start_as_current_span(name, context, attributes=attributes) as opened:
        trace_id = f"{opened.get_span_context().trace_id:032x}"
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            yield


def _continued(traceparent: str) -> "Context":
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({_HEADER: traceparent}, Context())


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1000
