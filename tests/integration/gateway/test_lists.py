"""Filters, pages and ETags of lists: ours, and without them a list is as it always was."""

from itertools import chain

import pytest

from contracts.instances import InstanceState
from tests.integration.gateway.cloud import NODE, SUSPENDED, TEMPLATE, Answer, Api, Cloud, running
from tests.waiting import until

LISTS = ("/api/v1/vm", "/api/v1/node", "/api/v1/registry/vm")


async def _ids(api: Api, query: str) -> set[str]:
    answer = await api("GET", f"/api/v1/vm?{query}")
    ids = [item["instance_id"] for item in answer.body]
    assert answer.headers["X-Total-Count"] == str(len(ids))
    return set(ids)


async def _pages(api: Api, path: str, key: str) -> list[list[str]]:
    """Follow the links to the end."""
    pages: list[list[str]] = []
    following: str | None = path
    while following is not None:
        answer = await api("GET", following)
        pages.append([item[key] for item in answer.body])
        following = _next(answer)
    return pages


def _next(answer: Answer) -> str | None:
    link = answer.headers.get("Link")
    if link is None:
        return None
    target, _, relation = link.partition(">; ")
    assert relation == 'rel="next"'
    return target.removeprefix("<")


async def test_instances_are_found_by_what_was_asked_for(api: Api, cloud: Cloud):
    await cloud.add_template(SUSPENDED, ("w1",))
    group = (await api("POST", "/api/v1/group", {"name": "ios"})).body["id"]
    (one,) = await api.start(name="n 1", external_id="job/1", metadata={"a": 1, "b": True})
    (two,) = await api.start(tag="v1", metadata={"a": "1", "c": 2.5})
    (three,) = await api.start(vmid=SUSPENDED, group_id=group)
    assert await _ids(api, "name=n%201") == {one}
    assert await _ids(api, "external_id=job/1") == {one}
    assert await _ids(api, "tag=v1") == {two}
    assert await _ids(api, f"vmid={TEMPLATE}") == {one, two}
    assert await _ids(api, f"template={SUSPENDED}") == {three}
    assert await _ids(api, "template=base") == {one, two, three}
    assert await _ids(api, f"group_id={group}") == {three}
    assert await _ids(api, "metadata=a=1") == {one, two}
    assert await _ids(api, "metadata=a=1&metadata=b=true") == {one}
    assert await _ids(api, "metadata=c=2.5") == {two}
    assert await _ids(api, "metadata=a=") == set()
    assert await _ids(api, "name=nobody") == set()
    assert await _ids(api, f"vmid={TEMPLATE}&tag=v1") == {two}
    assert await _ids(api, "tag=v1&tag=w1") == {two, three}


async def test_instances_are_found_by_state_and_node(api: Api, cloud: Cloud, instance: str):
    (waiting,) = await api.start()
    await until(lambda: _has(api, "state=Started", {instance}))
    assert await _ids(api, f"node_id={NODE}") == {instance}
    assert await _ids(api, "state=Scheduling") == {waiting}
    assert await _ids(api, "state=Scheduling&state=Started") == {waiting, instance}
    await api("DELETE", "/api/v1/vm", {"id": instance})
    assert await _ids(api, "state=Terminating") == {instance}


async def test_a_filtered_list_holds_what_another_gateway_accepted_before_it(
    api: Api, cloud: Cloud
):
    other = await cloud.gateway()
    for number in range(10):
        ids = await other.start(name=f"n{number}")
        assert await _ids(api, f"name=n{number}") == set(ids)


async def test_nodes_are_found_by_state_group_and_name(api: Api, cloud: Cloud):
    await cloud.add_node("node-2", name="mini-02", drain=True)
    await until(lambda: _nodes(api, "", {NODE, "node-2"}))
    group = (await api("POST", "/api/v1/group", {"name": "ios"})).body["id"]
    await api("POST", "/api/v1/node/group", {"group_ids": [group], "node_ids": ["node-2"]})
    assert await _nodes(api, "name=mini-01", {NODE})
    assert await _nodes(api, "state=Active", {NODE})
    assert await _nodes(api, "state=Drain%20Mode&group=ios", {"node-2"})
    assert await _nodes(api, f"group={group}", {"node-2"})
    assert await _nodes(api, f"group_id={group}&name=mini-01", set())


async def test_templates_are_found_by_name(api: Api):
    assert len((await api("GET", "/api/v1/registry/vm?name=base")).body) == 1
    assert (await api("GET", "/api/v1/registry/vm?name=other")).body == []


async def test_pages_hold_every_instance_once_oldest_first(api: Api):
    ids = [identity for _ in range(4) for identity in await api.start(count=3)]
    pages = await _pages(api, "/api/v1/vm?limit=5", "instance_id")
    assert [len(page) for page in pages] == [5, 5, 2]
    found = list(chain(*pages))
    assert [set(found[n : n + 3]) for n in range(0, 12, 3)] == [
        set(ids[n : n + 3]) for n in range(0, 12, 3)
    ]


async def test_what_changes_between_pages_moves_no_other_element(api: Api, cloud: Cloud):
    ids = await api.start(count=9)
    first = await api("GET", "/api/v1/vm?limit=3")
    seen = [item["instance_id"] for item in first.body]
    gone, left = seen[2], min(set(ids) - set(seen))
    for removed in (gone, left):
        await cloud.move(removed, state=InstanceState.TERMINATED)
        await cloud.remove(removed)
        await until(lambda removed=removed: _is_gone(api, removed))
    (new,) = await api.start()
    rest = await _pages(api, _next(first) or "", "instance_id")
    assert sorted([*seen, *chain(*rest)]) == sorted({*ids, new} - {left})


