import re
import uuid

import msgspec
import pytest

from contracts.artifacts import TemplateConfig, digest_of
from contracts.vms import PortRule
from tests.registries import push, qcow2, qcow2_over
from tests.waiting import until

TEMPLATE = "c983c3bf-a0c0-43dc-54dc-2fd9f7d62fce"
CONFIG = TemplateConfig(
    name="base",
    cpu=2,
    ram_mb=2048,
    description="for tests",
    ports=(PortRule(name="ssh", guest_port=22),),
)


async def call(http, method, path, **more):
    async with http.request(method, path, **more) as response:
        raw = await response.read()
        return response.status, msgspec.json.decode(raw), raw.decode()


async def three_tags(client, repository=TEMPLATE):
    base = qcow2(10_000)
    second = qcow2_over(base, 2_000)
    await push(client, repository, "v1", [base], CONFIG)
    await push(client, repository, "v2", [base, second], CONFIG)
    await push(client, repository, "v3", [base, second, qcow2_over(second, 3_000)], CONFIG)
    return base, second


async def tags(http, template=TEMPLATE):
    _, answer, _ = await call(http, "GET", f"/registry/v2/vm?id={template}")
    return [(v["number"], v["tag"]) for v in answer["body"]["versions"]]


async def test_status_is_the_documented_body_in_the_documented_order(http):
    status, answer, raw = await call(http, "GET", "/registry/status")
    assert status == 200
    assert answer["body"]["status"] == "Running"
    assert answer["body"]["version"]
    assert list(answer) == ["status", "body", "message"]
    assert raw.startswith('{"status":"OK","body":{"status":"Running","version":')


async def test_disk_says_free_and_total(http):
    _, answer, _ = await call(http, "GET", "/registry/disk")
    assert list(answer["body"]) == ["free", "total"]
    assert 0 < answer["body"]["free"] <= answer["body"]["total"]


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_answer(http, path):
    async with http.get(path) as response:
        assert response.status == 200


async def test_the_lists_of_both_versions(http, client):
    await three_tags(client)
    _, first, _ = await call(http, "GET", "/registry/vm")
    assert first["body"] == [{TEMPLATE: "base"}]
    assert list(first) == ["status", "body", "message"]
    _, second, _ = await call(http, "GET", "/registry/v2/vm")
    assert list(second) == ["status", "message", "body"]
    (item,) = second["body"]
    assert list(item) == ["id", "name", "size", "arch", "last_pull", "last_push"]
    assert (item["id"], item["arch"], item["last_pull"]) == (TEMPLATE, "amd64", 0)
    assert item["last_push"] > 1_700_000_000


async def test_a_template_shows_its_versions_and_counts_shared_layers_once(http, client):
    base, second = await three_tags(client)
    _, answer, _ = await call(http, "GET", f"/registry/v2/vm?id={TEMPLATE}")
    body = answer["body"]
    assert list(body) == ["id", "name", "versions", "size", "arch", "last_pull", "last_push"]
    assert list(body["versions"][0]) == [
        *("number", "tag", "config_file", "nvram", "images", "state_files", "description"),
        *("state_file", "size", "arch", "last_pull", "last_push", "creation_date"),
    ]
    assert [v["number"] for v in body["versions"]] == [0, 1, 2]
    assert body["versions"][1]["images"] == [digest_of(second), digest_of(base)]
    assert body["versions"][0]["description"] == "for tests"
    config = len(msgspec.json.encode(CONFIG))
    assert body["versions"][0]["size"] == len(base) + config
    assert body["versions"][1]["size"] == len(base) + len(second) + config
    assert body["size"] == body["versions"][2]["size"]
    _, v1, _ = await call(http, "GET", f"/registry/vm?id={TEMPLATE}")
    assert list(v1) == ["status", "body", "message"]
    assert list(v1["body"]) == ["id", "name", "versions", "size", "arch"]


async def test_a_template_that_is_not_there_is_fail_with_200(http):
    for method, path in (
        ("GET", "/registry/vm?id=x"),
        ("GET", "/registry/v2/vm?id=x"),
        ("GET", "/registry/vm/info?id=x"),
        ("DELETE", "/registry/vm?id=x"),
        ("DELETE", "/registry/revert?id=x"),
    ):
        status, answer, _ = await call(http, method, path)
        assert (status, answer) == (200, {"status": "FAIL", "message": "Not found"}), path


async def test_what_is_not_known_is_a_fail_as_json(http):
    assert (await call(http, "GET", "/registry/nope"))[:2] == (
        404,
        {"status": "FAIL", "message": "Not found"},
    )


