"""``/api/v1/registry/vm/distribute`` and ``…/remove``: templates in the caches of nodes."""

import uuid

import msgspec

from api_gateway.auth import nodes
from api_gateway.catalogue import Catalogue
from api_gateway.configuration import Configuration
from api_gateway.domain.fields import Fields
from api_gateway.operation import operation
from api_gateway.outbox import Outbox
from api_gateway.outgoing import Outgoing
from api_gateway.public import envelope
from api_gateway.public.cloud import RemovalsRequested, Requested
from api_gateway.public.distributions import PublicDistribution
from api_gateway.public.distributions import distribution as encode
from api_gateway.reader import Reader
from api_gateway.request_store import RequestStore
from api_gateway.requests.templates import CacheRemoval, NewDistribution
from api_gateway.requests.values import ById, PerhapsById
from api_gateway.web import Call, Routes
from chassis.clock import Clock
from chassis.errors import Forbidden
from contracts.distributions import (
    CancelDistribution,
    Distribute,
    DistributionDocument,
    DistributionSpec,
    DistributionStatus,
)
from contracts.templates import RemoveTemplateFromNodes


class DistributionRoutes:
    """Sends templates to nodes ahead of time."""

    def __init__(
        self,
        requests: RequestStore,
        reader: Reader,
        catalogue: Catalogue,
        outgoing: Outgoing,
        clock: Clock,
        configuration: Configuration,
    ) -> None:
        self._requests = requests
        self._reader = reader
        self._catalogue = catalogue
        self._outgoing = outgoing
        self._clock = clock
        self._configuration = configuration

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/registry/vm/distribute": {
                "GET": self.get,
                "POST": self.create,
                "DELETE": self.cancel,
            }
        }

    @operation((PublicDistribution, list[PublicDistribution]), query=PerhapsById)
    async def get(self, call: Call) -> bytes:
        """All distributions, oldest first, or one, with the nodes that the caller may see."""
        identity, seen = call.query("id"), call.access.nodes(nodes.LIST)
        if identity is None:
            known = await self._requests.distributions()
            return envelope.ok_list([encode(document, seen) for document in known])
        return envelope.ok(encode(await self._requests.distribution(identity), seen))

    @operation(Requested, body=NewDistribution)
    async def create(self, call: Call) -> bytes:
        """Have a tag on these nodes, those of a group, or all there are now."""
        fields = await call.fields()
        now = self._clock.now()
        spec = await self._spec(fields, call)
        document = DistributionDocument(
            id=str(uuid.uuid4()),
            pending=True,
            created=now,
            spec=spec,
            status=DistributionStatus(changed=now),
        )
        await self._requests.add_distribution(document)
        message = Distribute(
            request_id=document.id,
            template=spec.template,
            node_ids=spec.node_ids,
            group_id=spec.group_id,
            actor=spec.actor,
        )
        self._outgoing.send([message])
        return envelope.ok(msgspec.json.encode(Requested(request_id=document.id)))

    @operation(either=ById)
    async def cancel(self, call: Call) -> bytes:
        """Stop what is still being pulled; OK also when nothing is."""
        identity = (await call.parameters()).required_text("id")
        document = await self._requests.distribution(identity)
        permitted = call.access.nodes(nodes.DISTRIBUTE)
        meant = {*document.spec.node_ids, *document.status.nodes}  # none: the registry will choose
        if permitted is not None and not (meant and meant <= permitted):
            raise Forbidden
        if await self._requests.cancel_distribution(identity, call.actor):
            self._outgoing.send([CancelDistribution(request_id=identity, actor=call.actor)])
        return envelope.OK

    async def _spec(self, fields: Fields, call: Call) -> DistributionSpec:
        template_id = fields.required_text("template_id")
        tag = fields.text("tag")
        version = fields.integer("version", 0, numeric_text=True)
        chosen = fields.texts("node_ids") if "node_ids" in fields else ()
        group_id = fields.text("group_id")
        by = nodes.chosen_group(call.access, fields.text("group"))
        nodes.require(call.access, nodes.DISTRIBUTE, chosen, by)
        node_ids = await self._nodes(chosen, group_id)
        if not node_ids and call.access.nodes(nodes.DISTRIBUTE, by) is not None:
            raise Forbidden  # nobody chosen means whoever joins before the registry looks
        return DistributionSpec(
            template=await self._catalogue.resolve(template_id, tag, version),
            registry=await self._configuration.registry(),
            node_ids=nodes.permitted(call.access, nodes.DISTRIBUTE, node_ids, by),
            group_id=group_id,
            actor=call.actor,
            request_id=call.request_id,
        )

    async def _nodes(self, chosen: tuple[str, ...], group_id: str | None) -> tuple[str, ...]:
        """The nodes that are meant; NotFound names what does not exist."""
        if group_id is not None:
            await self._reader.group(group_id)
        if chosen:
            return await self._requests.these_nodes(chosen)
        if group_id is not None:
            return await self._requests.nodes_in(group_id)
        return await self._requests.all_nodes()


class CacheRoutes:
    """Removes templates from the caches of nodes."""

    def __init__(self, requests: RequestStore, outbox: Outbox) -> None:
        self._requests = requests
        self._outbox = outbox

    def table(self) -> Routes:
        """Path to verb to function."""
        return {"/api/v1/registry/vm/remove": {"DELETE": self.remove}}

    @operation(RemovalsRequested, either=CacheRemoval)
    async def remove(self, call: Call) -> bytes:
        """Ask the nodes that have a template, or those of them that are chosen, to drop it."""
        given = await call.parameters()
        template_id = given.required_text("id")
        node_ids = await self._requests.nodes_with(template_id)
        node_ids = nodes.permitted(call.access, nodes.DELETE_TEMPLATE, node_ids)
        if "node_ids" in given:
            having = frozenset(node_ids)
            nodes.require(call.access, nodes.DELETE_TEMPLATE, given.texts("node_ids"))
            chosen = await self._requests.these_nodes(given.texts("node_ids"))
            node_ids = tuple(node_id for node_id in chosen if node_id in having)
        if node_ids:
            command = RemoveTemplateFromNodes(
                id=str(uuid.uuid4()),
                template_id=template_id,
                node_ids=node_ids,
                actor=call.actor,
                request_id=call.request_id,
            )
            await self._outbox.keep([command])
        body = RemovalsRequested(requests_sent=len(node_ids), node_ids=node_ids)
        return envelope.ok(msgspec.json.encode(body))
