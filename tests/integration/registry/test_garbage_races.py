"""Pushes, mounts and crashes in the middle of a collection, at the worst moment of each."""

import asyncio
from datetime import timedelta

import pytest

from chassis.errors import Unavailable
from chassis.store.port import Update
from contracts.artifacts import digest_of
from registry.admission import BlobsMissing
from registry.blobs.disk import DiskBlobs
from registry.blobs.s3 import S3Blobs
from registry.holdings import Lost
from tests.clock import ManualClock
from tests.registry_storage import GRACE, Storage, before, image
from tests.waiting import until

LAYER = digest_of(b"layer")


@pytest.fixture(params=["disk", "s3"])
async def storage(request, own_store, tmp_path):
    blobs = DiskBlobs(tmp_path) if request.param == "disk" else bucket(request)
    storage = Storage(own_store, blobs, tmp_path, ManualClock())
    await storage.start()
    yield storage
    await storage.folder.stop()


def bucket(request):
    return S3Blobs(request.getfixturevalue("s3").fresh_bucket())


async def idle_layer(storage):
    """A layer and a config that nothing needs any more, and that the next sweep would take."""
    for content in (b"{}", b"layer"):
        await storage.push_blob("a", content)
    await storage.clock.advance(GRACE + 1)


async def test_a_manifest_put_before_its_links_are_released_keeps_them(storage):
    await idle_layer(storage)
    before(storage.holdings, "release", lambda: storage.put("a", "v1", image([b"layer"])))
    await storage.garbage.sweep()
    assert await storage.manifests() != set()
    assert await storage.broken() == []


async def test_a_manifest_put_after_its_links_are_released_is_told_what_is_missing(storage):
    await idle_layer(storage)

    async def put():
        with pytest.raises(BlobsMissing):
            await storage.put("a", "v1", image([b"layer"]))

    before(storage.removals, "idle", put)
    await storage.garbage.sweep()
    assert await storage.manifests() == set()


async def test_links_released_between_the_check_of_a_manifest_and_its_commit_are_noticed(storage):
    await idle_layer(storage)
    before(storage.templates, "change", storage.garbage.sweep)
    with pytest.raises(BlobsMissing):
        await storage.put("a", "v1", image([b"layer"]))
    assert await storage.manifests() == set()


async def test_a_head_before_the_link_is_released_keeps_the_blob(storage):
    await idle_layer(storage)
    link = await storage.holdings.link("a", LAYER)

    async def head():
        assert await storage.holdings.touch(link)

    before(storage.holdings, "release", head)
    await storage.garbage.sweep()
    assert await storage.stored() == {LAYER}
    await storage.push_blob("a", b"{}")
    await storage.put("a", "v1", image([b"layer"]))
    assert await storage.broken() == []


async def test_a_head_after_the_link_is_released_says_that_it_is_gone(storage):
    await idle_layer(storage)
    link = await storage.holdings.link("a", LAYER)
    await storage.garbage.sweep()
    assert not await storage.holdings.touch(link)
    assert await storage.holdings.link("a", LAYER) is None


async def test_a_mount_from_a_link_about_to_be_released_keeps_the_blob(storage):
    await idle_layer(storage)

    async def mount():
        assert await storage.arrivals.mount("a", "b", LAYER)

    before(storage.holdings, "release", mount)
    await storage.garbage.sweep()
    assert await storage.stored() == {LAYER}


async def test_a_mount_whose_source_is_released_meanwhile_is_declined(storage):
    await idle_layer(storage)
    before(storage.holdings, "mount", storage.garbage.sweep)
    assert not await storage.arrivals.mount("a", "b", LAYER)
    assert await storage.holdings.link("b", LAYER) is None


async def test_an_upload_that_ends_before_its_blob_is_condemned_keeps_it(storage):
    await idle_layer(storage)
    before(storage.removals, "condemn", lambda: storage.push_blob("b", b"layer"))
    await storage.garbage.sweep()
    assert LAYER in await storage.stored()
    assert await storage.holdings.link("b", LAYER) is not None


async def test_an_upload_that_ends_while_its_blob_is_removed_waits_and_stores_it_anew(storage):
    await storage.push_blob("a", b"layer")
    await storage.clock.advance(GRACE + 1)
    pushes = []

    async def push():
        pushes.append(asyncio.create_task(storage.push_blob("b", b"layer")))
        await until(lambda: storage.clock.sleepers)  # the reservation waits

    before(storage.removals, "forget", push)
    await storage.garbage.sweep()
    await until(lambda: advanced(storage, pushes[0]))
    assert await pushes[0] == LAYER
    assert await storage.blobs.read(LAYER, 10) == b"layer"


async def advanced(storage, task):
    await storage.clock.advance(0.05)
    return task.done()


