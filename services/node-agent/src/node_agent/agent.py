"""The nodes of one process as one part of the service."""

from collections import defaultdict
from collections.abc import Mapping

import structlog

from chassis.bus.port import Queue, QueueKind
from contracts.messages import node_key
from node_agent.journal import Journal
from node_agent.metrics import NODES
from node_agent.node import Node

_log = structlog.get_logger()


class Agent:
    """Opens the journal, adopts what is there, and on its end leaves every VM as it stands."""

    def __init__(self, nodes: Mapping[str, Node], journal: Journal) -> None:
        self.nodes = nodes
        self._journal = journal
        self._by_queue: dict[str, list[Node]] = defaultdict(list)
        for node in nodes.values():
            self._by_queue[node_key(node.queue)].append(node)

    @property
    def queues(self) -> list[Queue]:
        """The queues that bring the orders of all nodes."""
        return [Queue(name=key, keys=(key,), kind=QueueKind.NODE) for key in self._by_queue]

    def subscribed(self, queue: str) -> None:
        """The nodes behind this queue can be reached now: they introduce themselves."""
        for node in self._by_queue[queue]:
            node.say_hello()

    async def start(self) -> None:
        """See Part."""
        self._journal.open()
        records = self._journal.by_node()
        for node_id, node in self.nodes.items():
            await node.start(records.get(node_id, []))
        NODES.set(len(self.nodes))
        _log.info("agent.started", nodes=len(self.nodes), instances=len(self._journal.records))

    async def stop(self) -> None:
        """See Part."""
        for node in self.nodes.values():
            await node.stop()
        await self._journal.close()
        NODES.set(0)

    async def disjoin(self) -> None:
        """Say goodbye for every node, and wait until the bus has it."""
        tellings = [node.goodbye() for node in self.nodes.values()]
        for telling in tellings:
            await telling.confirmed
        _log.info("agent.disjoined", nodes=len(tellings))
