"""Pulls download what is missing, once, and keep only what is right."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.nodes import CachedTemplate
from node_agent.drivers.port import CannotHonour, HostFault
from node_agent.drivers.qemu.cache import TemplateCache
from tests.images import PIECE, MemorySource
from tests.small_templates import image, quiet, stacked, template


async def test_a_broken_off_download_goes_on_where_it_stopped(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")], kernel=b"k" * (3 * PIECE))
    kernel = next(d for d, c in source.blobs.items() if c.startswith(b"kk"))

    class Breaking(MemorySource):
        async def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
            sent = 0
            async for piece in source.blob(repository, digest, offset):
                if sent >= 2 * PIECE:
                    raise ConnectionResetError
                sent += len(piece)
                yield piece

    breaking = Breaking()
    breaking.manifests = source.manifests
    with pytest.raises(ConnectionResetError):
        await cache.pull(ref, breaking, quiet)
    assert await cache.missing_bytes(ref, source) == PIECE
    source.asked.clear()
    await cache.pull(ref, source, quiet)
    assert (kernel, 2 * PIECE) in source.asked
    assert cache.find(ref)


async def test_wrong_content_is_refused_and_fetched_anew(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")])
    kernel = next(d for d, content in source.blobs.items() if content == b"kernel")
    source.blobs[kernel] = b"poison"
    with pytest.raises(HostFault, match="has other content"):
        await cache.pull(ref, source, quiet)
    assert cache.find(ref) is None
    source.blobs[kernel] = b"kernel"
    await cache.pull(ref, source, quiet)
    assert cache.find(ref)


async def test_who_asks_for_the_same_tag_shares_one_download(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")])
    told: list[list[float]] = [[], [], []]
    await asyncio.gather(*(cache.pull(ref, source, each.append) for each in told))
    assert len(source.asked) == len({digest for digest, _ in source.asked}) == 3
    assert all(each[-1] == 1.0 for each in told)


async def test_a_download_ends_when_nobody_waits_for_it_any_more(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")])
    begun, ended = asyncio.Event(), asyncio.Event()

    class Endless(MemorySource):
        async def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            yield b""

    endless = Endless()
    endless.manifests = source.manifests
    one, other = (asyncio.create_task(cache.pull(ref, endless, quiet)) for _ in range(2))
    await begun.wait()
    one.cancel()
    await asyncio.wait([one])
    assert not ended.is_set()
    other.cancel()
    await asyncio.wait([other])
    assert ended.is_set()
    await cache.pull(ref, source, quiet)


async def test_who_asks_while_a_download_is_given_up_has_one_of_its_own(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")])
    begun = asyncio.Event()

    class HangingOnce(MemorySource):
        async def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
            if not begun.is_set():
                begun.set()
                await asyncio.Event().wait()
            yield source.blobs[digest][offset:]

    hanging = HangingOnce()
    hanging.manifests = source.manifests
    first = asyncio.create_task(cache.pull(ref, hanging, quiet))
    await begun.wait()
    first.cancel()
    await asyncio.gather(asyncio.create_task(cache.pull(ref, hanging, quiet)))
    assert cache.find(ref)


async def test_a_second_tag_downloads_only_what_the_first_does_not_have(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    base, top = stacked(source, tmp_path)
    first, second = template(source, [base]), template(source, [base, top], tag="v2")
    await cache.pull(first, source, quiet)
    assert await cache.missing_bytes(second, source) == len(top)
    await cache.pull(second, source, quiet)
    cache.evict(CachedTemplate(id=first.id, name=first.name, tag="v1"), ())
    found = cache.find(second)
    assert found
    assert all(layer.exists() for layer in cache.layers(found))
    cache.evict(CachedTemplate(id=second.id, name=second.name, tag="v2"), ())
    assert list((tmp_path / "cache/blobs").iterdir()) == []


async def test_a_restarted_agent_knows_its_tags_in_the_order_of_their_use(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    base = image(tmp_path, "base")
    for tag in ("v1", "v2", "v3"):
        await cache.pull(template(source, [base], tag=tag, kernel=tag.encode()), source, quiet)
    used = cache.find(template(source, [base], tag="v1", kernel=b"v1"))
    assert used
    cache.touch(used)
    again = TemplateCache(tmp_path / "cache")
    assert [cached.tag for cached in again.listed()] == ["v2", "v3", "v1"]


async def test_a_tag_that_cannot_be_read_is_pulled_again(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")])
    await cache.pull(ref, source, quiet)
    (file,) = (tmp_path / "cache/tags").glob("*.json")
    file.write_text("{}")
    again = TemplateCache(tmp_path / "cache")
    assert again.listed() == []
    await again.pull(ref, source, quiet)
    assert again.find(ref)


@pytest.mark.parametrize(
    ("backing", "options"),
    [
        ("/etc/passwd", ""),
        ("../other.qcow2", ""),
        ('json:{"driver":"raw"}', ""),
        ("", "data_file=data.raw"),
    ],
)
async def test_a_layer_that_reaches_for_other_files_is_refused(
    cache: TemplateCache, source: MemorySource, tmp_path: Path, backing: str, options: str
) -> None:
    reaching = image(tmp_path, "reaching", backing, options)
    ref = template(source, [reaching])
    with pytest.raises(CannotHonour, match=r"stands on|keeps its data"):
        await cache.pull(ref, source, quiet)
    assert cache.find(ref) is None


async def test_what_is_no_image_is_refused(cache: TemplateCache, source: MemorySource) -> None:
    with pytest.raises(CannotHonour, match="not a qcow2"):
        await cache.pull(template(source, [b"#!/bin/sh"]), source, quiet)


async def test_another_manifest_than_the_one_named_is_refused(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")])
    source.manifests[ref.digest] += b" "
    with pytest.raises(HostFault, match="another one"):
        await cache.pull(ref, source, quiet)


async def test_a_tag_that_lost_a_blob_is_listed_no_more_and_can_be_pulled_again(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")])
    await cache.pull(ref, source, quiet)
    found = cache.find(ref)
    assert found
    cache.layers(found)[0].unlink()
    assert cache.listed() == []
    await cache.pull(ref, source, quiet)
    assert [cached.tag for cached in cache.listed()] == ["v1"]


async def test_what_was_wrong_or_too_short_once_is_asked_for_once_more(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")], kernel=b"k" * (2 * PIECE))
    kernel = next(d for d, c in source.blobs.items() if c.startswith(b"kk"))

    class Improving(MemorySource):
        async def blob(self, repository: str, digest: str, offset: int = 0) -> AsyncIterator[bytes]:
            self.asked.append((digest, offset))
            first = sum(asked == digest for asked, _ in self.asked) == 1
            content = source.blobs[digest]
            if first and digest == kernel:
                yield content[:PIECE]
            else:
                yield b"?" * len(content) if first else content[offset:]

    improving = Improving()
    improving.manifests = source.manifests
    await cache.pull(ref, improving, quiet)
    assert cache.find(ref)
    assert (kernel, PIECE) in improving.asked


async def test_only_what_is_whole_is_on_the_shelf(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")])
    digests = [digest for digest, content in source.blobs.items() if content]
    (tmp_path / f"cache/blobs/{digests[0].partition(':')[2]}.part").write_bytes(b"half")
    assert [cache.blob(digest) for digest in digests] == [None] * len(digests)
    assert cache.manifest(ref.digest) is None
    await cache.pull(ref, source, quiet)
    for digest in digests:
        path = cache.blob(digest)
        assert path
        assert path.read_bytes() == source.blobs[digest]
    again = TemplateCache(tmp_path / "cache")
    assert again.manifest(ref.digest) == source.manifests[ref.digest]
