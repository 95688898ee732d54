"""``/api/v1/node`` and, below it, ``config``, ``group`` and ``update``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from api_gateway.auth import nodes
from api_gateway.domain.fields import Fields
from api_gateway.domain.paging import read_page
from api_gateway.domain.selection import NodeSelection
from api_gateway.operation import operation
from api_gateway.outgoing import Outgoing
from api_gateway.public import envelope
from api_gateway.public.nodes import PublicNode
from api_gateway.reader import Reader
from api_gateway.replies import Reply
from api_gateway.requests.nodes import Membership, NodeConfiguration, NodeNamed, NodeQuery
from api_gateway.requests.values import Conditional
from api_gateway.routes.lists import LISTED, listed
from api_gateway.store import GatewayStore
from api_gateway.sync import Sync
from api_gateway.web import Call, Routes
from api_gateway.wishes import including, without
from chassis.errors import Conflict, NotFound
from contracts.nodes import CapacityMode, ConfigureNode, DeleteNode, NodeDocument

_MODES = tuple(CapacityMode)


class NodeRoutes:
    """Everything that can be asked of nodes."""

    def __init__(
        self,
        store: GatewayStore,
        sync: Sync,
        reader: Reader,
        outgoing: Outgoing,
        version: str,
    ) -> None:
        self._version = version
        self._store = store
        self._sync = sync
        self._reader = reader
        self._outgoing = outgoing

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/node": {"GET": self.get, "DELETE": self.delete},
            "/api/v1/node/config": {"POST": self.configure},
            "/api/v1/node/update": {"PUT": self.update},
            "/api/v1/node/group": {"POST": self.join_groups, "DELETE": self.leave_groups},
        }

    @operation(list[PublicNode], query=NodeQuery, headers=Conditional, sends=LISTED)
    async def get(self, call: Call) -> bytes | Reply:
        """All nodes; with ``id`` an array of one. Filters and pages are ours."""
        identity = call.query("id")
        if identity is None:
            selection, page = NodeSelection(call.queries), read_page(call.queries)
            permitted = call.access.nodes(nodes.LIST)
            return listed(call, await self._reader.nodes(selection, page, permitted))
        with _bare_text():
            nodes.require(call.access, nodes.LIST, [identity])
            entry = await self._reader.node(identity)
        return envelope.ok_list([self._reader.encoded_node(entry)])

    @operation(body=NodeConfiguration)
    async def configure(self, call: Call) -> bytes:
        """Set parts of a node's configuration; they outlive the node's restarts."""
        fields = await call.fields()
        identity = fields.required_text("node_id")
        nodes.require(call.access, nodes.CHANGE_CONFIG, [identity])
        sets = _configuration(fields)
        if not sets:
            with _bare_text():
                await self._reader.node(identity)
            return envelope.OK
        document = await self._store.configure_node(identity, call.actor, call.request_id, sets)
        self._configured(_found(document))
        return envelope.OK

    @operation(either=NodeNamed)
    async def delete(self, call: Call) -> bytes:
        """Forget a node that does not exist any more."""
        identity = (await call.parameters()).required_text("node_id")
        nodes.require(call.access, nodes.REMOVE, [identity])
        document = _found(
            await self._store.configure_node(
                identity, call.actor, call.request_id, {"remove": True}
            )
        )
        self._sync.take_nodes([document])
        message = DeleteNode(node_id=identity, generation=document.generation, spec=document.spec)
        self._outgoing.send([message])
        return envelope.OK

    @operation()
    async def update(self, call: Call) -> bytes:
        """Have every agent that the caller may upgrade become the controller's version."""
        only = call.access.nodes(nodes.FORCE_UPGRADE)
        for document in await self._store.upgrade_nodes(
            self._version, call.actor, call.request_id, only
        ):
            self._configured(document)
        return envelope.OK

    @operation(body=Membership)
    async def join_groups(self, call: Call) -> bytes:
        """Add nodes to groups; every id counts."""
        return await self._regroup(call, joining=True)

    @operation(body=Membership)
    async def leave_groups(self, call: Call) -> bytes:
        """Take nodes out of groups; every id counts."""
        return await self._regroup(call, joining=False)

    async def _regroup(self, call: Call, *, joining: bool) -> bytes:
        fields = await call.fields()
        group_ids = fields.texts("group_ids")
        node_ids = fields.texts("node_ids")
        for group_id in group_ids:
            await self._reader.group(group_id)
        nodes.require(call.access, nodes.CHANGE_CONFIG, node_ids)
        for node_id in node_ids:
            await self._reader.node(node_id)
        groups = including(group_ids) if joining else without(group_ids)
        try:
            await self._store.regroup_nodes(node_ids, groups, call.actor, call.request_id)
        except Conflict:
            raise NotFound from None
        for document in await self._store.nodes(node_ids):
            self._configured(document)
        return envelope.OK

    def _configured(self, document: NodeDocument) -> None:
        self._sync.take_nodes([document])
        message = ConfigureNode(
            node_id=document.id, generation=document.generation, spec=document.spec
        )
        self._outgoing.send([message])


def _configuration(fields: Fields) -> Mapping[str, Any]:
    """The documented parameters under the names of the node's wish."""
    given = {
        "capacity": fields.integer("max_vm_count", 0),
        "name": fields.text("name"),
        "host": fields.text("host"),
        "capacity_mode": fields.choice("capacity_mode", _MODES),
        "vcpu_limit": fields.integer("vcpu_override", 0),
        "ram_limit_gb": fields.integer("ram_override", 0),
        "drain": fields.flag("drain_mode"),
        "disable_central_logging": fields.flag("disable_central_logging"),
    }
    return {name: value for name, value in given.items() if value is not None}


@contextmanager
def _bare_text() -> Iterator[None]:
    """Clients match "Not found" alone for the one node that a call is about."""
    try:
        yield
    except NotFound:
        raise NotFound from None


def _found(document: NodeDocument | None) -> NodeDocument:
    if document is None:
        raise NotFound
    return document