async def test_an_index_put_before_its_manifest_is_dropped_keeps_it(storage):
    child = await storage.push("a", "", [b"layer"])
    await storage.garbage.sweep()
    await storage.clock.advance(GRACE + 1)
    before(storage.removals, "mark", lambda: storage.push_index("a", "all", [child]))
    await storage.garbage.sweep()
    assert child in await storage.manifests()
    assert await storage.broken() == []


async def test_a_manifest_dropped_between_the_check_of_an_index_and_its_commit_is_noticed(storage):
    child = await storage.push("a", "", [b"layer"])
    await storage.garbage.sweep()
    await storage.clock.advance(GRACE + 1)
    before(storage.templates, "change", storage.garbage.sweep)
    with pytest.raises(BlobsMissing):
        await storage.push_index("a", "all", [child])
    assert await storage.manifests() == set()


async def test_a_tag_put_on_a_manifest_about_to_be_dropped_keeps_it(storage):
    digest = await storage.push("a", "", [b"layer"])
    await storage.garbage.sweep()
    await storage.clock.advance(GRACE + 1)
    before(storage.removals, "mark", lambda: storage.put("a", "v1", image([b"layer"])))
    await storage.garbage.sweep()
    assert await storage.manifests() == {digest}
    assert await storage.broken() == []


async def test_a_reservation_that_was_broken_gives_no_link(storage):
    async with storage.holdings.reserved(LAYER, 5) as blob:
        await storage.clock.advance(GRACE / 8)
        await storage.raw.write([aged(blob)])
        await storage.garbage.sweep()
        with pytest.raises(Lost):
            await storage.holdings.grant("a", blob)
    assert await storage.holdings.link("a", LAYER) is None


async def test_a_reservation_that_another_has_succeeded_gives_no_link(storage):
    """The content that it found stored was collected; the other's may never come."""
    async with storage.holdings.reserved(LAYER, 5) as blob:
        await storage.raw.write([aged(blob)])
        await storage.garbage.sweep()
        async with storage.holdings.reserved(LAYER, 5):
            with pytest.raises(Lost):
                await storage.holdings.grant("a", blob)
    assert await storage.holdings.link("a", LAYER) is None


def aged(blob):
    """As if nobody had renewed the reservation: its process stood still."""
    change = {"$set": {"touched": blob.touched - timedelta(days=1)}}
    return Update(collection="blobs", where={"_id": blob.digest}, change=change)


async def test_a_reservation_is_kept_while_a_long_store_goes_on(storage):
    async with storage.holdings.reserved(LAYER, 5) as blob:
        for _ in range(12):
            await until(lambda: storage.clock.sleepers)  # until its next renewal
            await storage.clock.advance(GRACE / 4 + 1)
            await until(lambda: renewed(storage))
            await storage.garbage.sweep()
        await storage.holdings.grant("a", blob)
    assert await storage.holdings.link("a", LAYER) is not None


async def renewed(storage):
    (blob,) = await storage.holdings.blobs([LAYER])
    return (storage.clock.now() - blob.touched).total_seconds() < GRACE / 8


class Crash(Exception):
    """The process ends here."""


async def crash():
    raise Crash


@pytest.mark.parametrize(
    ("owner", "verb"), [("blobs", "remove"), ("removals", "forget"), ("holdings", "release")]
)
async def test_a_crash_at_any_step_is_finished_by_the_next_process(storage, owner, verb, tmp_path):
    await idle_layer(storage)
    before(getattr(storage, owner), verb, crash)
    with pytest.raises(Crash):
        await storage.garbage.sweep()
    await storage.folder.stop()
    again = Storage(storage.raw, storage.blobs, tmp_path, storage.clock)
    await again.start()
    assert await again.push_blob("b", b"layer") == LAYER  # nobody waits for the dead one
    await again.garbage.sweep()
    assert await again.stored() == {LAYER}
    await again.folder.stop()


async def test_another_registry_takes_a_removal_over_only_when_its_owner_is_long_gone(
    storage, tmp_path
):
    await idle_layer(storage)
    before(storage.blobs, "remove", crash)
    with pytest.raises(Crash):
        await storage.garbage.sweep()
    other = Storage(storage.raw, storage.blobs, tmp_path / "other", storage.clock)
    await other.start()
    await other.garbage.sweep()
    (condemned,) = [
        blob for blob in await other.holdings.blobs([LAYER, digest_of(b"{}")]) if blob.condemned
    ]
    push = asyncio.create_task(
        other.push_blob("b", b"layer" if condemned.digest == LAYER else b"{}")
    )
    await until(lambda: advanced(storage, push), limit=30)
    with pytest.raises(Unavailable, match="being removed"):
        await push
    await storage.clock.advance(3700)
    await other.garbage.sweep()
    assert await other.holdings.blobs([LAYER]) == []
    await other.folder.stop()
