"""``/api/v1/pool``: warm pools. They are all wish, so the gateway owns and announces them."""

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from api_gateway.catalogue import Catalogue
from api_gateway.configuration import Configuration
from api_gateway.contended import contended
from api_gateway.domain.fields import MissingField
from api_gateway.domain.pool_request import read_pool
from api_gateway.feasibility import Feasibility
from api_gateway.happened import happened
from api_gateway.operation import operation
from api_gateway.outbox import Outbox
from api_gateway.pool_store import PoolStore
from api_gateway.public import envelope
from api_gateway.public.pools import PublicPool
from api_gateway.public.pools import pool as encode
from api_gateway.reader import Reader
from api_gateway.requests.pools import NewPool, PoolChanges
from api_gateway.requests.values import ById, PerhapsById
from api_gateway.web import Call, Routes
from chassis.clock import Clock
from contracts.events import EventHappened, EventKind
from contracts.instances import InstanceSpec
from contracts.messages import tag_of
from contracts.pools import POOL_PRIORITY, PoolChanged, PoolDocument, PoolRemoved


class PoolRoutes:
    """Everything that can be asked of pools."""

    def __init__(
        self,
        store: PoolStore,
        reader: Reader,
        catalogue: Catalogue,
        feasibility: Feasibility,
        outbox: Outbox,
        clock: Clock,
        configuration: Configuration,
    ) -> None:
        self._store = store
        self._reader = reader
        self._catalogue = catalogue
        self._feasibility = feasibility
        self._outbox = outbox
        self._clock = clock
        self._configuration = configuration

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/pool": {
                "GET": self.get,
                "POST": self.create,
                "PUT": self.update,
                "DELETE": self.delete,
            }
        }

    @operation((PublicPool, list[PublicPool]), query=PerhapsById)
    async def get(self, call: Call) -> bytes:
        """All pools; with ``id`` one, flat."""
        identity = call.query("id")
        known = await self._store.all() if identity is None else [await self._store.one(identity)]
        members = await self._reader.members()
        public = [encode(pool, members.get(pool.id, ())) for pool in known]
        return envelope.ok_list(public) if identity is None else envelope.ok(public[0])

    @operation(PublicPool, body=NewPool)
    async def create(self, call: Call) -> bytes:
        """Make a pool; the answer is the pool."""
        given = read_pool(await call.fields())
        for public, name in (("name", "name"), ("vmid", "template_id"), ("size", "size")):
            if name not in given:
                raise MissingField(public)
        document = PoolDocument(
            id=str(uuid.uuid4()),
            created=self._clock.now(),
            registry=await self._configuration.registry(),
            **{"priority": POOL_PRIORITY} | given,
        )
        await self._check(document)
        messages = [_changed(document), self._event(EventKind.POOL_CREATED, document, call)]
        await self._store.add(document, self._outbox.writes(messages))
        await self._announced()
        return envelope.ok(encode(document, ()))

    @operation(query=ById, body=PoolChanges)
    async def update(self, call: Call) -> bytes:
        """Change the given parts; members that no longer fit are replaced."""
        identity = call.required_query("id")
        registry = await self._configuration.registry()
        sets = read_pool(await call.fields()) | {"registry": registry}

        async def attempt() -> None:
            known = await self._store.one(identity)
            document = _moved_on(known, sets)
            await self._check(document)
            messages = [_changed(document), self._event(EventKind.POOL_UPDATED, document, call)]
            await self._store.change(known, sets, self._outbox.writes(messages))

        await contended("pool", attempt)
        await self._announced()
        return envelope.OK

    @operation(either=ById)
    async def delete(self, call: Call) -> bytes:
        """Remove a pool; what it keeps and nobody has claimed ends."""
        identity = (await call.parameters()).required_text("id")

        async def attempt() -> None:
            known = await self._store.one(identity)
            gone = _moved_on(known, {})
            removed = PoolRemoved(id=_message_id(gone, tag_of(PoolRemoved)), pool_id=identity)
            messages = [removed, self._event(EventKind.POOL_DELETED, gone, call)]
            await self._store.remove(known, self._outbox.writes(messages))

        await contended("pool", attempt)
        await self._announced()
        return envelope.OK

    async def _check(self, document: PoolDocument) -> None:
        """Refused or NotFound when its members could never be made."""
        template = await self._catalogue.resolve(document.template_id, document.tag, None)
        member = InstanceSpec(
            template=template,
            registry=document.registry,
            group_id=document.group_id,
            overrides=document.overrides,
        )
        sizes = (document.size, *(shift.size for shift in document.schedule))
        await self._feasibility.check(member, max(sizes))

    async def _announced(self) -> None:
        await self._store.reread()
        await self._outbox.flush_now()

    def _event(self, kind: EventKind, document: PoolDocument, call: Call) -> EventHappened:
        fields = {"pool_id": document.id, "pool_name": document.name}
        identity, at = _message_id(document, kind), self._clock.now()
        return happened(call, kind, ("poolAction", document.id), fields, identity=identity, at=at)


def _moved_on(known: PoolDocument, sets: Mapping[str, Any]) -> PoolDocument:
    return msgspec.structs.replace(known, generation=known.generation + 1, **sets)


def _changed(document: PoolDocument) -> PoolChanged:
    return PoolChanged(id=_message_id(document, tag_of(PoolChanged)), pool=document)


def _message_id(document: PoolDocument, kind: str) -> str:
    return str(uuid.uuid5(uuid.UUID(document.id), f"{document.generation}:{kind}"))