async def test_the_configuration_of_a_version(http, client):
    base, _ = await three_tags(client)
    _, answer, _ = await call(http, "GET", f"/registry/vm/info?id={TEMPLATE}&tag=v1")
    body = answer["body"]
    assert (body["name"], body["uuid"], body["ram"]) == ("base", TEMPLATE, "2G")
    assert body["cpu"] == {"cores": 2}
    assert body["hard_drives"][0]["file"] == digest_of(base)
    (card,) = body["network_cards"]
    assert card["port_forwarding_rules"][0]["guest_port"] == 22
    _, latest, _ = await call(http, "GET", f"/registry/vm/info?id={TEMPLATE}")
    assert latest["body"]["hard_drives"][0]["file"] != digest_of(base)


@pytest.mark.parametrize("which", ["tag=v2", "tag_name=v2", "version=1", "number=1"])
async def test_revert_takes_the_target_and_everything_newer(http, client, which):
    await three_tags(client)
    status, answer, _ = await call(http, "DELETE", f"/registry/revert?id={TEMPLATE}&{which}")
    assert (status, answer) == (200, {"status": "OK", "message": "", "body": None})
    assert await tags(http) == [(0, "v1")]
    assert not await client.has_manifest(TEMPLATE, "v2")


@pytest.mark.parametrize("which", ["tag=v2", "version=1", "number=1"])
async def test_revert_keeps_its_target_when_asked_to(http, client, which):
    await three_tags(client)
    where = f"/registry/revert?id={TEMPLATE}&{which}&keep_target=true"
    for _ in range(2):
        status, answer, _ = await call(http, "DELETE", where)
        assert (status, answer) == (200, {"status": "OK", "message": "", "body": None})
        assert await tags(http) == [(0, "v1"), (1, "v2")]
    status, _, _ = await call(http, "DELETE", f"/registry/revert?id={TEMPLATE}&keep_target=maybe")
    assert status == 400


@pytest.mark.parametrize("body", [b'{"tag":"v2"}', b'{"number":1}', b'{"version":"1"}'])
async def test_revert_reads_a_body_under_any_content_type(http, client, body):
    await three_tags(client)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    where = f"/registry/revert?id={TEMPLATE}"
    status, _, _ = await call(http, "DELETE", where, data=body, headers=headers)
    assert status == 200
    assert await tags(http) == [(0, "v1")]


async def test_revert_without_target_removes_the_latest(http, client):
    await three_tags(client)
    await call(http, "DELETE", f"/registry/revert?id={TEMPLATE}")
    assert await tags(http) == [(0, "v1"), (1, "v2")]


async def test_revert_to_what_does_not_exist_removes_nothing(http, client):
    await three_tags(client)
    status, answer, _ = await call(http, "DELETE", f"/registry/revert?id={TEMPLATE}&tag=v9")
    assert status == 400
    assert answer == {"status": "FAIL", "message": "Did not find any versions with tag v9"}
    status, _, _ = await call(http, "DELETE", f"/registry/revert?id={TEMPLATE}&number=9")
    assert status == 400
    assert len(await tags(http)) == 3


async def test_revert_of_the_first_version_removes_the_template(http, client):
    await three_tags(client)
    await call(http, "DELETE", f"/registry/revert?id={TEMPLATE}&number=0")
    _, answer, _ = await call(http, "GET", "/registry/v2/vm")
    assert answer["body"] == []


async def test_a_reverted_tag_may_be_pushed_again(http, client):
    await three_tags(client)
    await call(http, "DELETE", f"/registry/revert?id={TEMPLATE}&tag=v3")
    await push(client, TEMPLATE, "v3", [qcow2()], CONFIG)
    assert await tags(http) == [(0, "v1"), (1, "v2"), (3, "v3")]


async def test_a_removed_template_is_gone_with_its_tags(http, client):
    await three_tags(client)
    status, answer, _ = await call(http, "DELETE", f"/registry/vm?id={TEMPLATE}")
    assert (status, answer) == (200, {"status": "OK", "message": "", "body": None})
    assert not await client.has_manifest(TEMPLATE, "v1")
    status, answer, _ = await call(http, "GET", f"/registry/v2/vm?id={TEMPLATE}")
    assert answer["status"] == "FAIL"


async def test_the_architecture_can_be_corrected(http, client):
    await three_tags(client)
    body = msgspec.json.encode({"id": TEMPLATE, "arch": "arm64"})
    status, answer, _ = await call(http, "PUT", "/registry/vm/arch", data=body)
    assert (status, answer["body"]) == (200, None)
    _, answer, _ = await call(http, "GET", "/registry/v2/vm")
    assert answer["body"][0]["arch"] == "arm64"
    bad = msgspec.json.encode({"id": TEMPLATE, "arch": "mips"})
    status, answer, _ = await call(http, "PUT", "/registry/vm/arch", data=bad)
    assert (status, answer["status"]) == (400, "FAIL")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"id": 7}', b"\xff", b'{"version": "x"}'])
