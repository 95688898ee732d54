"""Templates through the gateway, in front of a real registry: what is left is asked of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chassis.store.mongo import MongoStore
from contracts.artifacts import TemplateConfig
from contracts.events import EventHappened, EventKind
from corral.registry import RegistryClient
from tests.integration.gateway.cloud import TEMPLATE, Api, Cloud
from tests.integration.gateway.documented import assert_like
from tests.registries import RunningRegistry, push, qcow2, running_registry
from tests.waiting import until

OK = {"status": "OK", "message": ""}
NULL = {"status": "OK", "message": "", "body": None}
VERSION = {
    "number": 0,
    "tag": "v1",
    "config_file": "d937553f-ab5f-405a-8d91-198f5001794e.yaml",
    "nvram": "nvram",
    "images": ["ac34d3acee6549b2bf4822a82546d04d.ank"],
    "state_files": [],
    "description": "",
    "state_file": "a5058396218943858021cb37b31c718c.ank",
    "size": 28655484928,
    "arch": "",
    "last_pull": 1727208044,
    "last_push": 1725265564,
}
LISTED = {
    "id": "0bf1a7e8-be95-43d9-a0c8-68c6aed0f2dd",
    "name": "jenkins",
    "size": 16427892736,
    "arch": "amd64",
    "last_pull": 1727209082,
    "last_push": 1721141574,
}


@pytest.fixture
async def registry(
    cloud: Cloud, own_store: MongoStore, tmp_path: Path
) -> AsyncIterator[RunningRegistry]:
    async with running_registry(own_store, tmp_path / "registry", bus=cloud.bus) as registry:
        yield registry


@pytest.fixture
async def api(cloud: Cloud, registry: RunningRegistry) -> Api:
    """A gateway that knows of a template with the tags v1, v2 and v3."""
    async with RegistryClient(registry.address) as client:
        for tag in ("v1", "v2", "v3"):
            await push(client, TEMPLATE, tag, [qcow2(1000)], TemplateConfig(name="base"))
    api = await cloud.gateway(registry_address=registry.address)
    await until(lambda: _has_tags(api, 3))
    return api


async def test_the_list_is_the_documented_one(api: Api):
    answer = await api("GET", "/api/v1/registry/vm")
    assert_like({"status": "OK", "message": "", "body": [LISTED]}, answer.json)


async def test_one_template_is_the_documented_one(api: Api):
    body = (await api("GET", f"/api/v1/registry/vm?id={TEMPLATE}")).body
    assert_like(LISTED | {"versions": [VERSION]}, body)
    assert [version["number"] for version in body["versions"]] == [0, 1, 2]


async def test_the_short_list_has_ids_and_names_as_the_gitlab_executor_reads_them(api: Api):
    assert (await api("GET", "/api/v1/registry/vm?apiVer=v1")).body == [
        {"id": TEMPLATE, "name": "base"}
    ]


async def test_the_exporter_gets_a_whole_size_for_the_template_and_each_tag(api: Api):
    ((listed),) = (await api("GET", "/api/v1/registry/vm")).body
    detailed = (await api("GET", f"/api/v1/registry/vm?id={listed['id']}")).body
    sizes = [listed["size"], *(version["size"] for version in detailed["versions"])]
    assert all(isinstance(size, int) and size > 0 for size in sizes)


async def test_delete_removes_a_template_with_its_tags(api: Api, registry: RunningRegistry):
    where = f"/api/v1/registry/vm?id={TEMPLATE}"
    assert (await api("DELETE", where)).json == OK
    assert (await api("GET", where)).failure == "Not found"
    assert (await api("GET", "/api/v1/registry/vm")).body == []
    assert await _tags(registry) == []
    assert (await api("DELETE", where)).failure == "Not found"


async def test_a_template_that_comes_back_after_its_removal_is_listed(
    api: Api, registry: RunningRegistry
):
    await api("DELETE", f"/api/v1/registry/vm?id={TEMPLATE}")
    async with RegistryClient(registry.address) as client:
        await push(client, TEMPLATE, "v9", [qcow2(1000)], TemplateConfig(name="base"))
    await until(lambda: _has_tags(api, 1))


@pytest.mark.parametrize(
    ("query", "body", "left"),
    [
        ("", None, ["v1", "v2"]),
        ("&number=0", None, ["v1"]),
        ("&tag=v2", None, ["v1", "v2"]),
        ("&version=1", None, ["v1", "v2"]),
        ("&tag=v3", None, ["v1", "v2", "v3"]),
        ("", {"tag": "v1"}, ["v1"]),
        ("", {"version": 0}, ["v1"]),
        ("", {"number": "1"}, ["v1", "v2"]),
        ("&tag=v1", {"tag": None}, ["v1"]),
    ],
)
async def test_revert_keeps_its_target_and_removes_what_is_newer(
    api: Api, registry: RunningRegistry, query, body, left
):
    answer = await api("DELETE", f"/api/v1/registry/revert?id={TEMPLATE}{query}", body)
    assert answer.json == NULL
    assert await _tags(registry) == left
    shown = (await api("GET", f"/api/v1/registry/vm?id={TEMPLATE}")).body
    assert [version["tag"] for version in shown["versions"]] == left


async def test_the_id_of_a_revert_may_stand_in_the_body(api: Api, registry: RunningRegistry):
    answer = await api("DELETE", "/api/v1/registry/revert", {"id": TEMPLATE, "tag": "v1"})
    assert answer.json == NULL
    assert await _tags(registry) == ["v1"]


async def test_a_revert_to_a_target_may_be_repeated(api: Api, registry: RunningRegistry):
    for _ in range(2):
        answer = await api("DELETE", f"/api/v1/registry/revert?id={TEMPLATE}&tag=v2")
        assert answer.json == NULL
        assert await _tags(registry) == ["v1", "v2"]


async def test_reverting_the_last_version_removes_the_template(api: Api):
    for _ in range(3):
        assert (await api("DELETE", f"/api/v1/registry/revert?id={TEMPLATE}")).json == NULL
    assert (await api("GET", f"/api/v1/registry/vm?id={TEMPLATE}")).failure == "Not found"
    assert (await api("DELETE", f"/api/v1/registry/revert?id={TEMPLATE}")).failure == "Not found"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (f"id={TEMPLATE}&tag=v9", "Did not find any versions with tag v9"),
        (f"id={TEMPLATE}&number=9", "Did not find any versions with number 9"),
        ("id=nobody", "Not found"),
        ("id=nobody&tag=v1", "Not found"),
    ],
)
async def test_a_revert_to_what_is_not_there_fails_and_removes_nothing(
    api: Api, registry: RunningRegistry, query, message
):
    assert (await api("DELETE", f"/api/v1/registry/revert?{query}")).failure == message
    assert await _tags(registry) == ["v1", "v2", "v3"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/registry/vm", None, "id"),
        ("/api/v1/registry/revert", None, "id"),
        (f"/api/v1/registry/revert?id={TEMPLATE}&number=first", None, "number"),
        (f"/api/v1/registry/revert?id={TEMPLATE}&version=-1", None, "version"),
        (f"/api/v1/registry/revert?id={TEMPLATE}", {"tag": 7}, "tag"),
        (f"/api/v1/registry/revert?id={TEMPLATE}", b"{", "body"),
    ],
)
async def test_a_malformed_request_is_400_naming_the_field(
    api: Api, registry: RunningRegistry, path, body, field
):
    answer = await api("DELETE", path, body)
    assert answer.code == 400
    assert answer.json["message"].startswith(f"{field}: ")
    assert await _tags(registry) == ["v1", "v2", "v3"]


async def test_the_event_of_a_removal_names_the_request(api: Api, cloud: Cloud):
    headers = {"X-Request-ID": "remove-7"}
    await api("DELETE", f"/api/v1/registry/vm?id={TEMPLATE}", headers=headers)
    event = await until(lambda: _removal(cloud))
    assert event.request_id == "remove-7"


async def test_without_the_registry_nothing_is_removed_and_the_answer_says_so(cloud: Cloud):
    await cloud.add_template()
    api = await cloud.gateway()
    for path in ("vm", "revert"):
        answer = await api("DELETE", f"/api/v1/registry/{path}?id={TEMPLATE}")
        assert answer.failure.startswith("registry unreachable: ")
    assert (await api("GET", "/api/v1/registry/vm")).body[0]["id"] == TEMPLATE


async def test_a_revert_whose_answer_is_lost_is_not_sent_again(cloud: Cloud):
    asked = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"DELETE"):
            asked += 1
            await reader.readuntil(b"}")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    api = await cloud.gateway(registry_address=f"http://127.0.0.1:{port}")
    answer = await api("DELETE", f"/api/v1/registry/revert?id={TEMPLATE}")
    assert answer.failure == "registry unreachable: it closed the connection"
    assert asked == 1
    server.close()


async def _has_tags(api: Api, count: int) -> bool:
    shown = (await api("GET", f"/api/v1/registry/vm?id={TEMPLATE}")).json.get("body")
    return shown is not None and len(shown["versions"]) == count


async def _tags(registry: RunningRegistry) -> list[str]:
    async with RegistryClient(registry.address) as client:
        return [tag for tag in ("v1", "v2", "v3") if await client.has_manifest(TEMPLATE, tag)]


def _removal(cloud: Cloud) -> EventHappened | None:
    said = cloud.said(EventHappened)
    return next((e for e in said if e.kind is EventKind.DELETE_REGISTRY_VM), None)
