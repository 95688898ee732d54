"""Commands to the registry."""

import socket
from collections.abc import Sequence
from datetime import timedelta

import structlog

from chassis.bus.port import Queue
from chassis.clock import Clock
from chassis.errors import Conflict
from contracts.distributions import (
    CancelDistribution,
    DeleteTemplate,
    Distribute,
    TemplatePullReported,
)
from contracts.events import EventHappened, EventKind, EventType
from contracts.messages import Message, tag_of
from contracts.templates import RemoveTemplateFromNodes
from registry.distributions import Distributions
from registry.outbox import Outbox, said
from registry.store import RegistryStore, keep

COMMANDS: tuple[type[Message], ...] = (
    RemoveTemplateFromNodes,
    Distribute,
    CancelDistribution,
)
REPORTS: tuple[type[Message], ...] = (TemplatePullReported,)
HANDLED = COMMANDS + REPORTS
COMMANDS_QUEUE = Queue(name="registry.commands", keys=tuple(tag_of(kind) for kind in COMMANDS))
REPORTS_QUEUE = Queue(name="registry.reports", keys=tuple(tag_of(kind) for kind in REPORTS))
_ORDER_VALID = timedelta(minutes=10)
_log = structlog.get_logger()


class Handlers:
    """One method per command, one for all reports; all may be repeated."""

    def __init__(
        self,
        store: RegistryStore,
        distributions: Distributions,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._store = store
        self._distributions = distributions
        self._outbox = outbox
        self._clock = clock

    async def hear(self, messages: Sequence[Message]) -> None:
        """Handle a batch of reports."""
        reports = [message for message in messages if isinstance(message, TemplatePullReported)]
        await self._distributions.report(reports)

    async def handle(self, messages: Sequence[Message]) -> None:
        """Handle a batch of commands, in order."""
        for message in messages:
            match message:
                case RemoveTemplateFromNodes():
                    await self._remove_from_nodes(message)
                case Distribute() | CancelDistribution():
                    await self._distributions.observe([message.request_id])
                case _:
                    raise TypeError(type(message).__name__)

    async def _remove_from_nodes(self, command: RemoveTemplateFromNodes) -> None:
        """A repeat orders again; while the first is still to be published it changes nothing."""
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
        event = EventHappened(
            kind=EventKind.TEMPLATE_REMOVED_FROM_NODES,
            event_type=EventType.API,
            sub_type="templateAction",
            subject=command.template_id,
            at=now,
            machine=socket.gethostname(),
            actor=command.actor,
            request_id=command.request_id,
            fields={"template_id": command.template_id, "nodes": len(orders)},
        )
        subject = f"{command.template_id} {command.id or now.isoformat()}"
        words.append(said(event, subject, 0, str(event.kind)))
        try:
            await self._store.transact(keep(words, now))
        except Conflict:
            _log.info("template.removal_repeated", template=command.template_id)
        self._outbox.kick()
