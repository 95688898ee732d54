"""The only wiring of the registry."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from aiohttp import web

from chassis.auth.authenticator import Authenticator
from chassis.auth.groups import Groups
from chassis.auth.keys import Keys
from chassis.auth.store import AccessStore
from chassis.bus.dispatch import Dispatcher
from chassis.bus.event_queue import KeepEvents
from chassis.bus.port import Bus
from chassis.clock import Clock, SystemClock
from chassis.log_shipping import LogShipping
from chassis.service import Loop, Part, Service
from chassis.store.port import Store
from chassis.streams import Streams
from chassis.web import Check, Health, WebServer, measured, metrics_server, request_ids
from registry.access import AccessControl
from registry.arrivals import Arrivals
from registry.blobs import Blobs
from registry.blobs.disk import DiskBlobs
from registry.blobs.s3 import S3Blobs
from registry.catalog import Catalog
from registry.config import Settings
from registry.distribution_store import DistributionStore
from registry.distributions import Distributions
from registry.facade.cors import Cors
from registry.facade.envelope import facade_errors
from registry.facade.files import FileRoutes
from registry.facade.index import IndexRoutes
from registry.facade.keys import KeyRoutes, LoginRoutes
from registry.facade.listing import Listing
from registry.facade.logs import LogRoutes
from registry.facade.peers import PeerRoutes
from registry.facade.permissions import PermissionRoutes
from registry.facade.templates import TemplateRoutes
from registry.folder import Folder
from registry.garbage import Garbage
from registry.handlers import COMMANDS, COMMANDS_QUEUE, REPORTS, REPORTS_QUEUE, Handlers
from registry.holdings import Holdings
from registry.list_store import ListStore
from registry.logs.folder import LogFolder
from registry.logs.writer import LogWriter, OwnLog
from registry.metrics import DISK_FREE, DISK_TOTAL
from registry.oci.blobs import BlobRoutes
from registry.oci.errors import VERSION_HEADER, oci_errors
from registry.oci.manifests import ManifestRoutes
from registry.oci.uploads import UploadRoutes
from registry.outbox import Outbox
from registry.peers import Peers
from registry.permissions import GRANTABLE, KNOWN
from registry.pulls import Pulls
from registry.removals import Removals
from registry.room import Room
from registry.scrub import Scrub
from registry.store import RegistryStore
from registry.templates import Templates
from registry.uploads import Uploads
from registry.vm_files import VmFiles

NAME = "registry"
_OUTBOX_SECONDS = 3.0
_PULLS_SECONDS = 2.0
_EXPIRY_SECONDS = 600.0
_DISK_SECONDS = 15.0
_SCRUB_SECONDS = 1.0
_DISTRIBUTIONS_SECONDS = 1.0
_ACCESS_SECONDS = 2.0


class Routes(Protocol):
    """Something that answers some paths."""

    def add_to(self, app: web.Application) -> None:
        """Add them."""
        ...


def build(settings: Settings, bus: Bus, store: Store, clock: Clock | None = None) -> Service:
    """A registry, ready to start."""
    clock = clock or SystemClock()
    records = RegistryStore(store)
    storage = _Storage(settings, store, records, clock)
    blobs = storage.blobs
    outbox = Outbox(records, bus)
    templates = Templates(records, outbox, clock)
    catalog = Catalog(records, storage.holdings, blobs, templates, clock)
    pulls = Pulls(templates, clock)
    sends = DistributionStore(store)
    distributions = Distributions(
        sends, records, outbox, bus, clock, settings.limits, settings.public_address
    )
    handlers = Handlers(records, distributions, outbox, clock)
    logs = _Logs(settings, clock)

    admission = _Admission(settings, store, clock)
    health = Health({"store": partial(_answers, store), **admission.checks})
    routes: tuple[Routes, ...] = (
        UploadRoutes(storage.uploads, storage.arrivals, storage.holdings, storage.room),
        BlobRoutes(records, storage.holdings, blobs, clock, storage.grace),
        ManifestRoutes(records, catalog, pulls),
        TemplateRoutes(
            templates, Listing(ListStore(store), templates, clock), catalog, blobs, storage.room
        ),
        *logs.routes,
        IndexRoutes(),
        Cors(settings.allow_cors),
        PeerRoutes(Peers(sends)),
        *admission.routes,
        health,
    )
    return Service(
        NAME,
        [
            records,
            *storage.parts,
            sends,
            KeepEvents(bus),
            outbox,
            Loop("outbox", _OUTBOX_SECONDS, outbox.sweep, clock),
            *logs.parts,
            *admission.parts,
            pulls,
            Loop("pulls", _PULLS_SECONDS, pulls.flush, clock),
            Dispatcher(bus, [COMMANDS_QUEUE], COMMANDS, handlers.handle, clock, outbox.kick),
            Dispatcher(bus, [REPORTS_QUEUE], REPORTS, handlers.hear, clock),
            Loop("distributions", _DISTRIBUTIONS_SECONDS, distributions.sweep, clock),
            metrics_server(NAME, health, settings.metrics_host, settings.metrics_port),
            WebServer(_web(routes), settings.listen_host, settings.listen_port),
        ],
        health,
    )


class _Storage:
    """The blobs: where they are, who may read them, how they come, and how they end."""

    def __init__(
        self, settings: Settings, store: Store, records: RegistryStore, clock: Clock
    ) -> None:
        self.grace = timedelta(seconds=settings.gc_grace)
        folder = Folder(Path(settings.base_path))
        self.blobs = _blobs(settings, folder)
        self.holdings = Holdings(store, clock, self.grace)
        self.room = Room(
            self.holdings, self.blobs, settings.quota_bytes, settings.repository_quota_bytes
        )
        self.uploads = Uploads(
            folder, self.blobs, clock, settings.disk_reserve, settings.upload_ttl
        )
        self.arrivals = Arrivals(self.uploads, self.holdings, self.room)
        removals = Removals(store, folder, clock)
        garbage = Garbage(
            records, self.holdings, removals, self.blobs, self.room, clock, self.grace
        )
        scrub = Scrub(removals, self.blobs, clock, settings.scrub_interval, settings.scrub_rate)
        self.parts: Sequence[Part] = (
            folder,
            self.holdings,
            self.blobs,
            self.uploads,
            garbage,
            Loop("uploads", _EXPIRY_SECONDS, self.uploads.expire, clock),
            Loop("disk", _DISK_SECONDS, partial(_watch_disk, self.room), clock),
            Loop("gc", settings.gc_interval, garbage.sweep, clock),
            Loop("scrub", _SCRUB_SECONDS, scrub.step, clock),
        )


def _blobs(settings: Settings, folder: Folder) -> Blobs:
    return S3Blobs(settings.s3) if settings.blob_backend == "s3" else DiskBlobs(folder.base)


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


class _Admission:
    """Who asks, with keys and permission groups of the registry's own; nothing while it is off."""

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self.routes: Sequence[Routes] = ()
        self.parts: Sequence[Part] = ()
        self.checks: Mapping[str, Check] = {}
        if not settings.enable_auth:
            return
        documents = AccessStore(store, "registry_")
        authenticator = Authenticator(settings, documents, clock)
        keys = Keys(documents, authenticator.directory, clock)
        groups = Groups(documents, authenticator.directory, KNOWN, GRANTABLE)
        by_group = settings.enable_registry_authorization
        by_template = settings.enable_resource_management
        control = AccessControl(authenticator, by_group=by_group, by_template=by_template)
        with_keys = (LoginRoutes(authenticator), KeyRoutes(keys))
        self.routes = (
            control,
            *(with_keys if settings.enable_api_keys else ()),
            *((PermissionRoutes(groups, by_template=by_template),) if by_group else ()),
        )
        self.parts = (
            authenticator,
            Loop("access", _ACCESS_SECONDS, authenticator.refresh, clock),
            Loop("expired_keys", settings.api_keys_cleaning_interval, keys.clean, clock),
        )
        self.checks = {"access": authenticator.problem}


def _web(routes: Iterable[Routes]) -> web.Application:
    app = web.Application(middlewares=[measured(NAME), request_ids, facade_errors, oci_errors])
    app.router.add_get("/v2/", _hello)
    app.router.add_get("/v2", _hello)
    for each in routes:
        each.add_to(app)
    return app


async def _answers(store: Store) -> str:
    await store.now()
    return ""


async def _watch_disk(room: Room) -> None:
    await room.refresh()
    disk = await room.disk()
    DISK_FREE.set(disk.free)
    DISK_TOTAL.set(disk.total)


async def _hello(_request: web.Request) -> web.Response:
    return web.json_response({}, headers={VERSION_HEADER: "registry/2.0"})
