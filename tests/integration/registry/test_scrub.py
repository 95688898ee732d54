import asyncio
import errno
import os

import pytest
from structlog.testing import capture_logs

from chassis.errors import Unavailable
from contracts.artifacts import digest_of
from registry.blobs.disk import DiskBlobs
from registry.blobs.s3 import S3Blobs
from registry.metrics import CORRUPT, MISSING, UNREADABLE
from tests.clock import ManualClock
from tests.registry_storage import SCRUB_INTERVAL, Storage, image
from tests.waiting import until


@pytest.fixture(params=["disk", "s3"])
async def storage(request, own_store, tmp_path):
    if request.param == "disk":
        blobs = DiskBlobs(tmp_path)
    else:
        blobs = S3Blobs(request.getfixturevalue("s3").fresh_bucket())
    storage = Storage(own_store, blobs, tmp_path, ManualClock())
    await storage.start()
    yield storage
    await storage.folder.stop()


async def damage(storage, digest, content):
    """Put other content under the digest, as a failing disk would."""
    file = storage.folder.base / "damaged"
    file.write_bytes(content)
    await storage.blobs.remove(digest)
    await storage.blobs.adopt(file, digest)


def events(logs):
    return [entry["event"] for entry in logs if entry["event"].startswith("registry.")]


async def scrub(storage):
    await storage.clock.advance(SCRUB_INTERVAL + 1)
    with capture_logs() as logs:
        await storage.scrub.step()
    return logs


async def test_a_corrupt_blob_is_set_aside_and_reported_and_may_be_pushed_again(storage):
    await storage.push("a", "v1", [b"sound", b"to be damaged"])
    digest = digest_of(b"to be damaged")
    await damage(storage, digest, b"to be xamaged")
    counted = CORRUPT._value.get()
    logs = await scrub(storage)
    assert events(logs) == ["registry.blob_corrupt"]
    assert logs[-1] | {"digest": digest, "repositories": ["a"]} == logs[-1]
    assert CORRUPT._value.get() == counted + 1
    with pytest.raises(FileNotFoundError):
        await storage.blobs.open(digest)
    assert await storage.broken() == [
        f"a@{digest_of(image([b'sound', b'to be damaged']))} lacks {digest}"
    ]
    await storage.push_blob("a", b"to be damaged")
    assert await storage.broken() == []
    assert events(await scrub(storage)) == []


async def test_what_was_pushed_anew_while_the_old_content_was_read_stays(storage, monkeypatch):
    await storage.push("a", "v1", [b"to be damaged"])
    digest = digest_of(b"to be damaged")
    await damage(storage, digest, b"cut")
    real = storage.scrub._digest

    async def overtaken(asked):
        found = await real(asked)
        if found != asked:
            await storage.push_blob("a", b"to be damaged")
        return found

    monkeypatch.setattr(storage.scrub, "_digest", overtaken)
    assert events(await scrub(storage)) == []
    assert await storage.broken() == []


async def test_what_cannot_be_set_aside_is_reported_all_the_same(storage, monkeypatch):
    await storage.push("a", "v1", [b"to be damaged"])
    await damage(storage, digest_of(b"to be damaged"), b"to be xamaged")
    counted = CORRUPT._value.get()

    async def full(_digest):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(storage.blobs, "quarantine", full)
    assert events(await scrub(storage)) == ["registry.blob_corrupt", "registry.blob_not_set_aside"]
    assert CORRUPT._value.get() == counted + 1


async def test_what_is_missing_though_needed_is_reported(storage):
    await storage.push("a", "v1", [b"layer"])
    await storage.blobs.remove(digest_of(b"layer"))
    counted = MISSING._value.get()
    logs = await scrub(storage)
    assert events(logs) == ["registry.blob_missing"]
    assert MISSING._value.get() == counted + 1


