"""A node whose agent is played by the test: VMs run at once, saves end when the test says so."""

import asyncio
import contextlib
from typing import Any

import msgspec

from chassis.bus.port import Bus, Consumer, Delivery, Queue, QueueKind
from chassis.clock import Clock
from chassis.errors import BusDown
from contracts.catalog import message_types
from contracts.documents import say
from contracts.images import ImagePushed, PushImage
from contracts.messages import Message, Order, node_key
from contracts.nodes import NodeFacts, NodeHeartbeat, NodeHello, NodeUsage
from contracts.vms import RunVm, StopVm, VmGone, VmInfo, VmPhase, VmStarted, VmState

CAPABILITIES = ("commit", "suspend")
_BEAT = 0.2


class PlayedAgent:
    """``pushes``: every PushImage that arrived; the first ``losing`` of them are not heard.

    ``begun``: requests in the order in which their save was begun. A known one is not begun
    again, and answered with its outcome if it has one. ``silent``: no heartbeats.
    """

    def __init__(self, bus: Bus, node_id: str, clock: Clock) -> None:
        self.node_id = node_id
        self.pushes: list[PushImage] = []
        self.stops: list[StopVm] = []
        self.begun: list[str] = []
        self.losing = 0
        self.silent = False
        self._bus = bus
        self._clock = clock
        self._vms: dict[str, VmState] = {}
        self._outcomes: dict[str, ImagePushed] = {}
        self._consumer: Consumer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Join, and beat from now on."""
        key = node_key(self.node_id)
        queue = Queue(name=key, keys=(key,), kind=QueueKind.NODE)
        self._consumer = await self._bus.consume(queue, self._receive)
        self._do(self._beat())

    async def stop(self) -> None:
        """Fall silent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._consumer is not None:
            await self._consumer.stop()

    async def end_save(self, request_id: str, *, unheard: bool = False, **outcome: Any) -> None:
        """The save that is under way ends: with a digest, or an error. ``unheard``: so far."""
        order = next(order for order in self.pushes if order.request_id == request_id)
        vm = self._vms[order.instance_id]
        phase = VmPhase.RUNNING if "error" in outcome else VmPhase.STOPPED
        self._vms[vm.instance_id] = msgspec.structs.replace(vm, phase=phase, saving="")
        report = ImagePushed(
            node_id=self.node_id,
            at=self._clock.now(),
            request_id=request_id,
            instance_id=order.instance_id,
            attempt=order.attempt,
            info=a_vm(order.instance_id) if "error" in outcome else None,
            **outcome,
        )
        self._outcomes[request_id] = report
        if not unheard:
            await self.say(report)

    async def say(self, *reports: Message) -> None:
        """Publish; what the bus does not take is lost, as heartbeats may be."""
        with contextlib.suppress(BusDown):
            await self._bus.publish([say(report) for report in reports])

    def _receive(self, delivery: Delivery) -> None:
        for item in msgspec.json.decode(delivery.body, type=list[msgspec.Raw]):
            kind = message_types()[msgspec.json.decode(item)["type"]]
            self._do(self._carry_out(msgspec.json.decode(item, type=kind)))
        self._do(delivery.ack())

    async def _carry_out(self, order: Order) -> None:
        about = {"node_id": self.node_id, "at": self._clock.now(), "attempt": order.attempt}
        match order:
            case RunVm():
                identity = order.instance_id
                info = a_vm(identity)
                self._vms[identity] = VmState(
                    instance_id=identity, attempt=order.attempt, phase=VmPhase.RUNNING, info=info
                )
                await self.say(VmStarted(**about, instance_id=identity, info=info))
            case StopVm():
                self.stops.append(order)
                self._vms.pop(order.instance_id, None)
                await self.say(VmGone(**about, instance_id=order.instance_id))
            case PushImage():
                self.pushes.append(order)
                if len(self.pushes) > self.losing:
                    await self._push(order)

    async def _push(self, order: PushImage) -> None:
        if order.request_id in self._outcomes:
            await self.say(self._outcomes[order.request_id])
        elif order.request_id not in self.begun:
            self.begun.append(order.request_id)
            vm = self._vms[order.instance_id]
            self._vms[vm.instance_id] = msgspec.structs.replace(
                vm, phase=VmPhase.SAVING, saving=order.request_id
            )

    async def _beat(self) -> None:
        facts = NodeFacts(
            name=self.node_id,
            address="10.0.0.1",
            arch="amd64",
            driver="played",
            capacity=9,
            capabilities=CAPABILITIES,
        )
        while True:
            about = {"node_id": self.node_id, "at": self._clock.now(), "usage": NodeUsage()}
            vms = tuple(self._vms.values())
            if not self.silent:
                hello = NodeHello(**about, facts=facts, vms=vms)
                await self.say(hello, NodeHeartbeat(**about, vms=vms))
            await self._clock.sleep(_BEAT)

    def _do(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def a_vm(instance_id: str) -> VmInfo:
    """A running VM."""
    return VmInfo(uuid=f"vm-{instance_id}", name="vm", status="running", ip="10.1.1.1")
