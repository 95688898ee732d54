"""What is asked of instances without changing them."""

from collections.abc import Callable

from api_gateway.domain.paging import last, read_page, whole_number
from api_gateway.domain.revision import MAX_WAIT, Revision, read_revision
from api_gateway.domain.selection import InstanceSelection
from api_gateway.entries import InstanceEntry
from api_gateway.operation import operation
from api_gateway.public import envelope
from api_gateway.public.explanation import Explanation, explanation
from api_gateway.public.instances import Vm, Wrapper
from api_gateway.reader import Reader
from api_gateway.replies import Reply, is_known, tagged
from api_gateway.requests.instances import InstanceQuery
from api_gateway.requests.values import ById, Conditional
from api_gateway.routes.lists import KNOWN_HEADER, LISTED, listed
from api_gateway.web import Call

REVISION_HEADER = "X-Corral-Revision"


class InstanceReads:
    """``GET /api/v1/vm``, of which filters, pages, ETags and waiting are ours, and ``explain``."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    @operation(
        (Vm, list[Wrapper]),
        query=InstanceQuery,
        headers=Conditional,
        sends=LISTED | {REVISION_HEADER: "With ``id``: how far the instance has moved."},
    )
    async def get(self, call: Call) -> Reply:
        """One instance, flat, or all, wrapped; those that a pool keeps with ``pool`` only."""
        identity, pool = call.query("id"), call.query("pool")
        if identity is not None:
            return await self._one(call, identity)
        selection, page = InstanceSelection(call.queries), read_page(call.queries)
        return listed(call, await self._reader.instances(selection, page, pool))

    @operation(Explanation, query=ById)
    async def explain(self, call: Call) -> bytes:
        """Why an instance waits, and what would change it."""
        entry = await self._reader.instance(call.required_query("id"))
        groups = {group.id: group for group in await self._reader.groups()}
        return envelope.ok(explanation(entry.id, entry.spec, entry.status, groups))

    async def _one(self, call: Call, identity: str) -> Reply:
        """With ``wait`` (seconds) the answer comes when there is news, or when they are over.

        News is what moved beyond ``revision``, else what ``If-None-Match`` does not name, else
        whatever comes next.
        """
        entry = await self._reader.instance(identity)
        wait = last(call.queries, "wait")
        if wait is not None:
            seconds = whole_number("wait", wait, 0, MAX_WAIT)
            old = self._known(call, entry)
            entry = await self._reader.instance_after(entry, old, seconds)
        flat = self._reader.flat(entry)
        headers = {REVISION_HEADER: str(_revision(entry))}
        known = call.header(KNOWN_HEADER)
        return tagged(known, entry.digest, lambda: envelope.ok(flat), headers)

    def _known(self, call: Call, entry: InstanceEntry) -> Callable[[InstanceEntry], bool]:
        """What the caller knows already."""
        given, etag = last(call.queries, "revision"), call.header(KNOWN_HEADER)
        if given is None and etag is not None:
            return lambda now: bool(self._reader.flat(now)) and is_known(etag, now.digest)
        seen = _revision(entry) if given is None else read_revision(given)
        return lambda now: not _revision(now).moved_from(seen)


def _revision(entry: InstanceEntry) -> Revision:
    return Revision(entry.generation, entry.status_revision)
