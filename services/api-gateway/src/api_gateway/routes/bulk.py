"""``DELETE /api/v1/vm`` for many instances at once (ours)."""

from collections.abc import Sequence

import msgspec
import structlog

from api_gateway.bulk_store import BulkStore
from api_gateway.domain.bulk import MAX_IDS, Bulk
from api_gateway.outgoing import Outgoing
from api_gateway.public import envelope
from api_gateway.sync import Sync
from api_gateway.web import Call
from chassis.errors import NotFound
from contracts.instances import InstanceDocument, TerminateVM

_log = structlog.get_logger()


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one id: the envelope of the call for this id alone."""

    id: str
    status: str
    message: str


class BulkTermination:
    """One write, one batch of messages, one outcome for each id."""

    def __init__(self, store: BulkStore, sync: Sync, outgoing: Outgoing) -> None:
        self._store = store
        self._sync = sync
        self._outgoing = outgoing

    async def terminate(self, call: Call, bulk: Bulk) -> bytes:
        """Have these instances gone, in whatever state they are."""
        ids = bulk.ids or await self._store.select(bulk)
        outcomes: list[Ended] = []
        for start in range(0, len(ids), MAX_IDS):
            outcomes += await self._end(ids[start : start + MAX_IDS], call)
        _log.info("instances.terminated_together", instances=len(outcomes), actor=call.actor)
        return envelope.ok(msgspec.json.encode(outcomes))

    async def _end(self, ids: Sequence[str], call: Call) -> list[Ended]:
        found = await self._store.terminate(ids, call.actor, call.request_id)
        self._sync.take_instances(found)
        self._outgoing.send(_message(document) for document in found if document.pending)
        known = {document.id for document in found}
        return [_outcome(identity, known) for identity in ids]


def _message(document: InstanceDocument) -> TerminateVM:
    return TerminateVM(instance_id=document.id, generation=document.generation, spec=document.spec)


def _outcome(identity: str, known: set[str]) -> Ended:
    if identity in known:
        return Ended(id=identity, status="OK", message="")
    return Ended(id=identity, status="FAIL", message=str(NotFound()))
