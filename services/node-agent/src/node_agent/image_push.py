"""An image that a driver has made becomes a tag in a registry: blobs that are missing, manifest."""

from collections.abc import Callable

import msgspec

from contracts.artifacts import (
    CONFIG_TYPE,
    TAG_ANNOTATION,
    TEMPLATE_TYPE,
    Descriptor,
    Manifest,
    digest_of,
    reference_of,
)
from contracts.images import PushImage
from corral.registry import RegistryClient, RegistryError
from node_agent.drivers.port import SavedImage

_ROUNDS = 3
_UNKNOWN_BLOB = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})


class ImagePush:
    """One image on its way. ``moved`` is told the share 0..1 that is there."""

    def __init__(
        self,
        client: RegistryClient,
        order: PushImage,
        image: SavedImage,
        moved: Callable[[float], None],
    ) -> None:
        self._client = client
        self._order = order
        self._image = image
        self._moved = moved
        self.config = msgspec.structs.replace(
            image.config, name=order.template_name, description=order.description
        )
        content = msgspec.json.encode(self.config)
        config = Descriptor(media_type=CONFIG_TYPE, digest=digest_of(content), size=len(content))
        self.files = {**image.files, config.digest: content}
        self.manifest = Manifest(
            artifact_type=TEMPLATE_TYPE,
            config=config,
            layers=image.layers,
            annotations={TAG_ANNOTATION: order.tag},
        )
        self.content = msgspec.json.encode(self.manifest)

    async def push(self) -> str:
        """Have the tag in the registry; the manifest's digest. Raises RegistryError.

        A revert, or a garbage collection meanwhile, may take blobs away that were there.
        """
        order, reference = self._order, reference_of(self._order.tag)
        await self._push_blobs()
        if order.revert_number is not None:
            await self._client.revert(order.template_id, order.revert_number)
            await self._push_blobs()
        for _ in range(_ROUNDS - 1):
            try:
                return await self._push_manifest(reference)
            except RegistryError as error:
                if error.code not in _UNKNOWN_BLOB:
                    raise
            await self._push_blobs()
        return await self._push_manifest(reference)

    async def _push_manifest(self, reference: str) -> str:
        return await self._client.push_manifest(self._order.repository, reference, self.content)

    async def _push_blobs(self) -> None:
        blobs = self.manifest.blobs
        total = sum(blob.size for blob in blobs) or 1
        done = 0

        def moved(count: int) -> None:
            nonlocal done
            done += count
            self._moved(min(1.0, done / total))

        for blob in blobs:
            before = done
            await self._push_blob(blob, moved)
            moved(before + blob.size - done)

    async def _push_blob(self, blob: Descriptor, moved: Callable[[int], None]) -> None:
        client, repository, source = self._client, self._order.repository, self._image.repository
        if await client.has_blob(repository, blob.digest):
            return
        elsewhere = source and source != repository
        if elsewhere and await client.mount_blob(repository, blob.digest, source):
            return
        await client.push_blob(repository, blob.digest, self.files[blob.digest], moved)
