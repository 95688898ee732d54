"""``/api/v1/config``: an addition of ours, so its shape is decided here."""

import asyncio

import pytest

from contracts.configuration import ConfigurationChanged
from contracts.events import EventHappened, EventKind
from tests.integration.gateway.cloud import Api, Cloud
from tests.waiting import until

PATH = "/api/v1/config"
OWN = "http://127.0.0.1:1"
OTHER = "http://registry.example:8089"


async def config(api: Api):
    return (await api("GET", PATH)).body


async def test_without_any_change_all_is_as_the_gateway_was_set(api: Api):
    assert await config(api) == {
        "registry_address": OWN,
        "registry_address_override": "",
        "central_logging": True,
    }


async def test_another_registry_address_reaches_new_instances_and_the_status(api: Api):
    (before,) = await api.start()
    assert (await api("PUT", PATH, {"registry_address": OTHER + "/"})).body is None
    assert await config(api) == {
        "registry_address": OTHER,
        "registry_address_override": OTHER,
        "central_logging": True,
    }
    assert (await api("GET", "/api/v1/status")).body["registry_address"] == OTHER
    (after,) = await api.start()
    shown = [(await api.vm(identity))["anka_registry"] for identity in (before, after)]
    assert shown == [OWN, OTHER]
    assert (await api("PUT", PATH, {"registry_address": ""})).body is None
    assert (await config(api))["registry_address"] == OWN


async def test_what_is_not_given_stays(api: Api):
    await api("PUT", PATH, {"registry_address": OTHER})
    await api("PUT", PATH, {"central_logging": False})
    await api("PUT", PATH, {"central_logging": None, "unknown": 5})
    found = await config(api)
    assert (found["registry_address"], found["central_logging"]) == (OTHER, False)


async def test_a_change_is_announced_with_its_event(api: Api, cloud: Cloud):
    await api("PUT", PATH, {"central_logging": False}, headers={"X-Request-ID": "req-7"})
    [changed] = await until(lambda: cloud.said(ConfigurationChanged))
    assert (changed.configuration.generation, changed.configuration.central_logging) == (1, False)
    [event] = await until(lambda: cloud.said(EventHappened))
    assert (event.kind, event.request_id) == (EventKind.CONFIG_CHANGED, "req-7")
    assert event.fields == {"central_logging": False}
    assert (await api("PUT", PATH, {})).body is None
    assert len(cloud.said(ConfigurationChanged)) == 1


async def test_other_gateways_follow_and_a_new_one_knows_from_the_start(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    await api("PUT", PATH, {"registry_address": OTHER})

    async def followed():
        return (await other("GET", "/api/v1/status")).body["registry_address"] == OTHER

    await until(followed)
    late = await cloud.gateway(groups_seconds=3600)
    (identity,) = await late.start()
    assert (await late.vm(identity))["anka_registry"] == OTHER


async def test_changes_at_the_same_moment_are_all_kept(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    await asyncio.gather(
        api("PUT", PATH, {"registry_address": OTHER}),
        other("PUT", PATH, {"central_logging": False}),
    )
    found = await config(api)
    assert (found["registry_address"], found["central_logging"]) == (OTHER, False)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"registry_address": "registry:8089"}, "registry_address"),
        ({"registry_address": "ftp://x"}, "registry_address"),
        ({"registry_address": "http://"}, "registry_address"),
        ({"registry_address": "http://[::1"}, "registry_address"),
        ({"registry_address": "http://x:99999"}, "registry_address"),
        ({"registry_address": 5}, "registry_address"),
        ({"central_logging": "yes"}, "central_logging"),
    ],
)
async def test_what_is_no_setting_is_named(api: Api, body, field):
    answer = await api("PUT", PATH, body)
    assert answer.code == 400
    assert answer.json["message"].startswith(f"{field}: ")
    assert (await config(api))["registry_address_override"] == ""
