"""The registry's documents, and the questions asked of them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from chassis.store.port import Delete, Index, Insert, Store, Update, Write, plain
from contracts.documents import Said
from contracts.nodes import NodeDocument
from contracts.templates import TemplateDocument

TEMPLATES = "templates"
MANIFESTS = "manifests"
TAGS = "tags"
OUTBOX = "registry_outbox"
NODES = "nodes"

INDEXES = (
    Index(collection=TEMPLATES, keys=(("repository", 1),)),
    Index(collection=TEMPLATES, keys=(("_id", 1), ("revision", 1))),
    Index(collection=MANIFESTS, keys=(("repository", 1), ("blobs", 1))),
    Index(collection=MANIFESTS, keys=(("repository", 1), ("subject", 1), ("digest", 1))),
    Index(collection=TAGS, keys=(("repository", 1), ("reference", 1)), unique=True),
    Index(collection=TAGS, keys=(("repository", 1), ("digest", 1))),
    Index(collection=OUTBOX, keys=(("at", 1),)),
)


class ManifestDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest in a repository, its bytes as pushed. ``blobs``: digests it refers to.

    ``children`` are the manifests of an index. ``size`` of ``content`` in bytes; ``descriptor``
    is the JSON that lists of referrers show. ``revision`` grows with every push and with every
    index that relies on it. ``orphaned``: since when nothing reaches it (see domain/garbage.py).
    """

    id: str = msgspec.field(name="_id")
    repository: str
    digest: str
    media_type: str
    artifact_type: str
    content: bytes
    blobs: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    subject: str = ""
    size: int = 0
    descriptor: bytes = b""
    pushed: datetime
    revision: int = 0
    orphaned: datetime | None = None


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest without its content."""

    digest: str
    size: int = 0
    descriptor: bytes = b""


_DESCRIBED = tuple(field.name for field in msgspec.structs.fields(Described))


class TagDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An OCI reference and the digest it points to; ``tag`` is what people call it."""

    id: str = msgspec.field(name="_id")
    repository: str
    reference: str
    tag: str
    digest: str
    pushed: datetime


class SaidDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the bus has not confirmed yet."""

    id: str = msgspec.field(name="_id")
    at: datetime
    said: Said


class RegistryStore:
    """Typed questions over the store port; documents are addressed within their repository."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def start(self) -> None:
        """Make sure the indexes exist."""
        await self._store.start(INDEXES)

    async def stop(self) -> None:
        """Nothing: whoever opened the store closes it."""

    async def transact(self, writes: Sequence[Write]) -> None:
        """All or nothing; Conflict when a document has moved on."""
        await self._store.transact(writes)

    async def template(self, template_id: str) -> TemplateDocument | None:
        """One template."""
        return await self._store.get(TEMPLATES, TemplateDocument, template_id)

    async def manifest(self, repository: str, digest: str) -> ManifestDocument | None:
        """A manifest by digest."""
        return await self._store.get(MANIFESTS, ManifestDocument, key(repository, digest))

    async def has_manifests(self, repository: str) -> bool:
        """Whether anything was ever pushed there and is still there."""
        return await self._store.count(MANIFESTS, {"repository": repository}) > 0

    async def manifest_sizes(self, repository: str, digests: Iterable[str]) -> dict[str, int]:
        """Bytes of those of these manifests that the repository has."""
        keys = [key(repository, digest) for digest in digests]
        where = {"_id": {"$in": keys}}
        found = await self._store.find(MANIFESTS, Described, where, fields=_DESCRIBED)
        return {manifest.digest: manifest.size for manifest in found}

    async def referring(
        self, repository: str, subject: str, *, kind: str = "", after: str = "", limit: int = 0
    ) -> list[Described]:
        """Manifests whose subject is this digest, by digest; of one artifact type if given."""
        where: dict[str, object] = {"repository": repository, "subject": subject}
        if kind:
            where["artifact_type"] = kind
        if after:
            where["digest"] = {"$gt": after}
        return await self._store.find(
            MANIFESTS, Described, where, sort=(("digest", 1),), limit=limit, fields=_DESCRIBED
        )

    async def is_used(self, repository: str, digest: str) -> bool:
        """Whether a manifest of the repository refers to this blob."""
        return await self._store.count(MANIFESTS, {"repository": repository, "blobs": digest}) > 0

    async def tag(self, repository: str, reference: str) -> TagDocument | None:
        """A tag by its OCI reference."""
        return await self._store.get(TAGS, TagDocument, key(repository, reference))

    async def tags(
        self, repository: str, *, after: str = "", limit: int = 0, digest: str = ""
    ) -> list[TagDocument]:
        """Tags in byte order of their references; those of one ``digest`` when it is given."""
        where: dict[str, object] = {"repository": repository}
        if after:
            where["reference"] = {"$gt": after}
        if digest:
            where["digest"] = digest
        return await self._store.find(
            TAGS, TagDocument, where, sort=(("reference", 1),), limit=limit
        )

    async def nodes(self, ids: Sequence[str]) -> list[NodeDocument]:
        """These nodes; read only, they are the scheduler's."""
        return await self._store.find(NODES, NodeDocument, {"_id": {"$in": list(ids)}})

    async def unsaid(self, limit: int) -> list[SaidDocument]:
        """The oldest messages that are still to be confirmed."""
        return await self._store.find(OUTBOX, SaidDocument, {}, sort=(("at", 1),), limit=limit)

    async def confirmed(self, ids: Sequence[str]) -> None:
        """Forget messages that the bus has."""
        await self._store.write([Delete(collection=OUTBOX, where={"_id": {"$in": list(ids)}})])


