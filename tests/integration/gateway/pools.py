"""A pool made through the API, and its members as the scheduler makes them."""

import uuid
from datetime import UTC, datetime
from typing import Any

from contracts.instances import InstanceDocument, InstanceSpec, InstanceState, InstanceStatus
from tests.integration.gateway.cloud import (
    TEMPLATE,
    Api,
    Cloud,
    instance_changed,
    running,
    template,
)


async def make_pool(api: Api, **wish: Any) -> str:
    body = {"name": "warm", "vmid": TEMPLATE, "size": 1} | wish
    return str((await api("POST", "/api/v1/pool", body)).body["id"])


async def keep(cloud: Cloud, pool: str) -> str:
    """One more member, Started, and said to be; its id."""
    now, newest = datetime.now(UTC), template()
    status = InstanceStatus(
        state=InstanceState.STARTED,
        observed_generation=1,
        node_id="n1",
        attempt=1,
        live=True,
        was_started=True,
        vminfo=running(),
        changed=now,
    )
    member = InstanceDocument(
        id=str(uuid.uuid4()),
        created=now,
        status_revision=2,
        spec=InstanceSpec(template=newest.ref(newest.versions[-1]), priority=10000, pool_id=pool),
        status=status,
    )
    await cloud.store.insert("instances", [member])
    await cloud.publish(instance_changed(member))
    return member.id
