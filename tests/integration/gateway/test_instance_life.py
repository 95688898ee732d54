from contracts.instances import (
    InstanceDocument,
    InstanceState,
    RestartVM,
    StartVM,
    TerminateVM,
    UpdateVM,
)
from tests.integration.gateway.cloud import EPOCH, NODE, TEMPLATE, Api, Cloud, running
from tests.waiting import until


async def test_a_start_answers_ids_that_are_durable_listed_and_sent(api: Api, cloud: Cloud):
    ids = await api.start(count=2, external_id="ci-job-81")
    assert len(set(ids)) == 2
    assert set(await api.listed()) == set(ids)
    for identity in ids:
        document = await cloud.store.get("instances", InstanceDocument, identity)
        assert document is not None
        assert (document.generation, document.status_revision, document.pending) == (1, 0, True)
        assert document.spec.template.tag == "v2"
    await until(lambda: len(cloud.said(StartVM)) == 2)
    assert {message.instance.id for message in cloud.said(StartVM)} == set(ids)


async def test_a_new_instance_looks_as_documented(api: Api, cloud: Cloud):
    (identity,) = await api.start(external_id="ci-job-81")
    vm = await api.vm(identity)
    assert set(vm) == {
        "instance_id",
        "instance_state",
        "anka_registry",
        "vmid",
        "tag",
        "inflight_reqid",
        "ts",
        "cr_time",
        "progress",
        "external_id",
        "arch",
        "vlan",
    }
    assert vm["instance_state"] == "Scheduling"
    assert vm["vmid"] == TEMPLATE
    assert vm["progress"] == 0
    assert vm["vlan"] == ""


async def test_a_started_instance_has_a_complete_vminfo(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    await cloud.move(identity, state=InstanceState.STARTED, node_id=NODE, vminfo=running())
    item = await until(lambda: _state(api, identity, "Started"))
    info = item["vm"]["vminfo"]
    assert info["ram"] == "4G"
    assert info["stop_date"] == "0001-01-01T00:00:00Z"
    assert info["port_forwarding"] == [
        {"guest_port": 22, "host_port": 10000, "protocol": "tcp", "name": "ssh"}
    ]
    assert item["name"] is None
    assert item["vm"]["node_id"] == NODE


async def test_terminate_shows_at_once_and_is_ok_in_any_state(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    for _ in range(2):
        assert (await api("DELETE", "/api/v1/vm", {"id": identity})).body is None
        assert (await api.vm(identity))["instance_state"] == "Terminating"
    await until(lambda: cloud.said(TerminateVM))
    (said,) = cloud.said(TerminateVM)
    assert (said.generation, said.spec.terminate) == (2, True)
    await cloud.move(identity, state=InstanceState.TERMINATED)
    await until(lambda: _state(api, identity, "Terminated"))
    await cloud.remove(identity)
    await until(lambda: _gone(api, identity))
    assert (await api("DELETE", "/api/v1/vm", {"id": identity})).failure == "Not found"


async def test_only_a_started_or_stopped_instance_restarts(api: Api, cloud: Cloud):
    (identity,) = await api.start()
    refused = await api("POST", "/api/v1/rpc/vm/restart", {"instance_id": identity})
    assert "Scheduling" in refused.failure
    await cloud.move(identity, state=InstanceState.STARTED, node_id=NODE, vminfo=running())
    assert (await api("POST", "/api/v1/rpc/vm/restart", {"id": identity})).body is None
    await until(lambda: cloud.said(RestartVM))
    (said,) = cloud.said(RestartVM)
    assert (said.spec.restarts, said.generation) == (1, 2)
    unknown = await api("POST", "/api/v1/rpc/vm/restart", {"id": "nobody"})
    assert unknown.failure == "Not found"


async def test_put_replaces_given_keys_and_keeps_others(api: Api, cloud: Cloud):
    (identity,) = await api.start(metadata={"a": 1, "b": True})
    path = f"/api/v1/vm?id={identity}"
    metadata = {"b": "x", "$c.d": 2.0}
    changed = await api("PUT", path, {"name": "build 7", "metadata": metadata})
    assert changed.body is None
    vm = await api.vm(identity)
    assert vm["name"] == "build 7"
    assert vm["metadata"] == {"a": 1, "b": "x", "$c.d": 2}
    document = await cloud.store.get("instances", InstanceDocument, identity)
    assert document is not None
    assert document.generation == 2
    assert (await api("PUT", "/api/v1/vm?id=nobody", {"name": "x"})).failure == "Not found"


async def _state(api: Api, identity: str, state: str):
    item = (await api.listed())[identity]
    return item if item["vm"]["instance_state"] == state else None


async def _gone(api: Api, identity: str) -> bool:
    return identity not in await api.listed()


async def test_a_time_to_live_counts_from_started(api: Api, cloud: Cloud):
    (identity,) = await api.start(ttl="600")
    vm = await api.vm(identity)
    assert (vm["ttl"], "expires_at" in vm) == (600, False)
    started = {"state": InstanceState.STARTED, "was_started": True, "started": EPOCH}
    await cloud.move(identity, **started, node_id=NODE, vminfo=running())
    item = await until(lambda: _state(api, identity, "Started"))
    assert item["vm"]["expires_at"] == "2031-05-04T10:10:00Z"


async def test_put_moves_the_time_to_live_and_the_scheduler_is_sure_to_hear_of_it(
    api: Api, cloud: Cloud, instance: str
):
    await api("PUT", f"/api/v1/vm?id={instance}", {"name": "x"})
    assert await cloud.store.count("instances", {"pending": True}) == 0
    assert (await api("PUT", f"/api/v1/vm?id={instance}", {"ttl": 30})).body is None
    assert await cloud.store.count("instances", {"pending": True}) == 1
    await until(lambda: [m for m in cloud.said(UpdateVM) if m.spec.ttl == 30])
    assert (await api.vm(instance))["ttl"] == 30
    refused = await api("PUT", f"/api/v1/vm?id={instance}", {"ttl": -1})
    assert (refused.code, refused.json["message"].partition(":")[0]) == (400, "ttl")


async def test_the_default_time_to_live_is_for_those_without_their_own(cloud: Cloud):
    await cloud.add_template()
    await cloud.add_node()
    api = await cloud.gateway(default_ttl=3600)
    ids = [(await api.start(**wish))[0] for wish in ({}, {"ttl": 60}, {"ttl": 0})]
    assert [(await api.vm(identity)).get("ttl") for identity in ids] == [3600, 60, None]
