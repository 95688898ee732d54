"""Commands to the registry."""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from chassis.bus.port import Queue
from chassis.clock import Clock
from chassis.errors import NotFound, Refused
from contracts.distributions import DeleteTemplate
from contracts.messages import Message, tag_of
from contracts.templates import RemoveTemplateFromNodes, RevertTemplate
from registry.outbox import Outbox, said
from registry.store import RegistryStore, keep
from registry.templates import Actor, Templates

HANDLED: tuple[type[Message], ...] = (RevertTemplate, RemoveTemplateFromNodes)
QUEUE = Queue(name="registry.commands", keys=tuple(tag_of(kind) for kind in HANDLED))
_ORDER_VALID = timedelta(minutes=10)
_log = structlog.get_logger()


class Handlers:
    """One method per command; all may be repeated."""

    def __init__(
        self, store: RegistryStore, templates: Templates, outbox: Outbox, clock: Clock
    ) -> None:
        self._store = store
        self._templates = templates
        self._outbox = outbox
        self._clock = clock

    async def handle(self, messages: Sequence[Message]) -> None:
        """Handle a batch, in order."""
        for message in messages:
            match message:
                case RevertTemplate():
                    await self._revert(message)
                case RemoveTemplateFromNodes():
                    await self._remove_from_nodes(message)
                case _:
                    raise TypeError(type(message).__name__)

    async def _revert(self, command: RevertTemplate) -> None:
        """A version that is gone already is a repeat of the command."""
        actor = Actor(name=command.actor, request_id=command.request_id)
        try:
            await self._templates.revert(command.template_id, command.from_number, actor)
        except (NotFound, Refused) as error:
            _log.info("template.revert_ignored", template=command.template_id, error=str(error))

    async def _remove_from_nodes(self, command: RemoveTemplateFromNodes) -> None:
        now = self._clock.now()
        orders = [
            DeleteTemplate(
                node_id=node.id,
                queue=node.status.facts.queue,
                deadline=now + _ORDER_VALID,
                template_id=command.template_id,
            )
            for node in await self._store.nodes(command.node_ids)
        ]
        words = [said(order, f"{command.template_id} {order.node_id}", now) for order in orders]
        if words:
            await self._store.transact(keep(words, now))
            self._outbox.kick()