async def test_pages_of_a_filter_stay_within_it(api: Api):
    await api.start(count=4, tag="v1")
    wanted = await api.start(count=5, tag="v2")
    answer = await api("GET", "/api/v1/vm?tag=v2&limit=2")
    assert answer.headers["X-Total-Count"] == "5"
    pages = await _pages(api, "/api/v1/vm?tag=v2&limit=2", "instance_id")
    assert sorted(chain(*pages)) == sorted(wanted)


async def test_nodes_and_templates_have_pages_too(api: Api, cloud: Cloud):
    for number in range(4):
        await cloud.add_node(f"node-{number}")
    await cloud.add_template(SUSPENDED)
    await until(lambda: _nodes(api, "name=mini-01", {NODE, *(f"node-{n}" for n in range(4))}))
    pages = await _pages(api, "/api/v1/node?limit=2", "node_id")
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(chain(*pages)) == list(chain(*pages))
    other = await cloud.gateway()
    assert await _pages(other, "/api/v1/registry/vm?limit=1", "id") == [[TEMPLATE], [SUSPENDED]]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("vm?state=Running", "state"),
        ("node?state=Started", "state"),
        ("vm?limit=0", "limit"),
        ("vm?limit=-1", "limit"),
        ("vm?limit=x", "limit"),
        ("node?limit=%D9%A1", "limit"),
        ("vm?limit=99999999999999999999", "limit"),
        ("vm?after=x", "after"),
        ("vm?after=%FF", "after"),
        ("vm?after=WyJ4IiwieCJd", "after"),
        ("registry/vm?after=bnVsbA", "after"),
        ("vm?metadata=a", "metadata"),
        ("vm?metadata==a", "metadata"),
    ],
)
async def test_a_filter_that_cannot_be_is_named(api: Api, path, field):
    answer = await api("GET", f"/api/v1/{path}")
    assert answer.code == 400
    assert answer.json["message"].startswith(f"{field}: ")


@pytest.mark.parametrize("path", [*LISTS, "/api/v1/vm?limit=1", "/api/v1/vm?tag=v2"])
async def test_a_list_that_did_not_move_is_304_without_a_body(api: Api, path):
    await api.start()
    first = await api("GET", path)
    tag = first.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = await api("GET", path, headers={"If-None-Match": known})
        assert (again.code, again.raw, again.headers["ETag"]) == (304, b"", tag)
    other = await api("GET", path, headers={"If-None-Match": '"x"'})
    assert (other.code, other.raw) == (200, first.raw)


async def test_every_move_of_a_list_changes_its_etag(api: Api, cloud: Cloud):
    tags = [(await api("GET", "/api/v1/vm")).headers["ETag"]]

    async def moved() -> bool:
        tag = (await api("GET", "/api/v1/vm")).headers["ETag"]
        if tag in tags:
            return False
        tags.append(tag)
        return True

    (identity,) = await api.start()
    assert await moved()
    await api("PUT", f"/api/v1/vm?id={identity}", {"name": "x"})
    assert await moved()
    await cloud.move(identity, state=InstanceState.STARTED, node_id=NODE, vminfo=running())
    await until(moved)
    await api("DELETE", "/api/v1/vm", {"id": identity})
    assert await moved()
    await cloud.remove(identity)
    await until(lambda: _is_gone(api, identity))
    assert (await api("GET", "/api/v1/vm")).headers["ETag"] == tags[0]


async def test_the_etag_of_nodes_moves_with_their_groups_and_their_vms(
    api: Api, cloud: Cloud, instance: str
):
    await until(lambda: _nodes(api, "", {NODE}))
    before = (await api("GET", "/api/v1/node")).headers["ETag"]
    await api("POST", "/api/v1/node/config", {"node_id": NODE, "drain_mode": True})
    drained = (await api("GET", "/api/v1/node")).headers["ETag"]
    assert drained != before
    await cloud.move(instance, live=True, was_started=True)
    await until(lambda: _tag_is_not(api, "/api/v1/node", drained))


async def test_gateways_that_know_the_same_agree_on_etags(api: Api, cloud: Cloud, instance: str):
    await until(lambda: _has(api, "state=Started", {instance}))
    other = await cloud.gateway()
    for path in (*LISTS, f"/api/v1/vm?id={instance}"):
        tags = {(await each("GET", path)).headers["ETag"] for each in (api, other)}
        assert len(tags) == 1, path


async def test_an_instance_by_id_has_an_etag(api: Api):
    (identity,) = await api.start()
    path = f"/api/v1/vm?id={identity}"
    tag = (await api("GET", path)).headers["ETag"]
    assert (await api("GET", path, headers={"If-None-Match": tag})).code == 304
    await api("PUT", path, {"name": "x"})
    moved = await api("GET", path, headers={"If-None-Match": tag})
    assert moved.body["name"] == "x"
    assert moved.headers["ETag"] != tag


async def _has(api: Api, query: str, ids: set[str]) -> bool:
    return await _ids(api, query) == ids


async def _nodes(api: Api, query: str, ids: set[str]) -> bool:
    return {node["node_id"] for node in (await api("GET", f"/api/v1/node?{query}")).body} == ids


async def _tag_is_not(api: Api, path: str, tag: str) -> bool:
    return (await api("GET", path)).headers["ETag"] != tag


async def _is_gone(api: Api, identity: str) -> bool:
    return identity not in await api.listed()
