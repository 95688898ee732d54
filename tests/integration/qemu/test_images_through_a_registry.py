"""Two agents with real guests and a registry between them: save here, start there."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, Union

import msgspec
import pytest

from chassis.bus.memory import MemoryBus
from chassis.bus.port import Delivery, Queue
from chassis.clock import SystemClock
from chassis.service import Service
from chassis.store.mongo import MongoStore
from contracts.documents import say
from contracts.images import ImagePushed, PushImage
from contracts.messages import Report, tag_of
from contracts.templates import TemplateRef
from contracts.vms import RunVm, Script, ScriptResult, StopVm, VmFailed, VmGone, VmStarted
from corral.registry import LocalTemplate, RegistryClient, push_template
from node_agent.app import build
from node_agent.config import AgentSettings
from node_agent.drivers.port import VmDriver
from tests.drivers import qemu
from tests.images import demo_guest
from tests.registries import RunningRegistry, running_registry
from tests.waiting import until

pytestmark = pytest.mark.timeout(300)  # a busy machine boots ten times slower than an idle one

R = TypeVar("R", bound=Report)
KINDS = (VmStarted, VmFailed, VmGone, ImagePushed)
NEW = "6b135004-0c89-43bb-b892-74796b8d266c"
LOOK = b"cat /root/mark; test -e /tmp/alive && echo alive || echo booted"


class World:
    """Agents ``a`` and ``b``, each a host of its own, and all that they say."""

    def __init__(self, bus: MemoryBus, registry: RunningRegistry, folder: Path) -> None:
        self.registry = registry
        self.reports: list[Any] = []
        self._bus = bus
        self._folder = folder
        self._clock = SystemClock()
        self._agents: list[Service] = []
        self._acks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        keys = tuple(tag_of(kind) for kind in KINDS)
        await self._bus.consume(Queue(name="heard", keys=keys), self._hear)
        for name in ("a", "b"):
            await self.agent(name)

    async def stop(self) -> None:
        for agent in self._agents:
            await agent.stop()

    async def agent(self, name: str) -> None:
        def driver(_node_id: str) -> VmDriver:
            return qemu(self._folder / name / "qemu").make()

        settings = AgentSettings(
            node_id=name,
            host="127.0.0.1",
            metrics_port=0,
            data=str(self._folder / name),
            reserve_space="1MB",
        )
        agent = build(settings, self._bus, driver_factory=driver)
        await agent.start()
        self._agents.append(agent)

    def blobs(self, node: str) -> set[str]:
        """Digests of what is in a node's cache."""
        folder = self._folder / node / "qemu/blobs"
        return {f"sha256:{file.name.partition('.')[0]}" for file in folder.iterdir()}

    async def order(self, kind: type[Any], node: str, instance_id: str, **fields: Any) -> None:
        until_then = self._clock.now() + timedelta(seconds=200)
        if kind is RunVm:
            fields |= {"valid_until": until_then, "validity": 200.0, "cloud_id": "cloud"}
        if kind is not StopVm:
            fields["registry"] = self.registry.address
        order = kind(
            node_id=node, instance_id=instance_id, attempt=1, deadline=until_then, **fields
        )
        await self._bus.publish([say(order)])

    async def heard(self, kind: type[R], instance_id: str, count: int = 1) -> R:
        def found() -> list[Any]:
            mine = [r for r in self.reports if r.instance_id == instance_id]
            failed = [r for r in mine if isinstance(r, VmFailed)]
            assert not failed, failed
            those = [r for r in mine if isinstance(r, kind)]
            return those if len(those) >= count else []

        answer: R = (await until(found, limit=150.0, every=0.05))[count - 1]
        return answer

    async def push(self, node: str, instance_id: str, tag: str, **fields: Any) -> ImagePushed:
        """Save an instance as a tag of the new template; what is said of it."""
        count = sum(isinstance(r, ImagePushed) for r in self.reports)
        given = {"repository": NEW, "template_id": NEW, "template_name": "mine"} | fields
        await self.order(PushImage, node, instance_id, request_id=tag, tag=tag, **given)
        await until(
            lambda: sum(isinstance(r, ImagePushed) for r in self.reports) > count, 150.0, 0.05
        )
        found: ImagePushed = self.reports[-1]
        return found

    async def looked_at(self, node: str, instance_id: str, ref: TemplateRef) -> ScriptResult:
        """Start a tag on a node; what a script finds in the guest."""
        script = Script(body=LOOK, monitored=True)
        await self.order(RunVm, node, instance_id, template=ref, script=script)
        result = (await self.heard(VmStarted, instance_id)).script_result
        assert result
        return result

    def _hear(self, delivery: Delivery) -> None:
        self.reports += _decode(delivery.body)
        task = asyncio.ensure_future(delivery.ack())
        self._acks.add(task)
        task.add_done_callback(self._acks.discard)


