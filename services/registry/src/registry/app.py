"""The only wiring of the registry."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from aiohttp import web

from chassis.bus.dispatch import Dispatcher
from chassis.bus.port import Bus
from chassis.clock import Clock, SystemClock
from chassis.log_shipping import LogShipping
from chassis.service import Loop, Part, Service
from chassis.store.port import Store
from chassis.streams import Streams
from chassis.web import Health, WebServer, metrics_server, request_ids
from registry.blobs import Blobs
from registry.catalog import Catalog
from registry.config import Settings
from registry.facade.cors import Cors
from registry.facade.envelope import facade_errors
from registry.facade.files import FileRoutes
from registry.facade.index import IndexRoutes
from registry.facade.listing import Listing
from registry.facade.logs import LogRoutes
from registry.facade.templates import TemplateRoutes
from registry.handlers import HANDLED, QUEUE, Handlers
from registry.list_store import ListStore
from registry.logs.folder import LogFolder
from registry.logs.writer import LogWriter, OwnLog
from registry.metrics import DISK_FREE, DISK_TOTAL
from registry.oci.blobs import BlobRoutes
from registry.oci.errors import VERSION_HEADER, oci_errors
from registry.oci.manifests import ManifestRoutes
from registry.oci.uploads import UploadRoutes
from registry.outbox import Outbox
from registry.pulls import Pulls
from registry.store import RegistryStore
from registry.templates import Templates
from registry.uploads import Uploads
from registry.vm_files import VmFiles

_OUTBOX_SECONDS = 3.0
_PULLS_SECONDS = 2.0
_EXPIRY_SECONDS = 600.0
_DISK_SECONDS = 15.0


class Routes(Protocol):
    """Something that answers some paths."""

    def add_to(self, app: web.Application) -> None:
        """Add them."""
        ...


def build(settings: Settings, bus: Bus, store: Store, clock: Clock | None = None) -> Service:
    """A registry, ready to start."""
    clock = clock or SystemClock()
    base = Path(settings.base_path)
    records = RegistryStore(store)
    blobs = Blobs(base)
    uploads = Uploads(base, blobs, clock, settings.disk_reserve, settings.upload_ttl)
    outbox = Outbox(records, bus)
    templates = Templates(records, outbox, clock)
    catalog = Catalog(records, blobs, templates, clock)
    pulls = Pulls(templates, clock)
    handlers = Handlers(records, templates, outbox, clock)
    logs = _Logs(settings, clock)

    health = Health({"store": partial(_answers, store)})
    routes: tuple[Routes, ...] = (
        UploadRoutes(records, uploads, clock),
        BlobRoutes(records, blobs, clock),
        ManifestRoutes(records, catalog, pulls),
        TemplateRoutes(templates, Listing(ListStore(store), templates, clock), catalog, blobs),
        *logs.routes,
        IndexRoutes(),
        Cors(settings.allow_cors),
        health,
    )
    return Service(
        "registry",
        [
            records,
            blobs,
            uploads,
            outbox,
            Loop("outbox", _OUTBOX_SECONDS, outbox.sweep, clock),
            Loop("uploads", _EXPIRY_SECONDS, uploads.expire, clock),
            Loop("disk", _DISK_SECONDS, partial(_watch_disk, blobs), clock),
            *logs.parts,
            pulls,
            Loop("pulls", _PULLS_SECONDS, pulls.flush, clock),
            Dispatcher(bus, [QUEUE], HANDLED, handlers.handle, clock, outbox.kick),
            metrics_server(health, settings.metrics_host, settings.metrics_port),
            WebServer(_web(routes), settings.listen_host, settings.listen_port),
        ],
        health,
    )


class _Logs:
    """The central logs and the files about failed VMs: what answers, and what runs."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        base = Path(settings.base_path) / "files"
        folder = LogFolder(base / "central-logs", settings.rotation, clock)
        writer = LogWriter(folder)
        files = VmFiles(
            base / "logs",
            clock,
            limit=settings.max_failure_log,
            keep=settings.keep_logs,
            reserve=settings.disk_reserve,
        )
        self.routes: Sequence[Routes] = (
            LogRoutes(folder, writer, Streams()),
            FileRoutes(files),
        )
        own = [LogShipping(OwnLog(writer), clock)] if settings.central_logging else []
        self.parts: Sequence[Part] = (
            writer,
            *own,
            Loop("logs", _EXPIRY_SECONDS, writer.expire, clock),
            Loop("vm_files", _EXPIRY_SECONDS, files.expire, clock),
        )


def _web(routes: Iterable[Routes]) -> web.Application:
    app = web.Application(middlewares=[request_ids, facade_errors, oci_errors])
    app.router.add_get("/v2/", _hello)
    app.router.add_get("/v2", _hello)
    for each in routes:
        each.add_to(app)
    return app


async def _answers(store: Store) -> str:
    await store.now()
    return ""


async def _watch_disk(blobs: Blobs) -> None:
    disk = await blobs.disk()
    DISK_FREE.set(disk.free)
    DISK_TOTAL.set(disk.total)


async def _hello(_request: web.Request) -> web.Response:
    return web.json_response({}, headers={VERSION_HEADER: "registry/2.0"})
