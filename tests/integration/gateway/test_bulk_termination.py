"""``DELETE /api/v1/vm`` for many instances at once."""

import pytest

from contracts.instances import InstanceState, TerminateVM
from tests.integration.gateway.cloud import Api, Cloud
from tests.waiting import until

PATH = "/api/v1/vm"


async def _end(api: Api, **body) -> dict[str, tuple[str, str]]:
    outcomes = (await api("DELETE", PATH, body)).body
    return {outcome["id"]: (outcome["status"], outcome["message"]) for outcome in outcomes}


async def _states(api: Api) -> dict[str, str]:
    return {key: item["vm"]["instance_state"] for key, item in (await api.listed()).items()}


async def test_each_id_has_its_outcome(api: Api, cloud: Cloud):
    one, other, stays = await api.start(count=3)
    assert await _end(api, ids=[one, "nobody", other, one]) == {
        one: ("OK", ""),
        "nobody": ("FAIL", "Not found"),
        other: ("OK", ""),
    }
    ending = {one: "Terminating", other: "Terminating"}
    assert await _states(api) == ending | {stays: "Scheduling"}
    await until(lambda: len(cloud.said(TerminateVM)) == 2)
    assert {m.instance_id for m in cloud.said(TerminateVM)} == {one, other}
    assert all(m.spec.terminate and m.generation == 2 for m in cloud.said(TerminateVM))


async def test_a_repeat_is_ok_and_wishes_nothing_new(api: Api, cloud: Cloud):
    ids = await api.start(count=2)
    await _end(api, ids=ids)
    for identity in ids:
        await cloud.move(identity, state=InstanceState.TERMINATED)
    await until(lambda: len(cloud.said(TerminateVM)) == 2)
    assert set((await _end(api, ids=ids)).values()) == {("OK", "")}
    (marker,) = await api.start()
    await _end(api, ids=[marker])
    await until(lambda: cloud.said(TerminateVM)[-1].instance_id == marker)
    assert len(cloud.said(TerminateVM)) == 3


async def test_what_shares_all_that_is_named_ends_and_nothing_else(api: Api, cloud: Cloud):
    group = (await api("POST", "/api/v1/group", {"name": "ios"})).body["id"]
    (job,) = await api.start(external_id="job-1", metadata={"branch": "main", "n": 1})
    (same,) = await api.start(external_id="job-1", metadata={"branch": "dev", "a.b": True})
    (grouped,) = await api.start(group_id=group, metadata={"$n": 1, "n": True})
    (other,) = await api.start(external_id="job-2", metadata={"n": "1"})
    assert set(await _end(api, external_id="job-1", metadata={"branch": "main", "n": 1.0})) == {job}
    assert set(await _end(api, metadata={"a.b": True})) == {same}
    assert set(await _end(api, metadata={"$n": 1})) == {grouped}
    assert set(await _end(api, group_id=group)) == {grouped}
    assert await _end(api, group_id=group, external_id="job-2") == {}
    assert await _end(api, external_id="nobody") == {}
    assert await _end(api, metadata={"n": "$spec.metadata.n"}) == {}
    assert (await _states(api))[other] == "Scheduling"
    assert set(await _end(api, external_id="job-1")) == {job, same}


async def test_a_filter_finds_what_another_gateway_has_just_accepted(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    for number in range(5):
        ids = await other.start(count=2, external_id=f"job-{number}")
        assert set(await _end(api, external_id=f"job-{number}")) == set(ids)


async def test_more_than_one_write_holds(api: Api):
    for _ in range(2):
        await api.start(count=600, external_id="many")
    outcomes = await _end(api, external_id="many")
    assert len(outcomes) == 1200
    assert set((await _states(api)).values()) == {"Terminating"}


async def test_a_single_id_goes_before_everything_else(api: Api):
    one, other = await api.start(count=2, external_id="job")
    answer = await api("DELETE", PATH, {"id": one, "ids": [other], "external_id": "job"})
    assert answer.json == {"status": "OK", "message": ""}
    assert await _states(api) == {one: "Terminating", other: "Scheduling"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "id"),
        ({"external_id": ""}, "external_id"),
        ({"external_id": "", "metadata": {"a": 1}}, "external_id"),
        ({"group_id": "", "external_id": "job"}, "group_id"),
        ({"metadata": {}}, "metadata"),
        ({"metadata": {}, "external_id": "job"}, "metadata"),
        ({"ids": None}, "id"),
        ({"ids": []}, "ids"),
        ({"ids": "x"}, "ids"),
        ({"ids": [1]}, "ids"),
        ({"ids": [str(n) for n in range(1001)]}, "ids"),
        ({"metadata": {"a": {}}}, "metadata"),
        ({"group_id": 7}, "group_id"),
    ],
)
async def test_nobody_ends_everything_by_naming_nothing(api: Api, body, field):
    (identity,) = await api.start()
    answer = await api("DELETE", PATH, body)
    assert (answer.code, answer.json["message"].partition(":")[0]) == (400, field)
    assert await _states(api) == {identity: "Scheduling"}
