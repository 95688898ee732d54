"""The pool of MAC addresses over HTTP; the shapes are ours where the page leaves them open."""

import pytest

from contracts.instances import InstanceState
from contracts.macs import (
    POOL,
    FillMacPool,
    MacPoolDocument,
    MacPoolSpec,
    MacPoolStatus,
    PurgeMacPool,
    mac_number,
    mac_text,
)
from tests.integration.gateway.cloud import CAPABILITIES, EPOCH, NODE, TEMPLATE, Api, Cloud
from tests.waiting import until

PATH = "/api/v1/macaddr"
FIRST, LAST = "02:00:00:00:00:FE", "02:00:00:00:01:05"
OFF = "MAC addresses are not managed (CORRAL_MANAGE_MAC_ADDRESSES)"


def a_pool(*, managed: bool = True) -> MacPoolDocument:
    status = MacPoolStatus(
        observed_generation=1, managed=managed, first=FIRST, last=LAST, changed=EPOCH
    )
    return MacPoolDocument(
        id=POOL, created=EPOCH, status_revision=1, spec=MacPoolSpec(), status=status
    )


@pytest.fixture
async def api(cloud: Cloud) -> Api:
    await cloud.add_template()
    await cloud.add_node(capabilities=(*CAPABILITIES, "mac_address"))
    await cloud.store.insert("mac_pool", [a_pool()])
    return await cloud.gateway()


async def place(api: Api, cloud: Cloud, *addresses: str) -> list[str]:
    """Instances that run with these addresses."""
    ids = await api.start(count=len(addresses))
    for identity, address in zip(ids, addresses, strict=True):
        await cloud.move(
            identity, state=InstanceState.PULLING, node_id=NODE, live=True, mac_address=address
        )

    async def known():
        return (await api("GET", f"{PATH}?in_use=1")).body >= len(addresses)

    await until(known)
    return ids


async def asked(api: Api, query: str):
    return (await api("GET", f"{PATH}?{query}")).body


async def test_addresses_are_counted(api: Api, cloud: Cloud):
    assert await asked(api, "count=1") == 8
    await place(api, cloud, FIRST, LAST, "0A:00:00:00:00:01")
    assert await asked(api, "count=1") == 6
    assert await asked(api, "in_use=1") == 3
    assert await asked(api, "count=1&in_use=1") == 3


async def test_addresses_are_listed_in_order_without_those_in_use(api: Api, cloud: Cloud):
    await place(api, cloud, mac_text(mac_number(FIRST) + 1))
    listed = await asked(api, "limit=3")
    assert listed == [FIRST, "02:00:00:00:01:00", "02:00:00:00:01:01"]
    assert await asked(api, "in_use=1&limit=500") == ["02:00:00:00:00:FF"]


async def test_pages_follow_each_other_without_gap_or_repeat(api: Api, cloud: Cloud):
    await place(api, cloud, LAST)
    found: list[str] = []
    page = await asked(api, "limit=3")
    while page:
        found += page
        page = await asked(api, f"limit=3&last={found[-1]}")
    assert found == [mac_text(mac_number(FIRST) + place) for place in range(7)]
    assert await asked(api, f"last={found[-2].lower()}") == [found[-1]]


async def test_an_instance_shows_the_address_that_it_was_given(api: Api, cloud: Cloud):
    [identity] = await place(api, cloud, FIRST)
    assert (await api.vm(identity))["mac_address"] == FIRST


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "count"),
        ("count=0", "count"),
        ("limit=0", "limit"),
        ("limit=many", "limit"),
        ("limit=10001", "limit"),
        ("last=5", "last"),
    ],
)
async def test_bad_questions_are_named(api: Api, query, field):
    answer = await api("GET", f"{PATH}?{query}")
    assert (answer.code, answer.json["status"]) == (400, "FAIL")
    assert answer.json["message"].startswith(f"{field}: ")


async def test_purge_and_fill_are_wishes_that_show_at_once(api: Api, cloud: Cloud):
    await place(api, cloud, FIRST)
    assert (await api("DELETE", PATH)).body is None
    assert await asked(api, "count=1") == 0
    assert await asked(api, "limit=5") == []
    assert await asked(api, "in_use=1") == 1
    stored = await cloud.store.get("mac_pool", MacPoolDocument, POOL)
    assert stored is not None
    assert (stored.generation, stored.pending, stored.spec.purged) == (2, True, True)
    assert stored.spec.request_id
    assert (await api("PUT", PATH)).body is None
    assert await asked(api, "count=1") == 7
    await until(lambda: cloud.said(FillMacPool))
    [purge], [fill] = cloud.said(PurgeMacPool), cloud.said(FillMacPool)
    assert (purge.generation, purge.spec.purged) == (2, True)
    assert (fill.generation, fill.spec.purged) == (3, False)


@pytest.mark.parametrize("never", [True, False])
async def test_without_management_every_call_says_so(cloud: Cloud, never):
    await cloud.add_template()
    await cloud.add_node(capabilities=(*CAPABILITIES, "mac_address"))
    if not never:
        await cloud.store.insert("mac_pool", [a_pool(managed=False)])
    api = await cloud.gateway()
    for verb, query in (("GET", "?count=1"), ("GET", "?limit=5"), ("PUT", ""), ("DELETE", "")):
        assert (await api(verb, PATH + query)).failure == OFF
    wish = {"vmid": TEMPLATE, "mac_address": FIRST}
    assert (await api("POST", "/api/v1/vm", wish)).failure == f"mac_address: {OFF}"


async def test_an_address_may_be_asked_for(api: Api):
    [identity] = await api.start(mac_address="0A:1B:2C:3D:4E:5F")
    assert (await api.vm(identity))["mac_address"] == "0A:1B:2C:3D:4E:5F"
    group = {"vmid": TEMPLATE, "mac_address": "01:00:5E:00:00:01"}
    answer = await api("POST", "/api/v1/vm", group)
    assert (answer.code, answer.json["message"].split(":")[0]) == (400, "mac_address")
