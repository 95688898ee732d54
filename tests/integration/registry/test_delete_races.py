"""Manifests and tags deleted while pushes move tags: no tag ends at nothing."""

import pytest

from contracts.artifacts import digest_of, template_id_of
from registry.catalog import ManifestUnknown
from tests.registries import qcow2
from tests.registry_storage import before, image

DISK = qcow2(100)
MOMENTS = [("templates", "change"), ("records", "template"), ("records", "transact")]


@pytest.fixture(params=["template", "other"])
def kind(request):
    return request.param


async def push(storage, kind, tag):
    """Two tags have different manifests; the digest."""
    if kind == "template":
        return await storage.push_template("a", tag, [DISK])
    return await storage.push("a", tag, [tag.encode()])


async def retag(storage, digest, tag):
    """Put a tag on a manifest that is there."""
    found = await storage.catalog.find("a", digest)
    await storage.put("a", tag, found.content)


async def pointing_nowhere(storage):
    """Tags, and versions of the template, whose manifest is gone, or whose tag says otherwise."""
    here = await storage.manifests()
    tags = {tag.tag: tag.digest for tag in await storage.records.tags("a")}
    template = await storage.records.template(template_id_of("a"))
    versions = {v.tag: v.digest for v in template.versions} if template else {}
    wrong = [tag for tag, digest in tags.items() if digest not in here]
    return wrong + [tag for tag, digest in versions.items() if tags.get(tag) != digest]


@pytest.mark.parametrize(("owner", "verb"), MOMENTS)
async def test_a_tag_put_on_a_manifest_while_that_is_deleted_goes_with_it(
    storage, kind, owner, verb
):
    digest = await push(storage, kind, "v1")
    before(getattr(storage, owner), verb, lambda: retag(storage, digest, "new"))
    await storage.untag("a", digest)
    assert await pointing_nowhere(storage) == []
    assert await storage.records.tags("a") == []
    assert await storage.records.template(template_id_of("a")) is None


@pytest.mark.parametrize(("owner", "verb"), MOMENTS)
async def test_a_tag_moved_away_while_its_manifest_is_deleted_stays_where_it_is(
    storage, kind, owner, verb
):
    digest = await push(storage, kind, "v1")
    other = await push(storage, kind, "v2")
    before(getattr(storage, owner), verb, lambda: retag(storage, other, "v1"))
    await storage.untag("a", digest)
    assert await pointing_nowhere(storage) == []
    assert {tag.tag: tag.digest for tag in await storage.records.tags("a")} == {
        "v1": other,
        "v2": other,
    }


@pytest.mark.parametrize(("owner", "verb"), MOMENTS)
async def test_a_tag_moved_while_it_is_deleted_is_no_half_of_a_version(storage, kind, owner, verb):
    await push(storage, kind, "v1")
    other = await push(storage, kind, "v2")
    before(getattr(storage, owner), verb, lambda: retag(storage, other, "v1"))
    await storage.untag("a", "v1")
    assert await pointing_nowhere(storage) == []


async def test_of_two_who_delete_a_manifest_one_is_told_that_it_is_gone(storage, kind):
    digest = await push(storage, kind, "v1")
    before(storage.records, "transact", lambda: storage.untag("a", digest))
    with pytest.raises(ManifestUnknown):
        await storage.untag("a", digest)
    assert await storage.manifests() == set()


async def test_what_a_tag_kept_out_of_a_template_is_deleted_alone(storage):
    await storage.push_template("a", "v1", [DISK])
    await storage.push_blob("a", b"{}")
    digest = await storage.put("a", "notes", image([]))
    assert digest == digest_of(image([]))
    await storage.untag("a", digest)
    assert [tag.tag for tag in await storage.records.tags("a")] == ["v1"]
    template = await storage.records.template(template_id_of("a"))
    assert [version.tag for version in template.versions] == ["v1"]
