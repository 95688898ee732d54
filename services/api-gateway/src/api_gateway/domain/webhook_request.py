"""What may be wished of a webhook, read from a request."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from api_gateway.domain.fields import BadField, Fields
from api_gateway.domain.http_url import split_http_url
from contracts.events import EventKind
from contracts.webhooks import KEY_PREFIX, EndpointSpec, Mode, Secret

MASK = "***"
KINDS = tuple(kind for kind in EventKind if kind is not EventKind.WEBHOOK_TEST)
"""What it may get: a test comes whatever it gets."""

LONGEST_URL = 2048
LONGEST_DESCRIPTION = 1000
LONGEST_OVERLAP = 30 * 86_400
SECRET = (
    f"{KEY_PREFIX}([A-Za-z0-9+/]{{4}}){{8,20}}([A-Za-z0-9+/]{{4}}([A-Za-z0-9+/]{{2}}==)?"
    "|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
)
"""A pattern of the whole text: the base64 of 24 to 64 bytes."""

_MODES = tuple(Mode)
_OVERLAP = 86_400
_SECRET = re.compile(SECRET)


def read_new(fields: Fields, secret: str) -> EndpointSpec:
    """The wish for a new endpoint; ``secret`` is its key unless it brings one. BadField."""
    fields.required_text("url")
    given = read_changes(fields)
    chosen = read_secret(fields) or secret
    return EndpointSpec(**given, secrets=(Secret(value=chosen),))


def read_changes(fields: Fields) -> Mapping[str, Any]:
    """What is given, under the names of the spec. BadField."""
    mode = fields.choice("mode", _MODES)
    given = {
        "url": _url(fields),
        "description": _description(fields),
        "kinds": _kinds(fields),
        "mode": None if mode is None else Mode(mode),
        "enabled": fields.flag("enabled"),
    }
    return {name: value for name, value in given.items() if value is not None}


def read_secret(fields: Fields) -> str | None:
    """A key that the caller brings: ``whsec_`` and the base64 of 24 to 64 bytes. BadField."""
    text = fields.text("secret")
    if text is None:
        return None
    if not _SECRET.fullmatch(text):
        raise fields.bad("secret", f"{KEY_PREFIX} and the base64 of 24 to 64 bytes")
    return text


def rotated(secrets: tuple[Secret, ...], new: str, fields: Fields, now: datetime) -> list[Secret]:
    """The new key, and the one before it for ``overlap`` more seconds (a day). BadField."""
    overlap = fields.integer("overlap", 0, LONGEST_OVERLAP)
    until = now + timedelta(seconds=_OVERLAP if overlap is None else overlap)
    kept = [Secret(value=known.value, until=until) for known in secrets if known.until is None]
    return [Secret(value=new), *kept]


def masked(url: str) -> str:
    """The URL without the password in it."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, host = parts.netloc.rsplit("@", 1)
    return parts._replace(netloc=f"{user.partition(':')[0]}:{MASK}@{host}").geturl()


def _url(fields: Fields) -> str | None:
    text = fields.text("url")
    if text is None:
        return None
    parts = split_http_url(text)
    if parts is None or len(text) > LONGEST_URL or not text.isascii() or not text.isprintable():
        raise fields.bad("url", "an http or https address")
    if parts.fragment:
        raise fields.bad("url", "an address without a fragment")
    if parts.password == MASK:
        raise fields.bad("url", "the password itself: it is not shown, and cannot be repeated")
    return text


def _description(fields: Fields) -> str | None:
    text = fields.text_as_given("description")
    if text is not None and len(text) > LONGEST_DESCRIPTION:
        raise fields.bad("description", f"at most {LONGEST_DESCRIPTION} characters")
    return text


def _kinds(fields: Fields) -> tuple[str, ...] | None:
    """Names of kinds; an empty array stands for all."""
    if "kinds" not in fields:
        return None
    if fields.is_empty_array("kinds"):
        return ()
    kinds = fields.texts("kinds")
    if unknown := sorted(set(kinds).difference(KINDS)):
        raise BadField("kinds", f"kinds of event, not {', '.join(unknown)}")
    return kinds