async def test_a_malformed_body_is_400(http, client, body):
    await three_tags(client)
    query = "" if b'"id"' in body else f"?id={TEMPLATE}"
    status, answer, _ = await call(http, "DELETE", f"/registry/revert{query}", data=body)
    assert (status, answer["status"]) == (400, "FAIL")
    assert len(await tags(http)) == 3


async def test_only_a_real_pull_moves_last_pull(http, client):
    await three_tags(client)
    await client.has_manifest(TEMPLATE, "v1")
    await call(http, "GET", f"/registry/vm/info?id={TEMPLATE}&tag=v1")
    await call(http, "GET", f"/registry/v2/vm?id={TEMPLATE}")
    await client.manifest(TEMPLATE, "v2")

    async def pulls():
        _, answer, _ = await call(http, "GET", f"/registry/v2/vm?id={TEMPLATE}")
        found = [v["last_pull"] > 0 for v in answer["body"]["versions"]]
        return found if any(found) else None

    assert await until(pulls) == [False, True, False]
    _, answer, _ = await call(http, "GET", "/registry/v2/vm")
    assert answer["body"][0]["last_pull"] > 0


async def test_a_repository_that_is_no_uuid_has_an_id_made_from_its_name(http, client):
    await push(client, "team/base", "v1", [qcow2()])
    _, answer, _ = await call(http, "GET", "/registry/v2/vm")
    identity = answer["body"][0]["id"]
    assert str(uuid.UUID(identity)) == identity
    assert await tags(http, identity) == [(0, "v1")]


@pytest.mark.parametrize(
    ("which", "left"),
    [
        ({"tag": "v1"}, [(0, "v1")]),
        ({"number": 1}, [(0, "v1"), (1, "v2")]),
        ({"version": 2}, [(0, "v1"), (1, "v2"), (2, "v3")]),
        ({}, [(0, "v1"), (1, "v2")]),
    ],
)
async def test_revert_may_keep_the_version_that_is_named(http, client, which, left):
    await three_tags(client)
    body = msgspec.json.encode({"id": TEMPLATE, "keep_target": True} | which)
    status, answer, _ = await call(http, "DELETE", "/registry/revert", data=body)
    assert (status, answer["body"]) == (200, None)
    assert await tags(http) == left


async def test_a_dry_run_tells_what_a_revert_would_remove_and_removes_nothing(http, client):
    await three_tags(client)
    where = f"/registry/revert?id={TEMPLATE}&tag=v2&dry_run=true"
    _, answer, _ = await call(http, "DELETE", where)
    assert answer["body"] == {"removed": [{"number": 1, "tag": "v2"}, {"number": 2, "tag": "v3"}]}
    _, answer, _ = await call(http, "DELETE", f"{where}&keep_target=true")
    assert answer["body"] == {"removed": [{"number": 2, "tag": "v3"}]}
    assert len(await tags(http)) == 3
    assert await client.has_manifest(TEMPLATE, "v3")


async def test_revert_tells_what_went_when_it_is_asked_to(http, client):
    await three_tags(client)
    where = f"/registry/revert?id={TEMPLATE}&number=1&show_removed=true"
    _, answer, _ = await call(http, "DELETE", where)
    assert [item["tag"] for item in answer["body"]["removed"]] == ["v2", "v3"]
    status, answer, _ = await call(http, "DELETE", f"/registry/revert?id={TEMPLATE}&dry_run=maybe")
    assert (status, answer["status"]) == (400, "FAIL")


@pytest.mark.parametrize("tag", ["a+b", "rel:1.2", "with space", "ünï-✓", "50%", "a&b=c", "x/y"])
async def test_any_tag_name_is_found_shown_and_reverted(http, client, tag):
    await push(client, TEMPLATE, "first", [qcow2()], CONFIG)
    await push(client, TEMPLATE, tag, [qcow2()], CONFIG)
    assert await tags(http) == [(0, "first"), (1, tag)]
    named = {"id": TEMPLATE, "tag": tag}
    _, answer, _ = await call(http, "GET", "/registry/vm/info", params=named)
    assert answer["body"]["uuid"] == TEMPLATE
    status, _, _ = await call(http, "DELETE", "/registry/revert", params=named)
    assert (status, await tags(http)) == (200, [(0, "first")])


async def test_the_index_page_leads_to_what_there_is(http):
    async with http.get("/") as response:
        page = await response.text()
        assert (response.status, response.content_type) == (200, "text/html")
    async with http.get("/" + re.search(r'href="(registry/v2/vm)"', page)[1]) as response:
        assert response.status == 200
