"""``GET /api/v1/vm/explain``: why it waits, and what would change it."""

from contracts.instances import InstanceState, Reason
from tests.integration.gateway.cloud import NODE, Api, Cloud, running
from tests.waiting import until


async def _explained(api: Api, identity: str) -> dict:
    return (await api("GET", f"/api/v1/vm/explain?id={identity}")).body


async def test_each_reason_has_its_count_its_groups_and_a_remedy(api: Api, cloud: Cloud):
    group = (await api("POST", "/api/v1/group", {"name": "ios"})).body["id"]
    (identity,) = await api.start(group_id=group)
    reasons = (
        Reason(
            filter="capacity",
            message="the node has no free capacity",
            nodes=3,
            groups=(group, "gone"),
        ),
        Reason(filter="drain", message="the node is in drain mode", nodes=1),
        Reason(filter="from-tomorrow", message="the node is too young", nodes=2),
    )
    await cloud.move(identity, reasons=reasons)
    found = await until(lambda: _with_reasons(api, identity))
    assert (found["waits"], found["message"]) == (True, "no node takes it now")
    capacity, drain, unknown = found["reasons"]
    assert (capacity["filter"], capacity["nodes"]) == ("capacity", 3)
    assert capacity["groups"] == [{"id": group, "name": "ios"}, {"id": "gone", "name": ""}]
    assert "max_vm_count" in capacity["remedy"]
    assert "drain_mode" in drain["remedy"]
    assert drain["groups"] == []
    assert unknown["remedy"].startswith("Wait")


async def test_one_that_does_not_wait_says_what_it_does(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    assert (await _explained(api, identity))["message"] == "the scheduler has not seen it yet"
    for message, move in (
        ("its node starts it", {"live": True, "node_id": NODE, "attempt": 1}),
        ("its node downloads the template", {"state": InstanceState.PULLING}),
        ("it is Started", {"state": InstanceState.STARTED, "vminfo": running()}),
        ("no disk", {"state": InstanceState.ERROR, "message": "no disk"}),
    ):
        await cloud.move(identity, **move)
        await until(lambda message=message: _says(api, identity, message))
        found = await _explained(api, identity)
        assert (found["waits"], found["reasons"], found["node_id"]) == (False, [], NODE)


async def test_only_what_exists_is_explained(api: Api):
    assert (await api("GET", "/api/v1/vm/explain?id=nobody")).failure == "Not found"
    answer = await api("GET", "/api/v1/vm/explain")
    assert (answer.code, answer.json["message"]) == (400, "id: required field is missing")


async def _with_reasons(api: Api, identity: str) -> dict | None:
    found = await _explained(api, identity)
    return found if found["reasons"] else None


async def _says(api: Api, identity: str, message: str) -> bool:
    return (await _explained(api, identity))["message"] == message
