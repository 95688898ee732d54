"""One node of this process: what it says of itself, and when."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from chassis.errors import CorralError
from chassis.version import running_version
from contracts.messages import Message
from contracts.nodes import (
    CachedTemplate,
    CapacityMode,
    ConfigureAgent,
    NodeFacts,
    NodeGoodbye,
    NodeHeartbeat,
    NodeHello,
)
from node_agent.adoption import adopt
from node_agent.domain.record import Record
from node_agent.drivers.port import DriverError, HostFacts
from node_agent.host import Host
from node_agent.publisher import Telling
from node_agent.templates import Templates
from node_agent.upgrades import Upgrades
from node_agent.vms import Vms

_log = structlog.get_logger()
VERSION = running_version("corral-agent", __file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The join flags that are facts of a node. Limits in CPUs and GiB; 0: by the hardware."""

    queue: str
    capacity: int = 2
    capacity_mode: CapacityMode = CapacityMode.NUMBER
    vcpu_limit: int = 0
    ram_limit_gb: int = 0
    count_overrides: bool = False
    drain: bool = False
    groups: tuple[str, ...] = ()
    peer_address: str = ""


class Node:
    """A host's identity, its VMs and its voice. ``heartbeat`` in seconds between two.

    ``registry``: the address that the controller gave all nodes, "" for the agent's own setting.
    """

    def __init__(
        self, host: Host, joined: Joined, heartbeat: float, upgrade_program: str = ""
    ) -> None:
        self.host = host
        self.vms = Vms(host)
        self.templates = Templates(host)
        self.upgrades = Upgrades(host, upgrade_program)
        self.heartbeat = heartbeat
        self.registry = ""
        self._joined = joined
        self._own_queue = "" if joined.queue == host.node_id else joined.queue
        self._config_version = 0
        self._told_facts: NodeFacts | None = None
        self._hello_due = True
        self._beating: asyncio.Task[None] | None = None
        self._said: Telling | None = None

    @property
    def queue(self) -> str:
        """The queue that brings this node's orders."""
        return self._joined.queue

    async def start(self, records: Sequence[Record]) -> None:
        """Reconcile what the journal knows of this node with the hypervisor."""
        await adopt(self.host, self.vms, records)

    async def stop(self) -> None:
        """Leave everything as it stands: VMs go on running."""
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.wait([self._beating])
        await self.upgrades.stop()
        await self.templates.stop()
        for vm in self.vms:
            await vm.work.abandon()

    def configure(self, order: ConfigureAgent) -> Callable[[], None]:
        """Take the newest configuration, and join again when told to."""
        if order.version > self._config_version:
            _log.info("node.configured", node=self.host.node_id, version=order.version)
        if order.version >= self._config_version:
            self._config_version = order.version
            self.heartbeat = order.heartbeat
            self.registry = order.registry
            if self.host.shipping is not None:
                self.host.shipping.enabled = order.central_logging
        return self.say_hello if order.rejoin else _nothing

    def say_hello(self) -> None:
        """Tell everything in full next, at once."""
        self._hello_due = True
        self.beat()

    def beat(self) -> None:
        """Say a heartbeat (or the hello that is due), unless one is being made or on its way."""
        if self._beating is None or self._beating.done():
            self._beating = asyncio.create_task(self._beat(), name=f"beat:{self.host.node_id}")

    def goodbye(self) -> Telling:
        """Say that this node has left for good."""
        host = self.host
        return host.publisher.tell(NodeGoodbye(node_id=host.node_id, at=host.clock.now()))

    async def _beat(self) -> None:
        if self._said is not None and not self._said.confirmed.done() and not self._hello_due:
            return
        hello, self._hello_due = self._hello_due, False
        try:
            await self._say(hello=hello)
        except (DriverError, CorralError) as error:
            self._hello_due = self._hello_due or hello
            _log.warning("node.heartbeat_failed", node=self.host.node_id, error=str(error))
        except Exception:
            self._hello_due = self._hello_due or hello
            _log.exception("node.heartbeat_failed", node=self.host.node_id)

    async def _say(self, *, hello: bool) -> None:
        host = self.host
        versions = self.vms.versions()
        listed = await host.driver.list_vms()
        facts = await self._facts()
        usage = await host.driver.usage()
        at = host.clock.now()
        lines = self.vms.lines(listed, versions, full=hello)
        unknown = self.vms.unknown(listed)
        report: Message
        if hello:
            report = NodeHello(
                node_id=host.node_id, at=at, facts=facts, usage=usage, vms=lines, unknown=unknown
            )
        else:
            news = facts if facts != self._told_facts else None
            report = NodeHeartbeat(
                node_id=host.node_id,
                at=at,
                queue=self._own_queue,
                facts=news,
                usage=usage,
                vms=lines,
                unknown=unknown,
            )
        self._said = host.publisher.mention(report)

        def heard(confirmed: "asyncio.Future[bool]") -> None:
            if not confirmed.cancelled() and confirmed.result():
                self._told_facts = facts
                self.vms.heard(lines, at)
            elif hello:
                self._hello_due = True

        self._said.confirmed.add_done_callback(heard)

    async def _facts(self) -> NodeFacts:
        host, joined, driver = self.host, self._joined, self.host.driver
        seen = await driver.facts()
        return NodeFacts(
            name=host.name,
            address=host.address,
            arch=seen.arch,
            driver=driver.name,
            queue=joined.queue,
            cpu_count=seen.cpu_count,
            ram_gb=seen.ram_gb,
            disk_size=seen.disk_size,
            capacity=joined.capacity,
            capacity_mode=joined.capacity_mode,
            vcpu_limit=joined.vcpu_limit or _vcpu_limit(seen),
            ram_limit_gb=joined.ram_limit_gb or max(seen.ram_gb - 2, 1),
            count_overrides=joined.count_overrides,
            drain=joined.drain,
            groups=joined.groups,
            license_valid=seen.license_valid,
            agent_version=VERSION,
            hypervisor=seen.hypervisor,
            capabilities=tuple(sorted(driver.capabilities)),
            templates=tuple(sorted(await driver.templates(), key=_by_tag)),
            usb_devices=seen.usb_devices,
            vlans=seen.vlans,
            reserve=await host.images.reserve(),
            peer_address=joined.peer_address,
        )


def _vcpu_limit(seen: HostFacts) -> int:
    """Twice the cores on amd64, the cores on arm64, as documented for resource mode."""
    return seen.cpu_count * (2 if seen.arch == "amd64" else 1)


def _by_tag(template: CachedTemplate) -> tuple[str, str]:
    """An order that does not change with use, so that unchanged facts stay equal."""
    return template.id, template.tag


def _nothing() -> None:
    """No effect."""
