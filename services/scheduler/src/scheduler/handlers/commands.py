"""Wishes about instances, as the gateways tell them."""

from contracts.instances import (
    InstanceDocument,
    InstanceState,
    RestartVM,
    StartVM,
    TerminateVM,
    UpdateVM,
)
from scheduler.domain.instance import Instance
from scheduler.domain.limits import Moment
from scheduler.domain.world import World


def start_vm(world: World, message: StartVM, moment: Moment) -> None:
    """A new instance wants a node."""
    if (known := world.instances.get(message.instance.id)) is not None:
        _observe(world, known, message.instance, moment)
    elif message.instance.id not in world.tombstones:
        observe_document(world, message.instance, moment)


def wish_changed(world: World, message: TerminateVM | RestartVM | UpdateVM, moment: Moment) -> None:
    """An instance shall end, restart, or be called something else."""
    if (instance := world.instances.get(message.instance_id)) is None:
        return
    if message.generation > instance.generation:
        instance.generation, instance.spec = message.generation, message.spec
    act_on_wish(world, instance, moment)


def observe_document(world: World, document: InstanceDocument, moment: Moment) -> Instance:
    """Meet an instance for the first time, or hear of a newer wish from its document."""
    if (known := world.instances.get(document.id)) is not None:
        _observe(world, known, document, moment)
        return known
    instance = world.load_instance(document)
    if document.status_revision == 0:
        instance.requested(moment.now)
    act_on_wish(world, instance, moment)
    return instance


def act_on_wish(world: World, instance: Instance, moment: Moment) -> None:
    """Do what the newest wish asks beyond what is observed already."""
    if not instance.observe(instance.generation, instance.spec, moment.now):
        return
    if instance.spec.claimed and not instance.status.claimed:
        instance.claim(moment.now)
        if instance.status.script_due:
            world.order_script(instance, moment)
    world.touch(instance)
    if instance.spec.terminate:
        if instance.terminate(moment.now):
            world.touch(instance)
            if instance.status.live:
                world.order_stop(instance, moment)
    elif instance.spec.restarts > instance.status.restarts:
        _restart(world, instance, moment)


def _observe(world: World, known: Instance, document: InstanceDocument, moment: Moment) -> None:
    if document.generation > known.generation:
        known.generation, known.spec = document.generation, document.spec
    act_on_wish(world, known, moment)


def _restart(world: World, instance: Instance, moment: Moment) -> None:
    if instance.status.state in {InstanceState.STARTED, InstanceState.STOPPED}:
        instance.ordered_at = moment.now
        world.orders.append(world.order.reboot(instance, moment.now))
