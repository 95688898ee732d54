"""Webhooks and their deliveries as the API shows them. Keys are never shown."""

from datetime import datetime

import msgspec

from api_gateway.domain.webhook_request import masked
from api_gateway.public.scalars import Moment
from contracts.webhooks import Attempt, Cause, EndpointDocument, Mode


class PublicWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """``state`` is Active, Failing (nothing arrives), Paused (``enabled`` is false) or Disabled
    (it failed for days, or answered 410: ``disabled_cause``). ``pending`` deliveries are open,
    ``given_up`` ones can be replayed. ``rotating_until``: a predecessor still signs too.
    """  # noqa: D205 -- one sentence for each field

    id: str
    url: str
    description: str
    kinds: tuple[str, ...]
    mode: Mode
    enabled: bool
    state: str
    created: Moment | None
    disabled_cause: Cause | None
    failing_since: Moment | None
    last_delivery: Moment | None
    rotating_until: Moment | None
    cursor: int
    pending: int
    given_up: int
    replays: int
    observed: bool
    secret: str | msgspec.UnsetType = msgspec.UNSET


def webhook(
    document: EndpointDocument, now: datetime, secret: str | msgspec.UnsetType = msgspec.UNSET
) -> bytes:
    """Encoded; ``secret`` only where it was just made."""
    spec, status = document.spec, document.status
    ends = [known.until for known in spec.secrets if known.until and known.until > now]
    cause = _disabled_cause(document)
    shown = PublicWebhook(
        id=document.id,
        url=masked(spec.url),
        description=spec.description,
        kinds=spec.kinds,
        mode=spec.mode,
        enabled=spec.enabled,
        state=_state(document, cause),
        created=document.created,
        disabled_cause=cause,
        failing_since=status.failing_since,
        last_delivery=status.delivered,
        rotating_until=max(ends, default=None),
        cursor=status.cursor,
        pending=len(status.open),
        given_up=len(status.given_up),
        replays=sum(replay.number > status.replayed for replay in spec.replays),
        observed=status.observed_generation >= document.generation,
        secret=secret,
    )
    return msgspec.json.encode(shown)


def attempt(known: Attempt) -> bytes:
    """One request and what came of it, every field always there."""
    return msgspec.json.encode({name: getattr(known, name) for name in Attempt.__struct_fields__})


def _disabled_cause(document: EndpointDocument) -> Cause | None:
    disabled = document.status.disabled
    return disabled.cause if disabled and disabled.revision == document.spec.revision else None


def _state(document: EndpointDocument, cause: Cause | None) -> str:
    if cause is not None:
        return "Disabled"
    if not document.spec.enabled:
        return "Paused"
    return "Failing" if document.status.failing_since else "Active"
