"""``/api/v1/macaddr``: the pool of MAC addresses.

The page leaves the answers open. A count is a number, a list an array of addresses in order.
``last`` is the last address of the page before: the next one begins behind it.
"""

import msgspec

from api_gateway.domain.addresses import Addresses
from api_gateway.domain.fields import BadField, Fields
from api_gateway.domain.paging import MAX_LIMIT
from api_gateway.mac_store import MacStore
from api_gateway.operation import operation
from api_gateway.outgoing import Outgoing
from api_gateway.public import envelope
from api_gateway.requests.cloud import MacQuery
from api_gateway.resources import Resources
from api_gateway.web import Call, Routes
from contracts.macs import FillMacPool, PurgeMacPool, mac_number

_USUAL_PAGE = 500
_OFF = frozenset({"0", "false"})


class MacRoutes:
    """Counts and lists addresses; empties and fills the pool."""

    def __init__(self, store: MacStore, resources: Resources, outgoing: Outgoing) -> None:
        self._store = store
        self._resources = resources
        self._outgoing = outgoing

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/api/v1/macaddr": {"GET": self.get, "PUT": self.fill, "DELETE": self.purge},
        }

    @operation(int | list[str], query=MacQuery)
    async def get(self, call: Call) -> bytes:
        """How many addresses are available or in use; with ``limit`` or ``last`` which."""
        in_use = _is_on(call.query("in_use"))
        paged = call.query("limit") is not None or call.query("last") is not None
        if not (paged or in_use or _is_on(call.query("count"))):
            raise BadField("count", "count or in_use, or limit or last")
        limit, last = _page(call)
        pool = await self._store.pool()
        addresses = Addresses(pool, await self._resources.macs())
        if paged:
            return envelope.ok(msgspec.json.encode(addresses.page(last, limit, in_use=in_use)))
        return envelope.ok(msgspec.json.encode(addresses.count(in_use=in_use)))

    @operation()
    async def fill(self, call: Call) -> bytes:
        """Have all addresses of the configured range handed out again."""
        pool = await self._store.purge(call.actor, call.request_id, purged=False)
        self._outgoing.send([FillMacPool(generation=pool.generation, spec=pool.spec)])
        return envelope.OK

    @operation()
    async def purge(self, call: Call) -> bytes:
        """Hand out none until the next fill; VMs keep what they have."""
        pool = await self._store.purge(call.actor, call.request_id, purged=True)
        self._outgoing.send([PurgeMacPool(generation=pool.generation, spec=pool.spec)])
        return envelope.OK


def _is_on(value: str | None) -> bool:
    return value is not None and value.lower() not in _OFF


def _page(call: Call) -> tuple[int, int | None]:
    given = Fields({"limit": call.query("limit")})
    limit = given.integer("limit", 1, MAX_LIMIT, numeric_text=True) or _USUAL_PAGE
    text = call.query("last")
    last = None if text is None else mac_number(text)
    if text is not None and last is None:
        raise BadField("last", "a MAC address such as 00:00:00:00:FF:FF")
    return limit, last
