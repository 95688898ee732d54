import time
from datetime import UTC, datetime

import msgspec
import pytest

from chassis.store.port import Delete
from contracts.templates import TemplateDocument, Version
from registry.store import TEMPLATES
from tests.registries import push, qcow2, running_registry
from tests.waiting import until

AT = datetime(2031, 5, 4, tzinfo=UTC)


def document(number, versions=10):
    return TemplateDocument(
        id=f"{number:08x}-0000-4000-8000-{number:012x}",
        revision=1,
        name=f"template-{number:05}",
        repository=f"team/template-{number}",
        arch="arm64",
        size=number,
        next_number=versions,
        last_push=AT,
        versions=tuple(
            Version(
                number=n,
                tag=f"v{n}",
                digest=f"sha256:{n:064x}",
                blobs={f"sha256:{blob:064x}": 1 << 30 for blob in range(n + 2)},
                created=AT,
                last_push=AT,
            )
            for n in range(versions)
        ),
    )


async def names(http):
    async with http.get("/registry/v2/vm") as response:
        return [item["name"] for item in msgspec.json.decode(await response.read())["body"]]


async def names_v1(http):
    async with http.get("/registry/vm") as response:
        listed = msgspec.json.decode(await response.read())["body"]
    return [name for item in listed for name in item.values()]


async def test_registries_on_one_database_agree_after_a_moment(own_store, tmp_path, http_to):
    async with (
        running_registry(own_store, tmp_path / "one") as one,
        running_registry(own_store, tmp_path / "two") as two,
    ):
        here, there = http_to(one), http_to(two)
        assert await names(here) == await names(there) == []
        await own_store.insert(TEMPLATES, [document(2), document(1)])
        wanted = ["template-00001", "template-00002"]
        await until(lambda: _is(there, wanted), 3.0)
        assert await names_v1(there) == wanted
        async with here.delete(f"/registry/vm?id={document(1).id}") as response:
            assert response.status == 200
        assert await names(here) == wanted[1:]
        await until(lambda: _is(there, wanted[1:]), 3.0)


async def _is(http, wanted):
    return await names(http) == wanted


async def test_own_changes_show_at_once(registry, http, client):
    for number in range(5):
        await push(client, f"team/t{number}", "v1", [qcow2(600)])
        assert len(await names(http)) == number + 1
    assert await names_v1(http) == await names(http)


async def test_a_template_made_anew_under_its_old_id_is_read_anew(own_store, http):
    await own_store.insert(TEMPLATES, [document(1)])
    assert await names(http) == ["template-00001"]
    await own_store.write([Delete(collection=TEMPLATES, where={"_id": document(1).id})])
    again = msgspec.structs.replace(document(1), name="renamed", revision=7)
    await own_store.insert(TEMPLATES, [again])
    await until(lambda: _is(http, ["renamed"]), 3.0)


@pytest.mark.parametrize("path", ["/registry/vm", "/registry/v2/vm"])
async def test_two_thousand_templates_of_ten_tags_are_listed_in_200_ms(own_store, http, path):
    every = [document(number) for number in range(2000)]
    for start in range(0, 2000, 250):
        await own_store.insert(TEMPLATES, every[start : start + 250])
    await until(lambda: _count(http, path, 2000))
    took = []
    for _ in range(5):
        began = time.perf_counter()
        assert await _count(http, path, 2000)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.2


async def _count(http, path, wanted):
    async with http.get(path) as response:
        return len(msgspec.json.decode(await response.read())["body"]) == wanted
