"""``/api/v1/group``: node groups. They are all wish, so the gateway owns and announces them."""

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from api_gateway.contended import contended
from api_gateway.documents import GROUPS
from api_gateway.domain.fields import Fields
from api_gateway.domain.membership import makes_cycle
from api_gateway.domain.quota_request import read_quota
from api_gateway.happened import happened
from api_gateway.operation import operation
from api_gateway.outbox import Outbox
from api_gateway.outgoing import Outgoing
from api_gateway.public import envelope
from api_gateway.public.groups import PublicGroup
from api_gateway.public.groups import group as encode
from api_gateway.reader import Reader
from api_gateway.requests.nodes import GroupChanges, NewGroup
from api_gateway.requests.values import ById, PerhapsById
from api_gateway.store import GatewayStore
from api_gateway.sync import Sync
from api_gateway.web import Call, Routes
from api_gateway.wishes import clear_members
from chassis.clock import Clock
from chassis.errors import NotFound, Refused
from chassis.store.port import Delete, Insert, Update, Write, plain
from contracts.events import EventHappened, EventKind
from contracts.groups import GroupChanged, GroupDocument, GroupRemoved
from contracts.messages import Message, tag_of
from contracts.nodes import ConfigureNode

Decide: TypeAlias = Callable[[Mapping[str, GroupDocument]], Sequence[Write]]
"""From the groups as stored to what is to be written."""


class GroupRoutes:
    """Everything that can be asked of groups. Each write is fenced by the groups' revision."""

    def __init__(
        self,
        store: GatewayStore,
        sync: Sync,
        reader: Reader,
        outbox: Outbox,
        outgoing: Outgoing,
        clock: Clock,
    ) -> None:
        self._store = store
        self._sync = sync
        self._reader = reader
        self._outbox = outbox
        self._outgoing = outgoing
        self._clock = clock

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/group": {
                "GET": self.get,
                "POST": self.create,
                "PUT": self.update,
                "DELETE": self.delete,
            }
        }

    @operation(list[PublicGroup], query=PerhapsById)
    async def get(self, call: Call) -> bytes:
        """All groups; with ``id`` an array of one."""
        identity = call.query("id")
        if identity is None:
            return envelope.ok_list([encode(known) for known in await self._reader.groups()])
        return envelope.ok_list([encode(await self._reader.group(identity))])

    @operation(PublicGroup, body=NewGroup)
    async def create(self, call: Call) -> bytes:
        """Make a group; the answer is the group."""
        fields = await call.fields()
        document = GroupDocument(
            id=str(uuid.uuid4()),
            name=fields.required_text("name"),
            description=fields.text("description") or "",
            fallback_group_id=fields.text("fallback_group_id"),
            quota=read_quota(fields),
        )

        def decide(groups: Mapping[str, GroupDocument]) -> Sequence[Write]:
            _check_fallback(groups, document)
            event = self._event(EventKind.GROUP_CREATED, document, call)
            changed = _changed(document)
            return [
                Insert(collection=GROUPS, document=document),
                *self._outbox.writes([changed, event]),
            ]

        await self._write(decide)
        return envelope.ok(encode(document))

    @operation(query=ById, body=GroupChanges)
    async def update(self, call: Call) -> bytes:
        """Change the given parts; ``fallback_group_id`` or ``quota`` empty: none any more."""
        identity = call.required_query("id")
        sets = _sets(await call.fields())

        def decide(groups: Mapping[str, GroupDocument]) -> Sequence[Write]:
            known = _known(groups, identity)
            changes = {**sets, "generation": known.generation + 1}
            document = msgspec.structs.replace(known, **changes)
            _check_fallback(groups, document)
            event = self._event(EventKind.GROUP_UPDATED, document, call)
            change = {"$set": {name: plain(value) for name, value in changes.items()}}
            return [
                Update(collection=GROUPS, where={"_id": identity}, change=change),
                *self._outbox.writes([_changed(document), event]),
            ]

        await self._write(decide)
        return envelope.OK

    @operation(either=ById)
    async def delete(self, call: Call) -> bytes:
        """Remove a group: from its nodes, and where others fall back to it."""
        identity = (await call.parameters()).required_text("id")
        members = await self._store.nodes_in_group(identity)

        def decide(groups: Mapping[str, GroupDocument]) -> Sequence[Write]:
            known = _known(groups, identity)
            messages: list[Message] = []
            writes: list[Write] = [clear_members(identity, call.actor, call.request_id)]
            for other in groups.values():
                if other.fallback_group_id == identity:
                    changes = {"fallback_group_id": None, "generation": other.generation + 1}
                    where = {"_id": other.id}
                    writes.append(Update(collection=GROUPS, where=where, change={"$set": changes}))
                    messages.append(_changed(msgspec.structs.replace(other, **changes)))
            writes.append(Delete(collection=GROUPS, where={"_id": identity}))
            messages.append(
                GroupRemoved(id=_message_id(known, tag_of(GroupRemoved)), group_id=identity)
            )
            messages.append(self._event(EventKind.GROUP_DELETED, known, call))
            return [*writes, *self._outbox.writes(messages)]

        await self._write(decide)
        nodes = await self._store.nodes(members)
        self._sync.take_nodes(nodes)
        self._outgoing.send(
            ConfigureNode(node_id=node.id, generation=node.generation, spec=node.spec)
            for node in nodes
        )
        return envelope.OK

    async def _write(self, decide: Decide) -> None:
        """Decide on the groups as they are, and write."""

        async def attempt() -> None:
            revision = await self._store.groups_revision()
            groups = {known.id: known for known in await self._store.groups()}
            await self._store.write_groups(revision, decide(groups))

        await contended("groups", attempt)
        await self._sync.reread_groups()
        await self._outbox.flush_now()

    def _event(self, kind: EventKind, document: GroupDocument, call: Call) -> EventHappened:
        fields = {"group_id": document.id, "group_name": document.name}
        identity, at = _message_id(document, kind), self._clock.now()
        subject = ("groupAction", document.id)
        return happened(call, kind, subject, fields, identity=identity, at=at)


def _changed(document: GroupDocument) -> GroupChanged:
    return GroupChanged(id=_message_id(document, tag_of(GroupChanged)), group=document)


def _message_id(document: GroupDocument, kind: str) -> str:
    return str(uuid.uuid5(uuid.UUID(document.id), f"{document.generation}:{kind}"))


def _sets(fields: Fields) -> dict[str, Any]:
    sets: dict[str, Any] = {}
    if "name" in fields:
        sets["name"] = fields.required_text("name")
    if "description" in fields:
        sets["description"] = fields.text_as_given("description")
    if "fallback_group_id" in fields:
        sets["fallback_group_id"] = fields.text("fallback_group_id")
    if "quota" in fields:
        sets["quota"] = read_quota(fields)
    return sets


def _known(groups: Mapping[str, GroupDocument], identity: str) -> GroupDocument:
    if identity not in groups:
        raise NotFound
    return groups[identity]


def _check_fallback(groups: Mapping[str, GroupDocument], document: GroupDocument) -> None:
    fallback = document.fallback_group_id
    if fallback is None:
        return
    if fallback == document.id or makes_cycle(groups, document.id, fallback):
        raise Refused("fallback_group_id: the chain of fallbacks would lead back to this group")
    if fallback not in groups:
        raise Refused(f"fallback_group_id: Not found: group {fallback}")
