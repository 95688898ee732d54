"""Whether what a wish asks for can ever run in this cloud."""

from collections.abc import Collection, Iterable

from api_gateway.domain.honour import objection
from api_gateway.mac_store import MacStore
from api_gateway.reader import Reader
from chassis.errors import Refused
from contracts.instances import InstanceSpec


class Feasibility:
    """Asked before anything is accepted, of starts and of pools."""

    def __init__(self, reader: Reader, macs: MacStore) -> None:
        self._reader = reader
        self._macs = macs

    async def check(self, spec: InstanceSpec, count: int) -> None:
        """Refused when so many of these can never run, NotFound when a node or group is unknown."""
        if spec.overrides.mac_address is not None:
            await self._check_managed()
        reason = objection(spec, count, await self._candidates(spec))
        if reason is not None:
            raise Refused(reason)

    async def _check_managed(self) -> None:
        """Documented: an address may be asked for only where addresses are managed."""
        try:
            await self._macs.pool()
        except Refused as error:
            raise Refused(f"mac_address: {error}") from None

    async def _candidates(self, spec: InstanceSpec) -> Iterable[Collection[str]]:
        """Capabilities of the nodes that may take it; NotFound names what does not exist."""
        if spec.group_id is not None:
            await self._reader.group(spec.group_id)
        if spec.node_id is not None:
            node = await self._reader.node(spec.node_id)
            return [node.status.facts.capabilities]
        return self._reader.capabilities()
