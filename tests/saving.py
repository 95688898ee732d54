"""A cloud in which instances are saved; the agent is played by the test."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chassis.bus.port import Bus
from chassis.clock import SystemClock
from chassis.store.port import Store
from contracts.images import ImageRequestDocument, ImageSpec, ImageState, ImageStatus
from tests.cloud import TEMPLATE_ID, Cloud, running
from tests.played_agent import PlayedAgent
from tests.waiting import until


class SavingCloud:
    """One played node beside the real services of ``cloud``."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.agent = PlayedAgent(cloud.bus, "played", SystemClock())

    async def ready(self) -> None:
        """With a scheduler there: a gateway, the node, and the template known."""
        await self.cloud.gateway()
        await self.agent.start()
        await self.cloud.ready(1)

    async def started(self) -> str:
        """An instance that runs."""
        [vm] = await self.cloud.start()
        await self.cloud.reaches([vm], "Started")
        return vm

    async def save(self, vm: str, **wish: Any) -> str:
        """POST /image; the id of the request."""
        body = {"id": vm, "tag": "v9", "target_vm_id": TEMPLATE_ID, "suspend": False}
        answer = await self.cloud.call("POST", "image", body | wish)
        assert answer["status"] == "OK", answer
        return str(answer["body"]["request_id"])

    async def save_unheard(self, vm: str) -> str:
        """A request that is stored, and whose message is lost."""
        now = datetime.now(UTC)
        document = ImageRequestDocument(
            id=uuid.uuid4().hex,
            created=now,
            pending=True,
            spec=ImageSpec(instance_id=vm, tag="v9", target_template_id=TEMPLATE_ID, suspend=False),
            status=ImageStatus(changed=now),
        )
        await self.cloud.store.insert("image_requests", [document])
        return document.id

    async def show(self, identity: str) -> dict[str, Any]:
        """GET /image?id=."""
        answer = await self.cloud.call("GET", f"image?id={identity}")
        found: dict[str, Any] = answer["body"]
        return found

    async def request(self, identity: str) -> ImageRequestDocument:
        """The request as stored."""
        found = await self.cloud.store.get("image_requests", ImageRequestDocument, identity)
        assert found is not None
        return found

    async def begun(self, identity: str) -> None:
        """Wait until the node saves for this request."""
        await until(lambda: identity in self.agent.begun, 20)

    async def ended(self, identity: str) -> ImageRequestDocument:
        """The request, once it has ended."""

        async def over() -> ImageRequestDocument | None:
            document = await self.request(identity)
            return document if document.status.state is not ImageState.PENDING else None

        found = await until(over, 20, every=0.05)
        assert found is not None
        return found


@asynccontextmanager
async def saving_cloud(bus: Bus, store: Store, folder: Path) -> AsyncIterator[SavingCloud]:
    """No service yet but a template; stopped at the end."""
    async with running(bus, store, folder) as cloud:
        await cloud.add_template()
        saving = SavingCloud(cloud)
        try:
            yield saving
        finally:
            await saving.agent.stop()
