import asyncio
import json

import pytest

from contracts.instances import InstanceDocument
from tests.integration.gateway.cloud import TEMPLATE, Api, Cloud
from tests.integration.gateway.raw_http import Raw


async def _post(api: Api, key: str = "job-81", **fields):
    headers = {"Idempotency-Key": key}
    return await api("POST", "/api/v1/vm", {"vmid": TEMPLATE, **fields}, headers=headers)


async def test_a_repeat_gets_the_same_ids_on_any_replica(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    first = (await _post(api, count=3)).body
    assert len(set(first)) == 3
    assert (await _post(api, count=3)).body == first
    assert (await _post(other, count=3)).body == first
    assert set(await api.listed()) == set(first)


async def test_the_same_key_with_another_body_is_refused(api: Api):
    await _post(api)
    refused = await _post(api, count=2)
    assert refused.failure == "Idempotency-Key was used with another request"
    assert len(await api.listed()) == 1


async def test_simultaneous_repeats_make_one_instance(api: Api, cloud: Cloud):
    other = await cloud.gateway()
    answers = await asyncio.gather(*(_post(each) for each in (api, other) * 5))
    assert len({tuple(answer.body) for answer in answers}) == 1
    assert await cloud.store.count("instances", {}) == 1


async def test_without_a_key_every_request_counts(api: Api):
    assert (await api.start()) != (await api.start())


async def test_a_refused_request_keeps_no_key(api: Api):
    assert (await _post(api, tag="v99")).failure == "No such tag v99"
    assert len((await _post(api)).body) == 1


@pytest.mark.parametrize("key", ["x" * 256, "\xff\xfe"])
async def test_an_unusable_key_is_named(api: Api, key):
    raw = await Raw.open(api)
    request = f"POST /api/v1/vm HTTP/1.1\nHost: x\nIdempotency-Key: {key}"
    head, body = await raw.ask(request, b'{"vmid":"%s"}' % TEMPLATE.encode(), "latin-1")
    await raw.close()
    assert head.startswith("http/1.1 400")
    assert json.loads(body)["message"].startswith("Idempotency-Key: ")


async def test_many_starts_at_once_are_all_there(api: Api, cloud: Cloud):
    answers = await asyncio.gather(*(api.start(count=n) for n in (1, 1, 5, 1, 20, 1, 100)))
    ids = {identity for answer in answers for identity in answer}
    assert len(ids) == 129
    stored = await cloud.store.find("instances", InstanceDocument, {})
    assert {document.id for document in stored} == ids
    assert all(document.pending for document in stored)
