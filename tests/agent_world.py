"""An agent on a manual clock and the in-process bus, with everything it said."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, Union

import msgspec

from chassis.bus.memory import MemoryBus
from chassis.bus.port import Delivery, Queue
from chassis.service import Service
from contracts.catalog import message_types
from contracts.documents import say
from contracts.images import PushImage
from contracts.messages import Order, Report, tag_of
from contracts.nodes import NodeHeartbeat
from contracts.templates import TemplateRef
from contracts.vms import RebootVm, RunVm, StopVm, VmReport, VmStarted
from node_agent.agent import Agent
from node_agent.app import build
from node_agent.config import AgentSettings
from node_agent.drivers.port import VmDriver
from node_agent.drivers.simulated import SimulatedDriver
from node_agent.drivers.simulated_host import Delays, Fault, HistoryLine, SimulatedHardware
from node_agent.inbox import Inbox
from node_agent.journal import Journal
from node_agent.publisher import Publisher
from node_agent.vm import Vm
from tests.clock import ManualClock, settle
from tests.waiting import until

R = TypeVar("R", bound=Report)
NODE = "node-1"
CLOUD = "cloud-1"
_REPORTS = tuple(kind for kind in message_types().values() if issubclass(kind, Report))


def a_template(tag: str = "v1", **fields: Any) -> TemplateRef:
    fields = {"size": 1000, "cpu": 2, "ram_mb": 2048} | fields
    return TemplateRef(
        id="template-1",
        name="base",
        tag=tag,
        version=0,
        arch="amd64",
        repository="base",
        digest=f"sha256:{tag}",
        **fields,
    )


class AgentWorld:
    """Builds agents on one clock, bus and folder; ``kill`` drops one as kill -9 would."""

    def __init__(self, clock: ManualClock, bus: MemoryBus, folder: Path | None) -> None:
        self.clock = clock
        self.clock.under_way = self._writing
        self.bus = bus
        self.folder = folder
        self.reports: list[Report] = []
        self.service: Service | None = None
        self.drivers: dict[str, SimulatedDriver] = {}
        self.delays = Delays()
        self.faults: tuple[Fault, ...] = ()
        self.hardware = SimulatedHardware()
        self.free()

    def free(self) -> None:
        """Let the next agent get as far as it likes."""
        self.wrap: Callable[[VmDriver], VmDriver] = lambda driver: driver
        self.trap: Callable[[Journal], None] = lambda journal: None

    async def listen(self) -> None:
        """Be the scheduler's queue."""
        queue = Queue(name="scheduler.reports", keys=tuple(tag_of(kind) for kind in _REPORTS))
        await self.bus.consume(queue, self._receive)

    async def start(self, **settings: Any) -> None:
        given = {
            "driver": "simulated",
            "node_id": NODE,
            "name": "mini",
            "host": "10.0.0.21",
            "metrics_port": 0,
            "data": str(self.folder) if self.folder else "",
        }
        self.service = build(
            msgspec.convert(given | settings, AgentSettings),
            self.bus,
            driver_factory=self._driver,
            clock=self.clock,
        )
        self.trap(self.part(Journal))
        await self.service.start()
        await settle()

    async def stop(self) -> None:
        if self.service is not None:
            service, self.service = self.service, None
            await service.stop()

    async def kill(self) -> None:
        """End the agent without any farewell: what is not on the disk is lost."""
        assert self.service is not None
        journal = self.part(Journal)
        journal.abandon()
        journal._flusher = None
        journal.sync = _nothing
        publisher, dispatchers = self.part(Publisher), self.part(Inbox)._dispatchers
        tasks = [publisher._task, *(dispatcher._task for dispatcher in dispatchers)]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for dispatcher in dispatchers:
            dispatcher._task = None
        await self.stop()

    def part(self, kind: type[Any]) -> Any:
        assert self.service is not None
        parts = [*self.service._parts, self.agent_in(self.service)._journal]
        return next(part for part in parts if isinstance(part, kind))

    @staticmethod
    def agent_in(service: Service) -> Agent:
        return next(part for part in service._parts if isinstance(part, Agent))

    @property
    def agent(self) -> Agent:
        assert self.service is not None
        return self.agent_in(self.service)

    @property
    def driver(self) -> SimulatedDriver:
        return self.drivers[NODE]

    def vm(self, instance_id: str = "i-1") -> Vm:
        vm = self.agent.nodes[NODE].vms.get(instance_id)
        assert vm is not None
        return vm

    def run_vm(self, instance_id: str = "i-1", *, seconds: float = 60, **fields: Any) -> RunVm:
        """An order that is valid for ``seconds``."""
        end = self.clock.now() + timedelta(seconds=seconds)
        defaults: dict[str, Any] = {
            "node_id": NODE,
            "attempt": 1,
            "epoch": 1,
            "template": a_template(),
            "deadline": end,
            "valid_until": end,
            "validity": seconds,
            "cloud_id": CLOUD,
            "registry": "http://127.0.0.1:1",
        }
        return RunVm(instance_id=instance_id, **(defaults | fields))

    def stop_vm(self, instance_id: str = "i-1", **fields: Any) -> StopVm:
        defaults: dict[str, Any] = {
            "node_id": NODE,
            "attempt": 1,
            "epoch": 1,
            "deadline": self.clock.now() + timedelta(seconds=60),
        }
        return StopVm(instance_id=instance_id, **(defaults | fields))

    def reboot_vm(self, number: int = 1, instance_id: str = "i-1", **fields: Any) -> RebootVm:
        defaults: dict[str, Any] = {
            "node_id": NODE,
            "attempt": 1,
            "epoch": 1,
            "deadline": self.clock.now() + timedelta(seconds=60),
        }
        return RebootVm(instance_id=instance_id, number=number, **(defaults | fields))

    def push_image(self, registry: str, request_id: str = "r-1", **fields: Any) -> PushImage:
        """Save an instance, as tag ``saved`` of the template ``image``."""
        defaults: dict[str, Any] = {
            "node_id": NODE,
            "instance_id": "i-1",
            "attempt": 1,
            "epoch": 1,
            "deadline": self.clock.now() + timedelta(seconds=60),
            "valid_until": self.clock.now() + timedelta(seconds=3600),
            "repository": "image",
            "template_id": "image",
            "template_name": "An image",
            "tag": "saved",
        }
        return PushImage(request_id=request_id, registry=registry, **(defaults | fields))

    async def order(self, *orders: Order) -> None:
        await self.bus.publish([say(order) for order in orders])

    def said(self, kind: type[R], instance_id: str = "") -> list[R]:
        return [
            report
            for report in self.reports
            if isinstance(report, kind)
            and (not instance_id or getattr(report, "instance_id", "") == instance_id)
        ]

    async def heard(self, kind: type[R], count: int = 1, instance_id: str = "") -> R:
        """The ``count``-th report of a kind, waiting for it."""
        return (await until(lambda: self._enough(kind, count, instance_id)))[count - 1]

    async def started(self, instance_id: str = "i-1", **fields: Any) -> Any:
        """Have an instance running; its report."""
        await self.order(self.run_vm(instance_id, **fields))
        report = await self.heard(VmStarted, 1, instance_id)
        await until(lambda: self.vm(instance_id).record.confirmed)
        return report

    async def beat(self) -> NodeHeartbeat:
        """The next heartbeat."""
        before = len(self.said(NodeHeartbeat))
        for _ in range(200):
            await self.clock.advance(0.1)
            if found := self._enough(NodeHeartbeat, before + 1, ""):
                return found[before]
        raise AssertionError("no heartbeat within 20 seconds")

    def history(self, verb: str = "", instance_id: str = "") -> list[HistoryLine]:
        return [
            line
            for line in self.driver.history()
            if (not verb or line.verb == verb)
            and (not instance_id or line.instance_id == instance_id)
        ]

    def vm_reports(self, instance_id: str = "i-1") -> list[VmReport]:
        return self.said(VmReport, instance_id)

    def _enough(self, kind: type[R], count: int, instance_id: str) -> list[R]:
        found = self.said(kind, instance_id)
        return found if len(found) >= count else []

    def _writing(self) -> asyncio.Task[None] | None:
        """What the agent is writing to its journal, in a thread."""
        flusher: asyncio.Task[None] | None = self.part(Journal)._flusher if self.service else None
        return None if flusher is None or flusher.done() else flusher

    def _driver(self, node_id: str) -> VmDriver:
        driver = SimulatedDriver(
            node_id,
            self.clock,
            state_dir=self.folder / "simulated" if self.folder else None,
            delays=self.delays,
            faults=self.faults,
            hardware=self.hardware,
        )
        self.drivers[node_id] = driver
        return self.wrap(driver)

    def _receive(self, delivery: Delivery) -> None:
        self.reports += _decode(delivery.body)
        task = asyncio.create_task(delivery.ack())
        _ACKS.add(task)
        task.add_done_callback(_ACKS.discard)


_ACKS: set[asyncio.Task[None]] = set()
_decode = msgspec.json.Decoder(list[Union[_REPORTS]]).decode  # type: ignore[valid-type]


async def _nothing() -> None:
    """Nothing is written any more."""