async def test_sound_blobs_are_read_once_per_interval(storage, monkeypatch):
    opened = []
    real = storage.blobs.open

    async def counting(digest):
        opened.append(digest)
        return await real(digest)

    monkeypatch.setattr(storage.blobs, "open", counting)
    await storage.push("a", "v1", [b"one", b"two"])
    await storage.scrub.step()
    assert opened == []  # verified on the way in
    await scrub(storage)
    assert sorted(opened) == sorted(map(digest_of, (b"one", b"two", b"{}")))
    await storage.scrub.step()
    assert len(opened) == 3


async def test_two_registries_share_the_work(storage, tmp_path):
    other = Storage(storage.raw, storage.blobs, tmp_path / "other", storage.clock)
    await other.start()
    await storage.push("a", "v1", [b"one", b"two", b"three"])
    await storage.clock.advance(SCRUB_INTERVAL + 1)
    due = storage.clock.now()
    taken = [await one.removals.to_check(due, 1 << 20) for one in (storage, other, storage, other)]
    assert len({blob.digest for blob in taken}) == 4
    assert await other.removals.to_check(due, 1 << 20) is None
    await other.folder.stop()


def failing(storage, monkeypatch, error):
    """Opening a blob raises ``error``, while the list that is returned has it."""
    errors, real = [error], storage.blobs.open

    async def reading(digest):
        if errors:
            raise errors[0]
        return await real(digest)

    monkeypatch.setattr(storage.blobs, "open", reading)
    return errors


async def test_what_cannot_be_read_is_counted_and_stays_unchecked(storage, monkeypatch):
    digest = await storage.push_blob("a", b"layer")
    (pushed,) = await storage.holdings.blobs([digest])
    errors = failing(storage, monkeypatch, OSError(errno.EIO, "Input/output error"))
    counted = UNREADABLE._value.get()
    assert events(await scrub(storage)) == ["registry.blob_unreadable"]
    await storage.scrub.step()
    assert UNREADABLE._value.get() == counted + 1  # it has an hour
    assert (await storage.holdings.blobs([digest]))[0].checked == pushed.checked
    await storage.clock.advance(3700)
    await storage.scrub.step()
    assert UNREADABLE._value.get() == counted + 2
    errors.clear()
    await storage.clock.advance(3700)
    await storage.scrub.step()
    (blob,) = await storage.holdings.blobs([digest])
    assert (blob.checked, blob.claimed) == (storage.clock.now(), None)


async def test_what_storage_that_is_away_kept_from_a_check_comes_next(storage, monkeypatch):
    digest = await storage.push_blob("a", b"layer")
    errors = failing(storage, monkeypatch, Unavailable())
    with pytest.raises(Unavailable):
        await scrub(storage)
    errors.clear()
    await storage.scrub.step()
    assert (await storage.holdings.blobs([digest]))[0].checked == storage.clock.now()


async def test_a_check_that_was_cut_off_is_made_an_hour_later(storage, monkeypatch):
    digest = await storage.push_blob("a", b"layer")
    errors = failing(storage, monkeypatch, asyncio.CancelledError())
    with pytest.raises(asyncio.CancelledError):
        await scrub(storage)
    errors.clear()
    await storage.clock.advance(3700)
    await storage.scrub.step()
    assert (await storage.holdings.blobs([digest]))[0].checked == storage.clock.now()


async def test_reading_keeps_to_the_rate(own_store, tmp_path):
    clock = ManualClock()
    storage = Storage(own_store, DiskBlobs(tmp_path), tmp_path, clock, scrub_rate=1 << 20)
    await storage.start()
    await storage.push_blob("a", os.urandom(5 << 20))
    await clock.advance(SCRUB_INTERVAL + 1)
    begun = clock.monotonic()
    step = asyncio.create_task(storage.scrub.step())

    async def a_while_later():
        if clock.sleepers:  # only what waits for its pace takes time
            await clock.advance(0.25)
        return step.done()

    await until(a_while_later)
    assert 5 <= clock.monotonic() - begun < 7
    await storage.folder.stop()
