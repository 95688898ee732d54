"""Manifests and tags, and the templates that follow from them."""

import msgspec

from chassis.clock import Clock
from chassis.errors import NotFound
from chassis.store.port import Write
from contracts.artifacts import (
    DIGEST_PATTERN,
    TAG_ANNOTATION,
    digest_of,
    tag_of_reference,
    template_id_of,
)
from contracts.events import EventKind
from contracts.templates import TemplateDocument
from registry.admission import admit, admit_template
from registry.blobs import Blobs
from registry.domain import artifact
from registry.domain import template as domain
from registry.domain.artifact import Frame, WrongDigest
from registry.holdings import Holdings
from registry.store import (
    ManifestDocument,
    RegistryStore,
    TagDocument,
    drop_manifest,
    drop_tag,
    key,
    put_manifest,
    put_tag,
    relying_on,
)
from registry.templates import Actor, Change, Templates


class ManifestUnknown(NotFound):
    """The manifest is not known to the repository"""


class Catalog:
    """Pushes, resolves and deletes; a tag, its manifest and its template move in one commit."""

    def __init__(
        self,
        store: RegistryStore,
        holdings: Holdings,
        blobs: Blobs,
        templates: Templates,
        clock: Clock,
    ) -> None:
        self._store = store
        self._holdings = holdings
        self._blobs = blobs
        self._templates = templates
        self._clock = clock

    async def push(
        self, repository: str, reference: str, content: bytes, content_type: str, actor: Actor
    ) -> ManifestDocument:
        """Accept a manifest under a tag or its digest; BadManifest, WrongDigest, BlobsMissing."""
        frame = artifact.read(content, content_type)
        digest = digest_of(content)
        by_digest = DIGEST_PATTERN.fullmatch(reference) is not None
        if by_digest and reference != digest:
            raise WrongDigest(f"the content is {digest}, not {reference}")
        await self._admit(repository, frame)
        document = self._document(repository, digest, content, frame)
        push = await self._template_push(document, frame, "" if by_digest else reference)
        tag = None if by_digest else self._tag(document, frame, reference)
        decision = _Decision(document, tag, push, actor, self._relying_on(document))

        async def decide(old: TemplateDocument | None) -> Change:
            if decision.asked:  # what it relies on may be gone
                await self._admit(repository, frame)
            return decision(old)

        await self._templates.change(template_id_of(repository), decide)
        return document

    async def find(self, repository: str, reference: str) -> ManifestDocument:
        """The manifest behind a tag or digest; ManifestUnknown."""
        digest = reference
        if DIGEST_PATTERN.fullmatch(reference) is None:
            tag = await self._store.tag(repository, reference)
            if tag is None:
                raise ManifestUnknown
            digest = tag.digest
        manifest = await self._store.manifest(repository, digest)
        if manifest is None:
            raise ManifestUnknown
        return manifest

    async def delete(self, repository: str, reference: str, actor: Actor) -> None:
        """Remove a tag, or a manifest with every tag on it; ManifestUnknown.

        The writes notice what moves after the tag or manifest was read, so the template is read
        after it: no version, and no tag, is left without its manifest.
        """
        identity = template_id_of(repository)

        async def decide(_: TemplateDocument | None) -> Change:
            end = await self._end(repository, reference)
            old = await self._store.template(identity)
            new = old and domain.without(old, end.digest, end.tag)
            if old is None or new is None or new.versions == old.versions:
                return Change(old=old, new=old, writes=end.writes)
            return Change(
                old=old,
                new=new,
                writes=end.writes,
                event=None if new.versions else EventKind.DELETE_REGISTRY_VM,
                fields={"template_id": old.id},
                actor=actor,
            )

        await self._templates.change(identity, decide)

    async def _end(self, repository: str, reference: str) -> "_End":
        if DIGEST_PATTERN.fullmatch(reference) is not None:
            manifest = await self._store.manifest(repository, reference)
            if manifest is None:
                raise ManifestUnknown
            return _End(digest=reference, tag=None, writes=drop_manifest(manifest))
        tag = await self._store.tag(repository, reference)
        if tag is None:
            raise ManifestUnknown
        return _End(digest=tag.digest, tag=tag.tag, writes=drop_tag(tag))

    async def _admit(self, repository: str, frame: Frame) -> None:
        await admit(self._store, self._holdings, self._blobs, repository, frame)

    def _relying_on(self, document: ManifestDocument) -> list[Write]:
        """All that the manifest refers to is still there when it is committed."""
        return [
            *self._holdings.relying_on(document.repository, document.blobs),
            *relying_on(document.repository, document.children),
        ]

    def _document(
        self, repository: str, digest: str, content: bytes, frame: Frame
    ) -> ManifestDocument:
        return ManifestDocument(
            id=key(repository, digest),
            repository=repository,
            digest=digest,
            media_type=frame.media_type,
            artifact_type=frame.kind,
            content=content,
            blobs=tuple(blob.digest for blob in frame.blobs),
            children=tuple(child.digest for child in frame.manifests),
            subject=frame.subject.digest if frame.subject else "",
            size=len(content),
            descriptor=artifact.descriptor(frame, digest, len(content)),
            pushed=self._clock.now(),
        )

    def _tag(self, document: ManifestDocument, frame: Frame, reference: str) -> TagDocument:
        return TagDocument(
            id=key(document.repository, reference),
            repository=document.repository,
            reference=reference,
            tag=tag_of_reference(reference, frame.annotations.get(TAG_ANNOTATION, "")),
            digest=document.digest,
            pushed=document.pushed,
        )

    async def _template_push(
        self, document: ManifestDocument, frame: Frame, reference: str
    ) -> domain.Push | None:
        """What the push means to a template; checked even where no tag makes it a version."""
        if not frame.is_template:
            return None
        manifest, config = await admit_template(self._blobs, document.repository, document.content)
        if not reference:
            return None
        return domain.Push(
            repository=document.repository,
            tag=self._tag(document, frame, reference).tag,
            digest=document.digest,
            manifest=manifest,
            config=config,
            at=document.pushed,
        )


class _End(msgspec.Struct, frozen=True, kw_only=True):
    """What a removal takes: a manifest, or only one ``tag`` on it."""

    digest: str
    tag: str | None
    writes: list[Write]


class _Decision(msgspec.Struct):
    """What a push makes of the template; asked again when another push was quicker."""

    document: ManifestDocument
    tag: TagDocument | None
    push: domain.Push | None
    actor: Actor
    relied_on: list[Write]
    asked: bool = False

    def __call__(self, old: TemplateDocument | None) -> Change:
        """The change, from the template as it is now."""
        self.asked = True
        writes = [*self.relied_on, put_manifest(self.document)]
        if self.tag is not None:
            writes.append(put_tag(self.tag))
        if self.push is None:
            new = old
            if old is not None and self.tag is not None:
                untagged = domain.untagged(old, [self.tag.tag])
                new = old if untagged.versions == old.versions else untagged
            return Change(old=old, new=new, writes=writes)
        new = domain.pushed(old, self.push)
        latest = new.versions[-1]
        repeat = old is not None and new.next_number == old.next_number
        return Change(
            old=old,
            new=new,
            writes=writes,
            event=None if repeat else EventKind.TEMPLATE_PUSHED,
            fields={"template_id": new.id, "tag": latest.tag, "version": latest.number},
            actor=self.actor,
        )
