"""Templates as they are changed: decide, commit with what must be said, publish."""

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import msgspec
import structlog

from chassis.clock import Clock
from chassis.errors import Conflict, NotFound, Refused
from chassis.store.port import Write
from contracts.artifacts import reference_of
from contracts.documents import Said
from contracts.events import EventHappened, EventKind, EventType, Scalar
from contracts.templates import TemplateChanged, TemplateDocument, TemplateRemoved, Version
from registry.domain import template as domain
from registry.outbox import Outbox, said
from registry.store import RegistryStore, drop_tags, drop_template, keep, put_template

_TRIES = 8
_MACHINE = socket.gethostname()
_log = structlog.get_logger()


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked, for the event log."""

    name: str = ""
    request_id: str = ""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision made of a template, and what is written and logged with it."""

    old: TemplateDocument | None
    new: TemplateDocument | None
    writes: Sequence[Write] = ()
    event: EventKind | None = None
    fields: dict[str, Scalar] = {}
    actor: Actor = Actor()


class Templates:
    """The only writer of the template documents."""

    def __init__(self, store: RegistryStore, outbox: Outbox, clock: Clock) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self.commits = 0
        """How often this process may have changed templates."""

    async def get(self, template_id: str) -> TemplateDocument:
        """One template; NotFound."""
        found = await self._store.template(template_id)
        if found is None:
            raise NotFound
        return found

    async def change(
        self,
        template_id: str,
        decide: Callable[[TemplateDocument | None], Awaitable[Change]],
    ) -> TemplateDocument | None:
        """Load, decide, commit; decided anew when somebody else was quicker."""
        for _ in range(_TRIES):
            change = await decide(await self._store.template(template_id))
            try:
                new = await self._commit(template_id, change)
            except Conflict:
                continue
            return new
        raise Conflict("the template is being changed by others all the time")

    async def revert(
        self, template_id: str, number: int, actor: Actor, *, keep: bool = False
    ) -> list[Version]:
        """Remove a version (but ``keep`` it) and every newer one, with their tags; what went.

        Raises NotFound and Refused.
        """
        gone: list[Version] = []

        async def decide(old: TemplateDocument | None) -> Change:
            if old is None:
                raise NotFound
            if domain.find(old, number=number) is None:
                raise Refused(f"Did not find version {number}")
            new = domain.reverted(old, number + keep)
            gone[:] = gone_tags(old, new)
            return _without(old, new, actor) if gone else Change(old=old, new=old)

        await self.change(template_id, decide)
        return gone

    async def remove(self, template_id: str, actor: Actor) -> None:
        """Remove a template with all its tags; NotFound."""

        async def decide(old: TemplateDocument | None) -> Change:
            if old is None:
                raise NotFound
            return _without(old, domain.reverted(old, 0), actor)

        await self.change(template_id, decide)

    async def set_arch(self, template_id: str, arch: str) -> None:
        """Correct the architecture; NotFound."""

        async def decide(old: TemplateDocument | None) -> Change:
            if old is None:
                raise NotFound
            return Change(old=old, new=msgspec.structs.replace(old, arch=arch))

        await self.change(template_id, decide)

    async def pulled(self, template_id: str, pulls: Mapping[str, datetime]) -> None:
        """Move the last pull of these digests on; fine when they are gone."""

        async def decide(old: TemplateDocument | None) -> Change:
            return Change(old=old, new=None if old is None else domain.pulled(old, pulls))

        await self.change(template_id, decide)

    async def _commit(self, template_id: str, change: Change) -> TemplateDocument | None:
        old, new = change.old, change.new
        now = self._clock.now()
        writes: list[Write] = []
        words: list[Said] = []
        revision: int | datetime = now
        if new is not old:
            assert new is not None
            revision = (old.revision if old is not None else new.revision) + 1
            new = msgspec.structs.replace(new, revision=revision)
            writes += _template_writes(old, new)
            words.append(_fact(new))
        if change.event is not None:
            event = _event(template_id, change, now)
            words.append(said(event, template_id, revision, str(change.event)))
        writes += [*change.writes, *keep(words, now)]
        if writes:
            try:
                await self._store.transact(writes)
            finally:
                self.commits += 1
        if words:
            self._outbox.kick()
        if new is not old and new is not None:
            _log.info(
                "template.changed", template=new.id, revision=new.revision, tags=len(new.versions)
            )
        return new if new is not None and new.versions else None


def gone_tags(old: TemplateDocument, new: TemplateDocument) -> list[Version]:
    """The versions that ``old`` has and ``new`` does not."""
    kept = {version.tag for version in new.versions}
    return [version for version in old.versions if version.tag not in kept]


def _without(old: TemplateDocument, new: TemplateDocument, actor: Actor) -> Change:
    references = [reference_of(version.tag) for version in gone_tags(old, new)]
    return Change(
        old=old,
        new=new,
        writes=[drop_tags(old.repository, references)],
        event=None if new.versions else EventKind.DELETE_REGISTRY_VM,
        fields={"template_id": old.id},
        actor=actor,
    )


def _template_writes(old: TemplateDocument | None, new: TemplateDocument) -> list[Write]:
    if new.versions:
        return [put_template(old, new)]
    return drop_template(old) if old is not None else []


def _fact(new: TemplateDocument) -> Said:
    if new.versions:
        return said(TemplateChanged(template=new), new.id, new.revision)
    removed = TemplateRemoved(template_id=new.id, revision=new.revision)
    return said(removed, new.id, new.revision)


def _event(template_id: str, change: Change, at: datetime) -> EventHappened:
    assert change.event is not None
    return EventHappened(
        kind=change.event,
        event_type=EventType.API,
        sub_type="templateAction",
        subject=template_id,
        at=at,
        machine=_MACHINE,
        actor=change.actor.name,
        request_id=change.actor.request_id,
        fields=change.fields,
    )