_decode = msgspec.json.Decoder(list[Union[KINDS]]).decode  # type: ignore[valid-type]


@pytest.fixture
async def world(
    system_bus: MemoryBus, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[World]:
    async with running_registry(own_store, tmp_path / "registry", bus=system_bus) as registry:
        world = World(system_bus, registry, tmp_path)
        await world.start()
        yield world
        for node, instance_id in (("a", "i-1"), ("b", "i-2"), ("a", "i-3")):
            await world.order(StopVm, node, instance_id)
            await world.heard(VmGone, instance_id)
        await world.stop()


def ref(repository: str, tag: str, digest: str) -> TemplateRef:
    return TemplateRef(
        id=repository,
        name="demo",
        tag=tag,
        version=0,
        arch="amd64",
        repository=repository,
        digest=digest,
    )


async def test_a_guest_is_saved_on_one_node_and_goes_on_on_another_and_back(world: World) -> None:
    """Each pull brings only what is new; a push that is refused has the guest run on."""
    built = await asyncio.to_thread(demo_guest)
    template = LocalTemplate(
        config=built.config, disks=(built.disk,), kernel=built.kernel, initrd=built.initrd
    )
    async with RegistryClient(world.registry.address) as client:
        digest = await push_template(client, "base", "v1", template)
    base = ref("base", "v1", digest)
    await world.order(RunVm, "a", "i-1", template=base)
    await world.heard(VmStarted, "i-1")

    change = Script(body=b"echo first > /root/mark; touch /tmp/alive")
    refused = await world.push("a", "i-1", "v0", repository="NOT/A/REPOSITORY", script=change)
    assert refused.digest == ""
    assert refused.info
    assert refused.info.status == "running"
    assert refused.script_result
    assert refused.script_result.return_code == 0

    failing = Script(body=b"cat /root/mark; test -e /tmp/alive; exit 9")
    failed = await world.push("a", "i-1", "v1", script=failing, cancel_on_script_failure=True)
    assert (failed.error, failed.script_failed) == ("Script execution failed", True)
    assert failed.script_result
    assert (failed.script_result.stdout, failed.script_result.return_code) == ("first\n", 9)

    suspended = await world.push("a", "i-1", "v2", suspend_sanity_test=True)
    assert suspended.error == ""
    before = world.blobs("a")
    found = await world.looked_at("b", "i-2", ref(NEW, "v2", suspended.digest))
    assert found.stdout == "first\nalive\n"
    assert world.blobs("b") <= before

    change = Script(body=b"echo second >> /root/mark")
    stopped = await world.push("b", "i-2", "v3", script=change, suspend=False)
    assert stopped.error == ""
    before = world.blobs("a")
    found = await world.looked_at("a", "i-3", ref(NEW, "v3", stopped.digest))
    assert found.stdout == "first\nsecond\nbooted\n"
    fresh = world.blobs("a") - before
    assert len(fresh) == 2  # the new layer and the config
