"""From documents to the world: all of it at take-over, single ones when a message names them."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from contracts.configuration import ConfigurationDocument
from contracts.documents import Said, say
from contracts.groups import GroupDocument
from contracts.images import ImageRequestDocument, SaveImage
from contracts.instances import InstanceDocument, RestartVM, StartVM, TerminateVM, UpdateVM
from contracts.macs import MacPoolDocument
from contracts.messages import Message
from contracts.nodes import NodeDocument, NodeHeartbeat, NodeHello
from contracts.pools import PoolDocument
from contracts.stats import StatsDocument
from contracts.templates import TemplateDocument
from contracts.vms import VmReport
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Limits, Moment
from scheduler.domain.macs import MacPool, MacRange, a_new_pool
from scheduler.domain.subject import Subject
from scheduler.domain.weighers import Strategy
from scheduler.domain.world import World
from scheduler.handlers.commands import act_on_wish, observe_document
from scheduler.handlers.images import begin, end_interrupted, recall
from scheduler.store import SchedulerStore

_NODE, _CREATE = "node", "create_instance"
_log = structlog.get_logger()


class Loader:
    """Reads documents into a world."""

    def __init__(
        self,
        documents: SchedulerStore,
        limits: Limits,
        strategy: Strategy,
        macs: MacRange | None = None,
    ) -> None:
        self._documents = documents
        self._limits = limits
        self._strategy = strategy
        self._macs = macs

    async def rebuild(self, epoch: int, moment: Moment) -> tuple[World, list[Said], list[Subject]]:
        """The world from the database, what has to be said again, and whose events are in it."""
        cloud_id = await self._documents.cloud_id(str(uuid.uuid4()))
        pool = MacPool(await self._documents.mac_pool() or a_new_pool(moment.now), self._macs)
        pool.settle_in(moment.now)
        world = World(self._limits, cloud_id, epoch, self._strategy, pool, moment.tick)
        world.order.configuration = await self._documents.configuration()
        world.cluster.groups = await self.groups()
        world.cluster.grant(await self.granted())
        subjects: list[Subject] = [pool]
        said: list[Said] = []
        for node_document in await self._documents.nodes():
            node = world.load_node(node_document, moment)
            subjects.append(node)
            if node.unsaid:
                said.append(say(node.changed()))
            said.append(say(world.order.rejoin(node.id, node.queue, moment.now)))
        for stone in await self._documents.forsaken() if pool.managed else ():
            if stone.node_id in world.cluster.nodes:
                pool.keep_forsaken(stone.id, stone.node_id, stone.mac_address)
        for document in await self._documents.instances():
            instance = _recall(world, document, moment)
            subjects.append(instance)
            if instance.unsaid:
                said.append(say(instance.changed()))
        subjects += [
            recall(world, request, moment) for request in await self._documents.images_to_recall()
        ]
        unsaid = [item for subject in subjects for item in subject.unsaid]
        _log.info(
            "scheduler.rebuilt",
            epoch=epoch,
            instances=len(world.instances),
            nodes=len(world.cluster.nodes),
            images=len(world.images.requests),
            unsaid=len(unsaid),
        )
        return world, [*unsaid, *said], [subject for subject in subjects if subject.unsaid]

    async def load_missing(self, world: World, messages: Sequence[Message], moment: Moment) -> None:
        """Load documents, and tombstones of those that are gone, for ids not in memory."""
        ids = {i for m in messages for i in self._ids(m, moment) if i not in world.instances}
        world.tombstones = set()
        if ids:
            for document in await self._documents.instances_by_id(ids):
                observe_document(world, document, moment)
                ids.discard(document.id)
        if ids:
            world.tombstones = await self._documents.tombstones(ids)
            world.tombstones |= {
                m.instance.id for m in messages if isinstance(m, StartVM) and m.instance.id in ids
            }
        wanted = [m.request_id for m in messages if isinstance(m, SaveImage)]
        found = await self._documents.images_by_id(wanted) if wanted else []
        world.found_images = {document.id: document for document in found}

    async def settle_images(self, world: World, moment: Moment) -> None:
        """End saves that the turn has interrupted; begin those whose turn has come."""
        end_interrupted(world, moment)
        while due := world.images.due():
            ids = {request.spec.target_template_id for request in due}
            begin(world, due, await self._documents.templates(ids), moment)

    def _ids(self, message: Message, moment: Moment) -> Iterable[str]:
        """Ids that a message is about.

        A young StartVM is believed without a look at the database: its record cannot have ended
        and gone yet, since ended records stay for ``keep`` seconds.
        """
        match message:
            case StartVM():
                age = (moment.now - message.instance.created).total_seconds()
                return (message.instance.id,) if age > self._limits.keep / 2 else ()
            case TerminateVM() | RestartVM() | UpdateVM() | SaveImage() | VmReport():
                return (message.instance_id,)
            case NodeHello() | NodeHeartbeat():
                return (vm.instance_id for vm in message.vms)
            case _:
                return ()

    async def pending(self) -> tuple[list[InstanceDocument], list[NodeDocument], list[SaveImage]]:
        """Wishes that nobody has observed: a message was lost, or is on its way.

        Of image requests only the message: one that ends at once is out of memory again, so its
        document must be read within the turn.
        """
        return (
            await self._documents.pending_instances(),
            await self._documents.pending_nodes(),
            [_wake_up(document) for document in await self._documents.pending_images()],
        )

    async def pending_pool(self) -> MacPoolDocument | None:
        """The pool of MAC addresses, if nobody has observed its wish."""
        pool = await self._documents.mac_pool()
        return pool if pool is not None and pool.pending else None

    async def write_stats(self, stats: StatsDocument) -> None:
        """Show how busy the scheduler is."""
        await self._documents.write_stats(stats)

    async def forget_images(self, before: datetime) -> None:
        """Remove image requests that ended before this moment."""
        await self._documents.forget_images(before)

    async def configuration(self) -> ConfigurationDocument:
        """What operators set for the whole cloud."""
        return await self._documents.configuration()

    async def pools(self) -> tuple[dict[str, PoolDocument], dict[str, TemplateDocument]]:
        """All pools and their templates, by id."""
        pools = await self._documents.pools()
        ids = {pool.template_id for pool in pools.values()}
        return pools, await self._documents.templates(ids) if ids else {}

    async def granted(self) -> dict[str, frozenset[str]]:
        """Node id to the permission groups that may have instances there."""
        found: defaultdict[str, set[str]] = defaultdict(set)
        for held in await self._documents.access.all_grants():
            for grant in held.resources:
                if grant.type == _NODE and _CREATE in grant.permissions:
                    found[grant.id].add(held.id)
        return {node_id: frozenset(groups) for node_id, groups in found.items()}

    async def groups(self) -> dict[str, GroupDocument]:
        """All node groups, by id."""
        return {group.id: group for group in await self._documents.groups()}


def _recall(world: World, document: InstanceDocument, moment: Moment) -> Instance:
    """One instance as it was left. Orders that may not have gone out go out again."""
    if document.status_revision == 0:
        return observe_document(world, document, moment)
    instance = world.load_instance(document)
    instance.ordered_at = moment.now  # heartbeats from before say nothing about it
    if instance.status.live and instance.ending:
        world.order_stop(instance, moment)
    elif instance.status.live and instance.starting:
        held = moment.now + timedelta(seconds=world.limits.validity)
        instance.valid_until = max(instance.valid_until or held, held)
        world.order_run(instance, moment)
    act_on_wish(world, instance, moment)
    return instance


def _wake_up(document: ImageRequestDocument) -> SaveImage:
    spec = document.spec
    return SaveImage(request_id=document.id, instance_id=spec.instance_id, tag=spec.tag)
