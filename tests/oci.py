"""An OCI registry as its specification shows it: one repository over plain HTTP."""

import hashlib
import io
import re
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec
from yarl import URL

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
OCTETS = "application/octet-stream"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
ACCEPTED = f"{MANIFEST}, {INDEX}, {DOCKER}, {DOCKER_LIST}, */*"

ABSENT = f"sha256:{'0' * 64}"
SHA512 = f"sha512:{'0' * 128}"

_CODE = re.compile(r"[A-Z_]+")


class Answer(msgspec.Struct):
    """What came back, read whole. ``location`` is absolute."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    location: URL

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def refused(self) -> tuple[int, str]:
        """Status and code of an error, whose body must be as the specification has it."""
        assert self.headers["Content-Type"].startswith("application/json")
        errors = self.json["errors"]
        assert errors
        assert all(_CODE.fullmatch(error["code"]) for error in errors)
        assert all(isinstance(error["message"], str) for error in errors)
        return self.status, errors[0]["code"]

    @property
    def next_page(self) -> URL | None:
        """Where the Link header leads."""
        link = self.headers.get("Link")
        if link is None:
            return None
        found = re.fullmatch(r'<([^>]+)>; rel="next"', link)
        assert found, link
        return self.location.join(URL(found[1], encoded=True))


class Repository:
    """One repository, a fresh one unless named. ``root`` is the registry's entry."""

    def __init__(self, http: aiohttp.ClientSession, address: str, name: str = "") -> None:
        self.name = name or f"conformance/{uuid.uuid4().hex}"
        self.root = URL(f"{address.rstrip('/')}/v2/")
        self._http = http
        self._address = address

    def other(self, name: str = "") -> "Repository":
        """Another one in the same registry."""
        return Repository(self._http, self._address, name)

    def url(self, path: str) -> URL:
        """Where something of the repository stands."""
        return URL(f"{self.root}{self.name}/{path}", encoded="%" in path)

    async def ask(self, method: str, where: str | URL, **more: Any) -> Answer:
        """One request; ``where`` is a path in the repository, or a URL that the registry named."""
        if isinstance(where, str):
            where = self.url(where)
        headers = {"Accept": ACCEPTED} | more.pop("headers", {})
        async with self._http.request(method, where, headers=headers, **more) as response:
            body = await response.read()
            told = response.headers.get("Location")
            location = response.url.join(URL(told, encoded=True)) if told else response.url
            return Answer(response.status, response.headers, body, location)

    async def begin(self) -> URL:
        """Open an upload; where it goes on."""
        answer = await self.ask("POST", "blobs/uploads/")
        assert answer.status == 202
        return answer.location

    async def chunk(self, where: URL, content: bytes, start: int) -> Answer:
        """Send one chunk that begins at ``start``."""
        headers = {"Content-Range": f"{start}-{start + len(content) - 1}", "Content-Type": OCTETS}
        return await self.ask("PATCH", where, data=content, headers=headers)

    async def finish(self, where: URL, digest: str, content: bytes = b"", **headers: str) -> Answer:
        """Close an upload, perhaps with the last piece."""
        target = where.update_query(digest=digest)
        return await self.ask(
            "PUT", target, data=content, headers={"Content-Type": OCTETS} | headers
        )

    async def blob(self, content: bytes, media_type: str = LAYER) -> dict[str, Any]:
        """Push a blob; its descriptor."""
        answer = await self.finish(await self.begin(), digest_of(content), content)
        assert answer.status == 201, answer.body
        return descriptor(content, media_type)

    async def manifest(self, *layers: bytes, **fields: Any) -> dict[str, Any]:
        """A manifest whose blobs are there; ``fields`` are added or replaced."""
        described = [await self.blob(layer) for layer in layers]
        config = await self.blob(b"{}", EMPTY)
        body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": described}
        return body | fields

    async def put(self, reference: str, manifest: Any, media_type: str = MANIFEST) -> Answer:
        """Push a manifest, given as bytes or as what JSON makes of it."""
        content = manifest if isinstance(manifest, bytes) else msgspec.json.encode(manifest)
        headers = {"Content-Type": media_type} if media_type else {}
        skip = () if media_type else ("Content-Type",)
        return await self.ask(
            *("PUT", f"manifests/{reference}"),
            data=io.BytesIO(content),
            headers=headers,
            skip_auto_headers=skip,
        )

    async def tagged(self, *tags: str, **fields: Any) -> dict[str, Any]:
        """Push one small manifest under each tag; its descriptor."""
        content = msgspec.json.encode(await self.manifest(b"layer", **fields))
        for tag in tags or (digest_of(content),):
            answer = await self.put(tag, content)
            assert answer.status == 201, answer.body
        return descriptor(content, MANIFEST)


def digest_of(content: bytes) -> str:
    """The sha256 digest."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    """What refers to some content."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


async def pieces(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """The content as a body of unknown length."""
    for start in range(0, len(content), size):
        yield content[start : start + size]
