"""Which manifests and blobs are collected, and when."""

from chassis.store.port import Delete
from contracts.artifacts import digest_of
from tests.registries import qcow2, qcow2_over
from tests.registry_storage import GRACE

CONFIG = digest_of(b"{}")


async def collect(storage, *, sweeps=2):
    """Sweep, let the grace pass, sweep again: orphans are seen by the first sweep."""
    for _ in range(sweeps):
        await storage.garbage.sweep()
        await storage.clock.advance(GRACE + 1)
    await storage.garbage.sweep()


async def test_a_blob_that_no_manifest_needs_goes_after_the_grace(storage):
    digest = await storage.push_blob("a", b"free")
    await storage.clock.advance(GRACE - 1)
    await storage.garbage.sweep()
    assert await storage.stored() == {digest}
    await storage.clock.advance(2)
    await storage.garbage.sweep()
    assert await storage.stored() == set()
    assert await storage.holdings.link("a", digest) is None
    assert await storage.holdings.blobs([digest]) == []


async def test_what_a_tag_needs_is_kept_for_ever(storage):
    digest = await storage.push("a", "v1", [b"layer"])
    await collect(storage, sweeps=3)
    assert await storage.manifests() == {digest}
    assert await storage.stored() == {CONFIG, digest_of(b"layer")}
    assert await storage.broken() == []


async def test_a_manifest_whose_tag_is_deleted_goes_a_grace_later_with_its_blobs(storage):
    digest = await storage.push("a", "v1", [b"layer"])
    await storage.clock.advance(100 * GRACE)
    await storage.untag("a", "v1")
    await storage.garbage.sweep()
    assert await storage.manifests() == {digest}
    assert await storage.broken() == []
    await storage.clock.advance(GRACE + 1)
    await storage.garbage.sweep()
    assert await storage.manifests() == set()
    assert await storage.stored() == set()


async def test_a_manifest_that_is_deleted_frees_its_blobs_at_once(storage):
    digest = await storage.push("a", "v1", [b"layer"])
    await storage.clock.advance(2 * GRACE)
    await storage.untag("a", digest)
    await storage.garbage.sweep()
    assert await storage.stored() == set()


async def test_a_tag_that_moves_leaves_its_old_manifest_to_be_collected(storage):
    await storage.push("a", "v1", [b"old"])
    digest = await storage.push("a", "v1", [b"new"])
    await collect(storage)
    assert await storage.manifests() == {digest}
    assert await storage.stored() == {CONFIG, digest_of(b"new")}


async def test_a_manifest_pushed_by_digest_goes_unless_an_index_takes_it(storage):
    await storage.push("a", "", [b"alone"])
    child = await storage.push("a", "", [b"child"])
    index = await storage.push_index("a", "all", [child])
    await collect(storage)
    assert await storage.manifests() == {child, index}
    assert await storage.stored() == {CONFIG, digest_of(b"child")}


async def test_an_index_without_a_tag_goes_with_its_manifests_in_one_sweep(storage):
    child = await storage.push("a", "", [b"child"])
    await storage.push_index("a", "all", [child])
    await storage.untag("a", "all")
    await storage.garbage.sweep()
    await storage.clock.advance(GRACE + 1)
    await storage.garbage.sweep()
    assert await storage.manifests() == set()
    assert await storage.stored() == set()


async def test_a_referrer_goes_with_its_subject(storage):
    subject = await storage.push("a", "v1", [b"subject"])
    referrer = await storage.push("a", "", [b"signature"], subject=subject)
    await collect(storage)
    assert await storage.manifests() == {subject, referrer}
    await storage.untag("a", "v1")
    await collect(storage)
    assert await storage.manifests() == set()
    assert await storage.stored() == set()


async def test_a_blob_of_two_repositories_goes_with_the_last(storage):
    for repository in ("a", "b"):
        await storage.push(repository, "v1", [b"shared"])
    await storage.untag("a", "v1")
    await collect(storage)
    assert await storage.holdings.link("a", digest_of(b"shared")) is None
    assert await storage.stored() == {CONFIG, digest_of(b"shared")}
    await storage.untag("b", "v1")
    await collect(storage)
    assert await storage.stored() == set()


async def test_a_revert_frees_exactly_what_no_other_version_needs(storage):
    base = qcow2()
    middle = qcow2_over(base)
    top = qcow2_over(middle)
    await storage.push_template("a", "v1", [base])
    await storage.push_template("a", "v2", [base, middle])
    await storage.push_template("a", "v3", [base, middle, top])
    await storage.push("b", "v1", [top])
    before = await storage.stored()
    await storage.revert("a", 1)
    await collect(storage)
    gone = before - await storage.stored()
    assert digest_of(middle) in gone
    assert len(gone) == 3  # with the configs of the two versions
    assert {digest_of(base), digest_of(top)} <= await storage.stored()
    assert await storage.broken() == []


async def test_content_without_a_document_is_kept_for_the_grace_and_then_collected(storage):
    file = storage.folder.base / "stray"
    file.write_bytes(b"stray")
    await storage.blobs.adopt(file, digest_of(b"stray"))
    await storage.garbage.sweep()
    assert await storage.stored() == {digest_of(b"stray")}
    await storage.clock.advance(GRACE + 1)
    await storage.garbage.sweep()
    assert await storage.stored() == set()


async def test_a_blob_of_an_older_version_without_a_document_keeps_its_place(storage):
    await storage.push("a", "v1", [b"layer"])
    await storage.raw.write([Delete(collection="blobs", where={})])
    await collect(storage)
    assert await storage.stored() == {CONFIG, digest_of(b"layer")}


async def test_a_collected_blob_may_be_pushed_again(storage):
    digest = await storage.push_blob("a", b"free")
    await collect(storage)
    assert await storage.stored() == set()
    await storage.push("a", "v1", [b"free"])
    await collect(storage)
    assert digest in await storage.stored()


async def test_a_large_registry_is_swept_page_by_page(storage, monkeypatch):
    monkeypatch.setattr("registry.garbage._PAGE", 3)
    kept = {await storage.push_blob("a", b"%d" % number) for number in range(8)}
    await storage.clock.advance(GRACE + 1)
    young = {await storage.push_blob("b", b"y%d" % number) for number in range(4)}
    assert await storage.stored() == kept | young
    await storage.garbage.sweep()
    assert await storage.stored() == young
