"""Wishes about the pool of MAC addresses."""

from contracts.macs import FillMacPool, MacPoolDocument, PurgeMacPool
from scheduler.domain.limits import Moment
from scheduler.domain.world import World


def pool_wish_changed(world: World, message: FillMacPool | PurgeMacPool, moment: Moment) -> None:
    """The pool shall be empty, or filled again."""
    world.macs.observe(message.generation, message.spec, moment.now)


def observe_pool(world: World, document: MacPoolDocument, moment: Moment) -> None:
    """A wish that was found in the document."""
    world.macs.observe(document.generation, document.spec, moment.now)
