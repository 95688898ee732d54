"""What leaves the cache of templates to make room, and what somebody still needs."""

import asyncio
from pathlib import Path

from contracts.artifacts import DISK_TYPE
from contracts.nodes import CachedTemplate
from node_agent.drivers.qemu.cache import TemplateCache
from tests.images import MemorySource
from tests.small_templates import image, quiet, stacked, template


async def test_layers_of_the_tag_to_be_pulled_survive_the_eviction_that_makes_room(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    base, top = stacked(source, tmp_path)
    first, second = template(source, [base]), template(source, [base, top], tag="v2")
    await cache.pull(first, source, quiet)
    missing = await cache.missing_bytes(second, source)
    cache.evict(CachedTemplate(id=first.id, name=first.name, tag="v1"), ())
    assert await cache.missing_bytes(second, source) == missing == len(top)
    await cache.pull(second, source, quiet)
    cache.evict(CachedTemplate(id=second.id, name=second.name, tag="v2"), ())
    assert list((tmp_path / "cache/blobs").iterdir()) == []


async def test_what_is_here_of_a_tag_stays_for_as_long_as_somebody_is_about_to_pull_it(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    base, top = stacked(source, tmp_path)
    first = template(source, [base])
    second, other = template(source, [base, top], tag="v2"), template(source, [top], tag="v3")
    await cache.pull(first, source, quiet)
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def ask() -> None:
        await cache.missing_bytes(second, source)
        asked.set()
        await given_up.wait()

    asking = asyncio.create_task(ask())
    await asked.wait()
    await cache.missing_bytes(other, source)
    cache.evict(CachedTemplate(id=first.id, name=first.name, tag="v1"), ())
    layer = cache.blobs.path(source.put(DISK_TYPE, base))
    assert layer.exists()
    given_up.set()
    await asking
    cache.evict(None, ())
    assert not layer.exists()


async def test_broken_off_downloads_go_without_any_tag_going(
    cache: TemplateCache, source: MemorySource, tmp_path: Path
) -> None:
    ref = template(source, [image(tmp_path, "base")])
    await cache.pull(ref, source, quiet)
    left = tmp_path / f"cache/blobs/{'0' * 64}.part"
    left.write_bytes(b"half")
    cache.evict(None, ())
    assert not left.exists()
    assert cache.find(ref)
