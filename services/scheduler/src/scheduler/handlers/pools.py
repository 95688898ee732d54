"""Keeping pools filled: members are made and ended, never changed."""

import uuid
from collections.abc import Mapping

from contracts.instances import InstanceDocument, InstanceSpec, InstanceStatus
from contracts.pools import PoolDocument
from contracts.templates import TemplateDocument
from scheduler.domain.limits import Moment
from scheduler.domain.pools import fill
from scheduler.domain.world import World


def fill_pools(
    world: World,
    pools: Mapping[str, PoolDocument],
    templates: Mapping[str, TemplateDocument],
    moment: Moment,
) -> None:
    """Bring each pool to its size. What is counted is what is stored, so none is overfilled."""
    members = world.pooled.values()
    filling = fill(pools, templates, members, moment.now, world.limits.pool_patience)
    for member in filling.surplus:
        world.retire(member)
    for spec in filling.missing:
        world.make(_member(spec, moment))


def _member(spec: InstanceSpec, moment: Moment) -> InstanceDocument:
    return InstanceDocument(
        id=str(uuid.uuid4()),
        created=moment.now,
        spec=spec,
        status=InstanceStatus(observed_generation=1, changed=moment.now),
    )
