"""Builders with defaults: a test names only what matters to it."""

from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec

from contracts.instances import InstanceDocument, InstanceSpec, InstanceStatus, StartVM, TerminateVM
from contracts.nodes import CachedTemplate, NodeFacts, NodeHeartbeat, NodeHello, NodeUsage
from contracts.templates import TemplateRef
from contracts.vms import VmFailed, VmGone, VmInfo, VmPhase, VmStarted, VmState
from scheduler.domain.limits import Limits, Moment
from scheduler.domain.weighers import Strategy
from scheduler.domain.world import World
from scheduler.handlers import HANDLERS
from scheduler.handlers.timers import tick

START = datetime(2031, 5, 4, 10, tzinfo=UTC)
TEMPLATE = TemplateRef(
    id="tpl", name="base", tag="v1", version=0, arch="amd64", repository="tpl", digest="sha256:1"
)
_numbers = count(1)


def a_spec(**wish):
    return InstanceSpec(**{"template": TEMPLATE, "request_id": "req"} | wish)


def an_instance(identity=None, created=START, **wish):
    return InstanceDocument(
        id=identity or f"i{next(_numbers)}",
        created=created,
        pending=True,
        spec=a_spec(**wish),
        status=InstanceStatus(changed=created),
    )


def some_facts(name="host", **facts):
    defaults = {
        "address": "10.0.0.1",
        "arch": "amd64",
        "templates": (CachedTemplate(id="tpl", name="base", tag="v1", digest="sha256:1"),),
    }
    return NodeFacts(name=name, **defaults | facts)


class Cloud:
    """A world with a hand-driven clock; collects what would be sent."""

    def __init__(self, **limits):
        self.limits = Limits(**limits)
        self.world = World(self.limits, "cloud", 1, Strategy.SPREAD)
        self.seconds = 0.0
        self.orders = []
        self.facts = []

    @property
    def moment(self):
        return Moment(START + timedelta(seconds=self.seconds), self.seconds)

    @property
    def now(self):
        return self.moment.now

    def say(self, *messages):
        for message in messages:
            HANDLERS[type(message)](self.world, message, self.moment)
        self.turn()

    def turn(self):
        self.world.place_waiting(self.moment)
        for instance in self.world.changed.values():
            instance.revision += 1
            instance.say_events("here")
            instance.unsaid.clear()
        for node in self.world.left:
            node.unsaid.clear()
        self.orders += self.world.orders
        self.facts += self.world.facts
        for taken in (
            self.world.changed,
            self.world.orders,
            self.world.facts,
            self.world.removed,
            self.world.left,
            self.world.removed_nodes,
        ):
            taken.clear()

    def later(self, seconds):
        self.seconds += seconds
        tick(self.world, self.moment)
        self.turn()

    def join(self, node_id="n1", **facts):
        self.say(
            NodeHello(
                node_id=node_id, at=self.now, facts=some_facts(node_id, **facts), usage=NodeUsage()
            )
        )
        return self.world.cluster.nodes[node_id]

    def start(self, *documents):
        self.say(*(StartVM(instance=document) for document in documents))
        return [self.world.instances[document.id] for document in documents]

    def terminate(self, instance):
        spec = msgspec.structs.replace(instance.spec, terminate=True)
        self.say(
            TerminateVM(instance_id=instance.id, generation=instance.generation + 1, spec=spec)
        )

    def started(self, instance, **changes):
        self.say(VmStarted(**self._about(instance) | {"info": some_info()} | changes))

    def failed(self, instance, message="host fault", **changes):
        self.say(VmFailed(**self._about(instance) | {"message": message} | changes))

    def gone(self, instance, **changes):
        self.say(VmGone(**self._about(instance) | changes))

    def heartbeat(self, node_id="n1", *vms, **changes):
        about = {"at": self.now, "usage": NodeUsage()}
        self.say(NodeHeartbeat(node_id=node_id, vms=vms, **about | changes))

    def line(self, instance, phase=VmPhase.RUNNING, **changes):
        return VmState(
            **{"instance_id": instance.id, "attempt": instance.status.attempt, "phase": phase}
            | changes
        )

    def sent(self, kind):
        return [order for order in self.orders if isinstance(order, kind)]

    def _about(self, instance):
        status = instance.status
        return {
            "node_id": status.node_id,
            "at": self.now,
            "instance_id": instance.id,
            "attempt": status.attempt,
        }


def some_info(**changes):
    return VmInfo(**{"uuid": "u", "name": "vm", "status": "running", "ip": "10.1.1.1"} | changes)
