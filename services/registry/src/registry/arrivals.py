"""How content becomes a blob of a repository: uploaded, or mounted from another one."""

from registry.holdings import Holdings
from registry.room import OverQuota, Room
from registry.uploads import Upload, Uploads


class Arrivals:
    """The last step of a push, which may be repeated until it succeeds."""

    def __init__(self, uploads: Uploads, holdings: Holdings, room: Room) -> None:
        self._uploads = uploads
        self._holdings = holdings
        self._room = room

    async def finish(self, upload: Upload, digest: str) -> None:
        """Make the upload a blob of its repository; WrongDigest and OverQuota drop the upload.

        Nothing is counted or reserved under a digest that the content does not have.
        """
        await self._uploads.verify(upload, digest)
        try:
            await self._room.take(upload.repository, digest, upload.offset)
        except OverQuota:
            await self._uploads.drop(upload)
            raise
        async with self._holdings.reserved(digest, upload.offset) as blob:
            await self._uploads.store(upload)
            await self._holdings.grant(upload.repository, blob)
        await self._uploads.drop(upload)

    async def mount(self, source: str, repository: str, digest: str) -> bool:
        """Let the repository have a blob of another; False when that one has it not."""
        link = await self._holdings.link(source, digest)
        if link is None:
            return False
        await self._room.take(repository, digest, link.size)
        return await self._holdings.mount(link, repository)
