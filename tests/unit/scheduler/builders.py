"""Builders with defaults: a test names only what matters to it."""

from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec

from contracts.images import (
    ImagePushed,
    ImageRequestDocument,
    ImageSpec,
    ImageStatus,
    SaveImage,
)
from contracts.instances import InstanceDocument, InstanceSpec, InstanceStatus, StartVM, TerminateVM
from contracts.nodes import CachedTemplate, NodeFacts, NodeHeartbeat, NodeHello, NodeUsage
from contracts.templates import TemplateDocument, TemplateRef, Version
from contracts.vms import VmFailed, VmGone, VmInfo, VmPhase, VmStarted, VmState
from scheduler.domain.limits import Limits, Moment
from scheduler.domain.macs import MacPool, a_new_pool
from scheduler.domain.weighers import Strategy
from scheduler.domain.world import World
from scheduler.handlers import HANDLERS
from scheduler.handlers.images import begin, end_interrupted
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


def an_image_request(instance_id, identity=None, **wish):
    spec = {"instance_id": instance_id, "tag": "v9", "target_template_id": "tpl", "suspend": False}
    return ImageRequestDocument(
        id=identity or f"r{next(_numbers)}",
        created=START,
        pending=True,
        spec=ImageSpec(**spec | {"request_id": "req"} | wish),
        status=ImageStatus(changed=START),
    )


def a_template(identity="tpl", tags=("v1",), **fields):
    versions = tuple(
        Version(number=number, tag=tag, digest=f"sha256:{tag}", created=START, last_push=START)
        for number, tag in enumerate(tags)
    )
    about = {"revision": 1, "name": "base", "repository": "team/base", "arch": "amd64"}
    return TemplateDocument(id=identity, versions=versions, **about | fields)


def some_facts(name="host", **facts):
    defaults = {
        "address": "10.0.0.1",
        "arch": "amd64",
        "templates": (CachedTemplate(id="tpl", name="base", tag="v1", digest="sha256:1"),),
    }
    return NodeFacts(name=name, **defaults | facts)


class Cloud:
    """A world with a hand-driven clock; collects what would be sent."""

    def __init__(self, macs=None, **limits):
        self.limits = Limits(**limits)
        pool = MacPool(a_new_pool(START), macs)
        self.world = World(self.limits, "cloud", 1, Strategy.SPREAD, pool)
        self.seconds = 0.0
        self.orders = []
        self.facts = []
        self.templates = {"tpl": a_template()}

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
        end_interrupted(self.world, self.moment)
        while due := self.world.images.due():
            begin(self.world, due, self.templates, self.moment)
        for subject in (*self.world.changed.values(), *self.world.images.changed.values()):
            subject.revision += 1
            subject.say_events("here")
            subject.unsaid.clear()
        for node in self.world.left:
            node.unsaid.clear()
        self.orders += self.world.orders
        self.facts += self.world.facts
        for taken in (
            self.world.changed,
            self.world.images.changed,
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

    def running(self, **wish):
        """A started instance."""
        [instance] = self.start(an_instance(**wish))
        self.started(instance)
        return instance

    def save(self, *documents):
        """Ask for images; the requests as the scheduler holds them."""
        self.world.found_images = {document.id: document for document in documents}
        for document in documents:
            spec = document.spec
            wish = {"instance_id": spec.instance_id, "tag": spec.tag}
            HANDLERS[SaveImage](self.world, SaveImage(request_id=document.id, **wish), self.moment)
        held = self.world.images.changed | self.world.images.requests
        self.turn()
        return [held[document.id] for document in documents if document.id in held]

    def pushed(self, request, **changes):
        about = {
            "node_id": request.status.node_id,
            "at": self.now,
            "request_id": request.id,
            "instance_id": request.spec.instance_id,
            "attempt": request.status.attempt,
        }
        outcome = {} if "error" in changes else {"digest": "sha256:new"}
        self.say(ImagePushed(**about | outcome | changes))

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


def a_cloud_that_saves(**limits):
    """One node whose driver can make images."""
    cloud = Cloud(**limits)
    cloud.join(capabilities=("commit", "suspend"), capacity=9, driver="qemu")
    return cloud


def some_info(**changes):
    return VmInfo(**{"uuid": "u", "name": "vm", "status": "running", "ip": "10.1.1.1"} | changes)
