"""Everything the one decider knows, and what the current turn has changed."""

from collections import defaultdict
from datetime import timedelta

from contracts.images import ImageRequestDocument
from contracts.instances import InstanceDocument
from contracts.messages import Message, Order
from contracts.nodes import NodeDocument
from scheduler.domain.cluster import Cluster
from scheduler.domain.images import Images
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Limits, Moment
from scheduler.domain.macs import MacPool
from scheduler.domain.node import Claim, Node
from scheduler.domain.orders import Orders
from scheduler.domain.pace import Pace
from scheduler.domain.placement import Placed, Refusals, place
from scheduler.domain.request import Request, request_of
from scheduler.domain.shares import Shares
from scheduler.domain.waiting import Line, Waiting
from scheduler.domain.weighers import Strategy


class World:
    """Memory of one leader, rebuilt from documents when it takes over or anything goes wrong.

    A turn changes it through ``touch`` and friends; the commit then takes what is ``changed``,
    ``removed``, ``retired``, ``left``, ``orders`` and ``facts`` (of nodes likewise), and clears
    them.
    ``tombstones`` are ids known as ended, ``found_images`` stored requests: both looked up for
    the messages of this turn.
    """

    def __init__(
        self,
        limits: Limits,
        cloud_id: str,
        epoch: int,
        strategy: Strategy,
        macs: MacPool,
        begun: float = 0.0,
    ) -> None:
        self.limits = limits
        self.epoch = epoch
        self.order = Orders(limits, cloud_id, epoch)
        self.instances: dict[str, Instance] = {}
        self.cluster = Cluster(strategy)
        self.macs = macs
        self.pace = Pace(begun)
        self.shares = Shares()
        self.waiting = Waiting(self.shares.held)
        self.on_node: defaultdict[str, dict[str, Instance]] = defaultdict(dict)
        self.under_way: dict[str, Instance] = {}
        self.ended: dict[str, Instance] = {}
        self.mortal: dict[str, Instance] = {}
        self.pooled: dict[str, Instance] = {}
        self.images = Images()
        self.tombstones: set[str] = set()
        self.found_images: dict[str, ImageRequestDocument] = {}
        self.changed: dict[str, Instance] = {}
        self.changed_nodes: dict[str, bool] = {}
        self.removed: list[Instance] = []
        self.retired: list[Instance] = []
        self.leaving: dict[str, Node] = {}
        self.left: list[Node] = []
        self.removed_nodes: list[Node] = []
        self.orders: list[Order] = []
        self.facts: list[Message] = []
        self._queued: set[str] = set()
        self._pulls: dict[str, tuple[Node, str]] = {}

    def load_node(self, document: NodeDocument, moment: Moment) -> Node:
        """A node from its document; silence is counted from now, older heartbeats are late."""
        said = moment.now - timedelta(seconds=self.limits.skew)
        node = Node(document, moment.tick, said)
        if document.status.left:
            self.leaving[node.id] = node
            return node
        self.cluster.add(node)
        for instance in self.on_node[node.id].values():
            self._claim(instance, node)
        return node

    def load_instance(self, document: InstanceDocument) -> Instance:
        """An instance from its document."""
        instance = Instance(document)
        self.instances[instance.id] = instance
        self.settle(instance)
        return instance

    def make(self, document: InstanceDocument) -> None:
        """A new member of a pool, stored with this turn."""
        instance = self.load_instance(document)
        instance.fresh = True
        self.touch(instance)

    def retire(self, member: Instance) -> None:
        """Wish a member of a pool gone; a request that claims it at the same time may win."""
        member.retired = True
        self.retired.append(member)
        self.settle(member)

    def touch(self, instance: Instance) -> None:
        """The turn changed it: to be written and told."""
        self.changed[instance.id] = instance
        self.settle(instance)

    def settle(self, instance: Instance) -> None:
        """Derive claims, queueing and watches from its status. The one place that does."""
        status = instance.status
        held = self.on_node[status.node_id]
        may_have_another_device = instance.spec.overrides.usb_device is not None
        if status.live and (instance.id not in held or may_have_another_device):
            held[instance.id] = instance
            if node := self.cluster.nodes.get(status.node_id):
                self._claim(instance, node)
        elif not status.live and held.pop(instance.id, None) is not None:
            self._release(instance)
        self.shares.settle(instance)
        self._settle_pull(instance)
        self.macs.settle(instance)
        _keep(self.under_way, instance, status.live and not instance.ended)
        _keep(self.ended, instance, instance.ended)
        _keep(self.mortal, instance, instance.expiry is not None and not instance.ending)
        _keep(self.pooled, instance, instance.pooled)
        if instance.waiting and instance.id not in self._queued:
            self._queue(instance)

    def touch_node(self, node: Node, *, urgent: bool, better: bool) -> None:
        """The turn changed a node; ``urgent`` changes are told within a second."""
        self.changed_nodes[node.id] = self.changed_nodes.get(node.id, False) or urgent
        self.cluster.touch(node, better=better)

    def remove(self, instance: Instance) -> None:
        """Its record has stood long enough."""
        del self.instances[instance.id]
        self.changed.pop(instance.id, None)
        status = instance.status
        if status.lost:
            self.macs.keep_forsaken(instance.id, status.node_id, status.mac_address)
        self._queued.discard(instance.id)
        for index in (self.under_way, self.ended, self.mortal, self.pooled):
            index.pop(instance.id, None)
        self.removed.append(instance)

    def leave(self, node: Node) -> None:
        """A node goes; instances on it wait for its return, its record for its last event."""
        node.leave()
        self.cluster.remove(node)
        self.changed_nodes.pop(node.id, False)
        self.leaving[node.id] = node
        self.left.append(node)

    def remove_node(self, node: Node) -> None:
        """Its last event is said: its record goes."""
        del self.leaving[node.id]
        self.removed_nodes.append(node)

    def place_waiting(self, moment: Moment) -> int:
        """Give nodes to those that wait, best first, until nobody can be helped; to how many."""
        placed = 0
        if self.cluster.improved or self.shares.freed:
            self.waiting.wake(self.cluster.improved, self.shares.freed)
            self.cluster.improved.clear()
            self.shares.freed.clear()
        if self.macs.improved:
            self.waiting.wake_for_address()
            self.macs.improved = False
        while line := self.waiting.next():
            instance = line.head()
            assert instance is not None
            decision = self._decide(line, instance)
            if isinstance(decision, Placed):
                self.waiting.taken(line)
                self._queued.discard(instance.id)
                self._send(instance, decision.node, line.request, moment)
                placed += 1
                continue
            for waiter in self.waiting.park(line, decision.reasons):
                if waiter.park(decision.reasons, moment.now):
                    self.touch(waiter)
        return placed

    def order_run(self, instance: Instance, moment: Moment) -> None:
        """Order the attempt, perhaps again."""
        instance.ordered_at = moment.now
        instance.missed = 0
        self.orders.append(self.order.run(instance, moment.now))

    def order_script(self, instance: Instance, moment: Moment) -> None:
        """Order the script of a claim, perhaps again."""
        instance.ordered_at = moment.now
        self.orders.append(self.order.script(instance, moment.now))

    def order_stop(self, instance: Instance, moment: Moment) -> None:
        """Order the attempt away, perhaps again."""
        instance.ordered_at = moment.now
        status = instance.status
        self.orders.append(
            self.order.stop(instance.id, status.attempt, status.node_id, status.queue, moment.now)
        )

    def _decide(self, line: Line, instance: Instance) -> Placed | Refusals:
        request = line.request
        group = self.cluster.groups.get(request.group_id)
        quota = group.quota if group else None
        refused = self.shares.refusal(line.owner, request.vcpu, quota) or self.macs.refusal(
            request.mac_address
        )
        if refused:
            return Refusals((refused,))
        tried = {attempt.node_id for attempt in instance.status.attempts}
        return place(request.to_nodes(), self.cluster, tried)

    def _send(self, instance: Instance, node: Node, request: Request, moment: Moment) -> None:
        limits = (self.limits.start, self.limits.validity)
        address = self.macs.take(request.mac_address)
        self.pace.placed(instance, moment)
        instance.place(node.id, node.queue, self.epoch, moment.now, limits, address)
        self.touch(instance)
        self.order_run(instance, moment)

    def _queue(self, instance: Instance) -> None:
        self._queued.add(instance.id)
        line = self.waiting.add(instance, request_of(instance.spec, macs_managed=self.macs.managed))
        if line.parked is not None and instance.park(line.parked, instance.status.changed):
            self.changed[instance.id] = instance

    def _claim(self, instance: Instance, node: Node) -> None:
        spec = instance.spec
        device = spec.overrides.usb_device or ""
        node.claims[instance.id] = Claim(spec.vcpu, spec.vram_mb, device)
        node.strays.pop(instance.id, None)
        self.cluster.touch(node, better=False)

    def _release(self, instance: Instance) -> None:
        node = self.cluster.nodes.get(instance.status.node_id)
        if node is not None and node.claims.pop(instance.id, None) is not None:
            self.cluster.touch(node, better=True)

    def _settle_pull(self, instance: Instance) -> None:
        node = self.cluster.nodes.get(instance.status.node_id)
        digest = instance.spec.template.digest
        pulls = instance.status.live and instance.starting
        known = self._pulls.get(instance.id)
        if node is not None and pulls and known is None and digest not in node.cached:
            self._pulls[instance.id] = (node, digest)
            node.pulling[digest] += 1
            self.cluster.touch(node, better=False)
        elif known is not None and not pulls:
            del self._pulls[instance.id]
            known[0].pulling[known[1]] -= 1
            self.cluster.touch(known[0], better=False)


def _keep(index: dict[str, Instance], instance: Instance, wanted: bool) -> None:
    if wanted:
        index[instance.id] = instance
    else:
        index.pop(instance.id, None)
