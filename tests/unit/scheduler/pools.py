"""Pools and the scheduler's way with them, in a world with a hand-driven clock."""

import msgspec

from contracts.instances import InstanceDocument, StartVM
from contracts.pools import PoolDocument
from scheduler.handlers.pools import fill_pools
from tests.unit.scheduler.builders import START


def a_pool(identity="p1", **wish):
    about = {"name": "warm", "template_id": "tpl", "size": 2}
    return PoolDocument(id=identity, created=START, **about | wish)


def fill(cloud, *pools):
    """One step; the ids that are to end."""
    by_id = {pool.id: pool for pool in pools}
    fill_pools(cloud.world, by_id, cloud.templates, cloud.moment)
    retired = [member.id for member in cloud.world.retired]
    cloud.world.retired.clear()
    cloud.turn()
    return retired


def kept(cloud, pool_id="p1"):
    return [m for m in cloud.world.pooled.values() if m.spec.pool_id == pool_id]


def all_started(cloud):
    for member in kept(cloud):
        if member.status.live and not member.status.was_started:
            cloud.started(member)


def claim(cloud, member, **wish):
    """What a gateway writes, and the message that tells of it."""
    spec = msgspec.structs.replace(
        member.spec, pool_id=None, claimed=cloud.now, request_id="req", **wish
    )
    document = InstanceDocument(
        id=member.id,
        created=member.created,
        generation=member.generation + 1,
        status_revision=member.revision,
        spec=spec,
        status=member.status,
    )
    cloud.say(StartVM(instance=document))
