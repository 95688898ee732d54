"""Users of a registry that is killed all the time: they push, pull and delete, and remember.

Each has a repository of its own, and shares the layers with the others. What the registry has
acknowledged must be there from then on, whatever happens to it in between.
"""

import asyncio
import io
import random
from collections.abc import Awaitable, Callable

import aiohttp

from contracts.artifacts import MANIFEST_TYPE, digest_of
from tests.registry_storage import image

_LAYERS = 12
_CONFIG = b"{}"
_CUT = (aiohttp.ClientError, ConnectionError, TimeoutError)
_PAUSE = 0.1


class Refused(Exception):
    """The registry says that something is missing: the push begins anew."""


class Broken(AssertionError):
    """The registry does not keep what it has acknowledged."""


def shared_layers(seed: int) -> list[bytes]:
    """Layers of 20 KB to 1.2 MB."""
    rng = random.Random(seed)
    return [rng.randbytes(rng.randint(20_000, 1_200_000)) for _ in range(_LAYERS)]


class User:
    """One repository. ``tags``: the digest behind each tag, as acknowledged."""

    def __init__(
        self, http: aiohttp.ClientSession, repository: str, others: list[str], layers: list[bytes]
    ) -> None:
        self.repository = repository
        self.tags: dict[str, str] = {}
        self.done = dict.fromkeys(("pushed", "pulled", "deleted", "cut", "refused"), 0)
        self._http = http
        self._others = others
        self._layers = layers
        self._known: dict[str, list[bytes]] = {}
        self._rng = random.Random(repository)

    async def work(self, goes_on: Callable[[], bool]) -> None:
        """Do one thing after another; each until it is acknowledged."""
        while goes_on():
            step = self._rng.choice((self._push, self._push, self._push, self.check, self._delete))
            await self.insist(step)

    async def insist(self, step: Callable[[], Awaitable[None]]) -> None:
        """Repeat a step until it is answered."""
        choice = self._rng.getstate()
        while True:
            self._rng.setstate(choice)  # the same again
            try:
                await step()
            except Refused:
                self.done["refused"] += 1
            except _CUT:
                self.done["cut"] += 1
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def check(self) -> None:
        """Pull every tag; Broken when anything acknowledged is not there as it was pushed."""
        for tag, digest in list(self.tags.items()):
            status, content = await self._get(f"manifests/{tag}")
            if status != 200 or digest_of(content) != digest:
                raise Broken(f"{self.repository}:{tag} answers {status}, not {digest}")
            for layer in self._known[digest]:
                status, content = await self._get(f"blobs/{digest_of(layer)}")
                if status != 200 or content != layer:
                    raise Broken(f"{self.repository}:{tag}: {digest_of(layer)} answers {status}")
            self.done["pulled"] += 1

    async def _push(self) -> None:
        tag = self._rng.choice(("v1", "v2", "v3"))
        layers = self._rng.sample(self._layers, 2)
        in_pieces = self._rng.random() < 0.5
        for content in (_CONFIG, *layers):
            await self._offer(content, in_pieces=in_pieces)
        manifest = image(layers)
        headers = {"Content-Type": MANIFEST_TYPE}
        url = f"/v2/{self.repository}/manifests/{tag}"
        async with self._http.put(url, data=manifest, headers=headers) as response:
            await self._expect(response, 201)
        self._known[digest_of(manifest)] = layers
        self.tags[tag] = digest_of(manifest)
        self.done["pushed"] += 1

    async def _delete(self) -> None:
        if not self.tags:
            return
        tag = self._rng.choice(sorted(self.tags))
        digest = self.tags[tag]
        whole = self._rng.random() < 0.5
        url = f"/v2/{self.repository}/manifests/{digest if whole else tag}"
        async with self._http.delete(url) as response:
            await self._expect(response, 202, 404)
        gone = [name for name in self.tags if name == tag or (whole and self.tags[name] == digest)]
        for name in gone:
            del self.tags[name]
        self.done["deleted"] += 1

    async def _offer(self, content: bytes, *, in_pieces: bool) -> None:
        """Have the registry have it: known already, mounted, or sent."""
        digest = digest_of(content)
        async with self._http.head(f"/v2/{self.repository}/blobs/{digest}") as response:
            if response.status == 200:
                return
            await self._expect(response, 404)
        url = f"/v2/{self.repository}/blobs/uploads/"
        query = {"mount": digest, "from": self._rng.choice(self._others)}
        async with self._http.post(url, params=query) as response:
            await self._expect(response, 201, 202)
            if response.status == 201:
                return
            where = response.headers["Location"]
        half = len(content) // 2 if in_pieces else 0
        if half:
            async with self._http.patch(where, data=io.BytesIO(content[:half])) as response:
                await self._expect(response, 202)
        put = self._http.put(f"{where}?digest={digest}", data=io.BytesIO(content[half:]))
        async with put as response:
            await self._expect(response, 201)

    async def _get(self, path: str) -> tuple[int, bytes]:
        async with self._http.get(f"/v2/{self.repository}/{path}") as response:
            content = await response.read()
            if response.status >= 500:
                raise aiohttp.ClientError(content.decode())
            return response.status, content

    async def _expect(self, response: aiohttp.ClientResponse, *wanted: int) -> None:
        if response.status in wanted:
            return
        body = await response.text()
        if response.status in (404, 416):
            raise Refused(body)
        if response.status == 503:
            raise aiohttp.ClientError(body)
        raise Broken(f"{response.method} {response.url} answers {response.status}: {body}")


def count(users: list[User]) -> dict[str, int]:
    """What all users together have done."""
    return {key: sum(user.done[key] for user in users) for key in users[0].done}
