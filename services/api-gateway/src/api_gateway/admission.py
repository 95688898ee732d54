"""Admitting starts: from a warm pool as far as one has them ready, else as new instances."""

import contextlib
import random
from collections.abc import Sequence

import msgspec

from api_gateway.documents import Remembered
from api_gateway.domain.claiming import claimable, claimed, serves
from api_gateway.intake import Intake
from api_gateway.pool_store import PoolStore, claim
from api_gateway.pools import Pools
from api_gateway.store import GatewayStore
from chassis.clock import Clock
from chassis.errors import Conflict, Unavailable
from contracts.instances import InstanceDocument

_TRIES = 5
"""Members may be taken by others between looking and claiming; then a start is a start."""


class Admission:
    """All of a request becomes durable, or none of it."""

    def __init__(
        self,
        documents: GatewayStore,
        store: PoolStore,
        pools: Pools,
        intake: Intake,
        clock: Clock,
    ) -> None:
        self._documents = documents
        self._store = store
        self._pools = pools
        self._intake = intake
        self._clock = clock

    async def admit(
        self, documents: Sequence[InstanceDocument], key: Remembered | None = None
    ) -> Sequence[str]:
        """The ids: of members claimed instead of the first of these, and of the others.

        ``key``: what is to be remembered, its ids aside; Conflict when it was used meanwhile.
        """
        for _ in range(_TRIES):
            members = await self._find(documents)
            if not members:
                break
            rest = documents[len(members) :]
            ids = tuple(document.id for document in (*members, *rest))
            try:
                await self._claim(members, documents, _standing_for(key, ids))
            except Conflict:
                if key is not None and await self._documents.remembered(key.id) is not None:
                    raise
            else:
                return ids
        ids = tuple(document.id for document in documents)
        remembered = _standing_for(key, ids)
        if remembered is None:
            await self._intake.accept(documents)
        else:
            await self._intake.accept_once(documents, remembered)
        return ids

    async def _find(self, documents: Sequence[InstanceDocument]) -> list[InstanceDocument]:
        """Any of the members that fit, so that requests of one moment seldom want the same."""
        wish = documents[0].spec
        if not claimable(wish):
            return []
        if not self._pools.loaded:
            await self._store.reread()
        if wish.template.id not in self._pools.templates:
            return []
        ready = await self._store.ready(wish.template.digest)
        fitting = [member for member in ready if serves(member.spec, wish)]
        return random.sample(fitting, min(len(fitting), len(documents)))

    async def _claim(
        self,
        members: Sequence[InstanceDocument],
        documents: Sequence[InstanceDocument],
        remembered: Remembered | None,
    ) -> None:
        """One transaction; Conflict when a member was taken or died meanwhile, too."""
        wish, rest = documents[0].spec, documents[len(members) :]
        change = claimed(wish, self._clock.now())
        ids = [member.id for member in members]
        try:
            await self._documents.insert_together(
                rest, remembered, [claim(member, change) for member in members]
            )
        except Unavailable:
            if remembered is None:
                self._intake.withdraw_soon([*ids, *(d.id for d in rest)], wish.start_request_id)
            raise
        self._intake.announce(rest)
        with contextlib.suppress(Unavailable):  # the scheduler's sweep finds what was claimed
            self._intake.announce(await self._documents.instances(ids))


def _standing_for(key: Remembered | None, ids: tuple[str, ...]) -> Remembered | None:
    return None if key is None else msgspec.structs.replace(key, instance_ids=ids)
