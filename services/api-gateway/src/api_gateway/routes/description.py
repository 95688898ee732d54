"""``/openapi.json``, ``/asyncapi.json`` and ``/docs``: what the API and the messages look like.

Open to everybody: it tells the version and which calls there are, and nothing of what is in this
cloud; a browser asks for it without credentials.
"""

import asyncio
from collections.abc import Callable
from functools import cache, partial
from hashlib import sha256
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from api_gateway.asyncapi.document import document as messages
from api_gateway.openapi.document import Table, document
from api_gateway.operation import JSON, Operation, operation
from api_gateway.replies import Reply, tagged
from api_gateway.requests.values import Conditional
from api_gateway.routes.lists import KNOWN_HEADER
from api_gateway.web import Call, Routes
from chassis.errors import NotFound

_PAGE = resources.files("api_gateway") / "page"
_KINDS = {"page.js": "text/javascript", "page.css": "text/css"}
_HTML = "text/html"
_SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_TAGGED = {"ETag": "Names this content, for ``If-None-Match``."}


class Verbose(msgspec.Struct, kw_only=True):
    """With it every check is named."""

    verbose: str | None = None


PROBES: Table = {
    "/livez": {
        "GET": Operation(
            answer=str, media=("text/plain",), bare=True, summary="200 while the process answers."
        )
    },
    "/readyz": {
        "GET": Operation(
            answer=str,
            query=Verbose,
            media=("text/plain",),
            bare=True,
            codes={503: "A check fails; the text names it."},
            summary="200 when every check passes.",
        )
    },
}


class DescriptionRoutes:
    """Describes ``routes``, itself and what stands beside them."""

    def __init__(self, routes: Routes, beside: Table, version: str, *, guarded: bool) -> None:
        described: Table = {**routes, **self.table(), **beside, **PROBES}
        self._openapi = MadeOnce(partial(document, described, version, guarded=guarded))
        self._asyncapi = MadeOnce(partial(messages, version))

    def table(self) -> Routes:
        """Path to verb to function."""
        return {
            "/openapi.json": {"GET": self.openapi},
            "/asyncapi.json": {"GET": self.asyncapi},
            "/docs": {"GET": self.page},
            "/docs/{file}": {"GET": self.file},
        }

    @operation(dict[str, Any], headers=Conditional, sends=_TAGGED, bare=True)
    async def openapi(self, call: Call) -> Reply:
        """This document: OpenAPI 3.1 of every call that this gateway answers."""
        return _answer(call, await self._openapi.file())

    @operation(dict[str, Any], headers=Conditional, sends=_TAGGED, bare=True)
    async def asyncapi(self, call: Call) -> Reply:
        """AsyncAPI 3 of the messages between services, and of what webhooks get."""
        return _answer(call, await self._asyncapi.file())

    @operation(str, headers=Conditional, sends=_TAGGED, bare=True, media=(_HTML,))
    async def page(self, call: Call) -> Reply:
        """A page to read both documents on, without anything from elsewhere."""
        return _answer(call, _read("page.html", _HTML))

    @operation(str, headers=Conditional, sends=_TAGGED, media=tuple(_KINDS.values()))
    async def file(self, call: Call) -> Reply:
        """What that page consists of: ``page.js`` and ``page.css``."""
        name = call.path("file")
        if name not in _KINDS:
            raise NotFound
        return _answer(call, _read(name, _KINDS[name]))


class _File(NamedTuple):
    """What is served as it is."""

    body: bytes
    digest: bytes
    kind: str

    @classmethod
    def of(cls, body: bytes, kind: str) -> "_File":
        return cls(body, sha256(body).digest(), kind)


class MadeOnce:
    """A JSON document that is made when first asked for.

    In a thread, since it takes a twentieth of a second; what was made is there at once.
    """

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._made: _File | None = None
        self._making = asyncio.Lock()

    async def file(self) -> _File:
        """The document."""
        if self._made is None:
            async with self._making:
                if self._made is None:
                    self._made = _File.of(await asyncio.to_thread(self._make), JSON)
        return self._made


@cache
def _read(name: str, kind: str) -> _File:
    return _File.of((_PAGE / name).read_bytes(), f"{kind}; charset=utf-8")


def _answer(call: Call, file: _File) -> Reply:
    headers = {**_SECURITY, "Content-Type": file.kind, "Cache-Control": "no-cache"}
    return tagged(call.header(KNOWN_HEADER), file.digest, lambda: file.body, headers)