def at(revision: int) -> object:
    """A filter for a ``revision``; documents from before there was one have none."""
    return revision or {"$in": [0, None]}


def key(repository: str, name: str) -> str:
    """The id of a manifest, tag or link: no ``@`` can stand in a repository or name."""
    return f"{repository}@{name}"


def keep(said: Sequence[Said], at: datetime) -> list[Write]:
    """The writes that put messages into the outbox."""
    return [
        Insert(collection=OUTBOX, document=SaidDocument(id=item.id, at=at, said=item))
        for item in said
    ]


def put_template(old: TemplateDocument | None, new: TemplateDocument) -> Write:
    """The write that replaces ``old``, provided nobody else did meanwhile."""
    if old is None:
        return Insert(collection=TEMPLATES, document=new)
    fields = plain(new)
    fields.pop("_id")
    literal = {name: {"$literal": value} for name, value in fields.items()}
    return Update(
        collection=TEMPLATES,
        where={"_id": old.id, "revision": old.revision},
        change=[{"$replaceWith": {"_id": old.id} | literal}],
    )


def drop_template(old: TemplateDocument) -> list[Write]:
    """The writes that remove a template, provided nobody changed it meanwhile.

    A removal that matches nothing is no failure for the store, an update is: so it goes first.
    """
    mine = {"_id": old.id, "revision": old.revision}
    claim = Update(collection=TEMPLATES, where=mine, change={"$inc": {"revision": 1}})
    return [claim, Delete(collection=TEMPLATES, where={"_id": old.id})]


def put_manifest(manifest: ManifestDocument) -> Write:
    """The write that adds a manifest, or moves its push date."""
    fields = plain(manifest)
    fields.pop("_id")
    fields.pop("revision")
    return _upsert(MANIFESTS, manifest.id, {"$set": fields, "$inc": {"revision": 1}})


def relying_on(repository: str, digests: Iterable[str]) -> list[Write]:
    """The writes that make a commit fail with Conflict unless these manifests are there."""
    return [
        Update(
            collection=MANIFESTS,
            where={"_id": key(repository, digest)},
            change={"$set": {"orphaned": None}, "$inc": {"revision": 1}},
        )
        for digest in sorted(set(digests))
    ]


def put_tag(tag: TagDocument) -> Write:
    """The write that points a tag to its digest."""
    fields = plain(tag)
    fields.pop("_id")
    return _upsert(TAGS, tag.id, {"$set": fields})


def drop_manifest(manifest: ManifestDocument) -> list[Write]:
    """The writes that remove a manifest and every tag on it, provided nobody pushed it meanwhile.

    Whoever points a tag to a manifest writes the manifest too: so no tag is overlooked.
    """
    mine = {"_id": manifest.id, "revision": at(manifest.revision)}
    tagged = {"repository": manifest.repository, "digest": manifest.digest}
    return [
        Update(collection=MANIFESTS, where=mine, change={"$inc": {"revision": 1}}),
        Delete(collection=MANIFESTS, where={"_id": manifest.id}),
        Delete(collection=TAGS, where=tagged),
    ]


def drop_tag(tag: TagDocument) -> list[Write]:
    """The writes that remove a tag, provided nobody moved it meanwhile."""
    mine = {"_id": tag.id, "digest": tag.digest, "pushed": tag.pushed}
    claim = Update(collection=TAGS, where=mine, change={"$set": {"digest": ""}})
    return [claim, Delete(collection=TAGS, where={"_id": tag.id})]


def drop_tags(repository: str, references: Iterable[str]) -> Write:
    """The write that removes tags."""
    keys = [key(repository, reference) for reference in references]
    return Delete(collection=TAGS, where={"_id": {"$in": keys}})


def _upsert(collection: str, identity: str, change: dict[str, object]) -> Write:
    return Update(
        collection=collection,
        where={"_id": identity},
        change=change,
        required=False,
        upsert=True,
    )
