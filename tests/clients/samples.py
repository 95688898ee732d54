"""Some of everything that the table of fields is about, as the gateway answers it."""

from typing import Any

from contracts.images import ImageFailure, ImageState
from contracts.instances import InstanceState
from tests.clients.stage import LOST, MONITORED, ODD, Stage
from tests.integration.gateway.cloud import NODE, SUSPENDED, TEMPLATE
from tests.integration.gateway.owners import move_image
from tests.waiting import until

Samples = dict[str, list[Any]]
FULL = {
    **MONITORED,
    "tag": "v1",
    "name": "nightly",
    "external_id": "job-1",
    "metadata": {"team": "ios", "retry": 2, "nightly": True},
    "vlan_tag": "12",
}
"""A wish with every optional field that is shown."""

FAILURES = (
    ("POST", "/api/v1/vm", {"vmid": TEMPLATE, "tag": "none"}),
    ("POST", "/api/v1/vm", {"vmid": "none"}),
    ("GET", "/api/v1/vm?id=none", None),
    ("PUT", "/api/v1/vm?id=none", {"name": "x"}),
    ("DELETE", "/api/v1/vm", {"id": "none"}),
    ("GET", "/api/v1/node?id=none", None),
    ("GET", "/api/v1/registry/vm?id=none", None),
    ("GET", "/api/v1/image?id=none", None),
)
MALFORMED = (
    ("POST", "/api/v1/vm", b'{"vmid": '),
    ("POST", "/api/v1/vm", {}),
    ("DELETE", "/api/v1/vm", {"id": 7}),
)
SUCCESSES = (
    *("/api/v1/vm", "/api/v1/node", "/api/v1/group", "/api/v1/registry/vm"),
    *("/api/v1/registry/vm/distribute", "/api/v1/image"),
    *("/api/v1/status", "/api/v1/registry/disk"),
)


async def collected(stage: Stage) -> Samples:
    """One of each state, one with everything and one with nothing, all kinds of nodes."""
    samples = await _nodes(stage) | await _rest(stage)
    samples |= await _instances(stage, samples["group"][0]["id"])
    assert all(samples.values()), "no sample of something"
    return samples


async def _instances(stage: Stage, group: str) -> Samples:
    api = stage.api
    started = await stage.in_state(InstanceState.STARTED)
    items = [await stage.in_state(state) for state in InstanceState] + [started]
    items += [await stage.in_state(state, **FULL, group_id=group) for state in InstanceState]
    items.append(await stage.in_state(InstanceState.STARTED, version=0))
    items.append(await stage.in_state(InstanceState.STARTED, ip=""))
    flat = [await api.vm(item["instance_id"]) for item in items]
    vms = [item["vm"] for item in items] + flat
    created = await api("POST", "/api/v1/vm", {"vmid": TEMPLATE, "count": 3})
    return {
        "listed": items,
        "vm": vms,
        "started": [vm for vm in vms if vm["instance_state"] == "Started"],
        "vminfo": [vm["vminfo"] for vm in vms if "vminfo" in vm],
        "created": [created.json],
        **await _saves(stage, started["instance_id"]),
    }


async def _saves(stage: Stage, instance: str) -> Samples:
    ends: tuple[dict[str, Any], ...] = (
        {},
        {"state": ImageState.DONE},
        {"state": ImageState.ERROR, "failure": ImageFailure(message="no", kind="x", code=0)},
    )
    saves, images = [], []
    for end in ends:
        wish = {"id": instance, "target_vm_id": TEMPLATE, "tag": "v9"}
        save = (await stage.api("POST", "/api/v1/image", wish)).body
        if end:
            await move_image(stage.cloud.store, save["request_id"], **end)
        saves.append(save)
        images.append((await stage.api("GET", f"/api/v1/image?id={save['request_id']}")).body)
    assert [image["status"] for image in images] == ["pending", "done", "error"]
    return {"save": saves, "image": images}


async def _nodes(stage: Stage) -> Samples:
    api = stage.api
    for wish in ({"name": "plain"}, {"name": "described", "description": "of the checklist"}):
        group = (await api("POST", "/api/v1/group", wish)).body["id"]
        body = {"group_ids": [group], "node_ids": [NODE, LOST]}
        assert (await api("POST", "/api/v1/node/group", body)).body is None
    config = {"node_id": ODD, "capacity_mode": "resource", "drain_mode": True}
    assert (await api("POST", "/api/v1/node/config", config)).body is None

    async def all_known() -> list[Any] | None:
        nodes = (await api("GET", "/api/v1/node")).body
        states = {node["state"] for node in nodes}
        return nodes if states == {"Active", "Offline", "Drain Mode"} else None

    return {
        "node": await until(all_known),
        "group": (await api("GET", "/api/v1/group")).body,
    }


async def _rest(stage: Stage) -> Samples:
    api = stage.api
    details = [
        (await api("GET", f"/api/v1/registry/vm?id={identity}")).body
        for identity in (TEMPLATE, SUSPENDED)
    ]
    return {
        "status": [(await api("GET", "/api/v1/status")).body],
        "template": (await api("GET", "/api/v1/registry/vm")).body,
        "versions": details,
        "disk": [(await api("GET", "/api/v1/registry/disk")).body],
        "answer": [(await api("GET", path)).json for path in SUCCESSES],
        "failure": [(await api(*call)).json for call in (*FAILURES, *MALFORMED)],
    }
