"""Who else has it: ``/registry/peers`` from what nodes report and where distributions are done."""

import aiohttp
import msgspec
import pytest

from chassis.store.mongo import MongoStore
from contracts.distributions import NodePull
from contracts.nodes import CachedTemplate, NodeState
from registry.distribution_store import DISTRIBUTIONS
from registry.store import NODES
from tests.agent_world import a_template
from tests.distributions import a_distribution, a_node

MANIFEST, LAYER, OTHER = (f"sha256:{digit * 64}" for digit in "123")
HAS = CachedTemplate(id="t", name="t", tag="v1", digest=MANIFEST, layers=(LAYER,))


async def peers(http: aiohttp.ClientSession, *digests: str, node_id: str = "") -> dict[str, str]:
    query = [*(("digest", digest) for digest in digests), ("node_id", node_id)]
    async with http.get("/registry/peers", params=query) as answer:
        assert answer.status == 200
        body = (await answer.json())["body"]
    return {peer["node_id"]: peer["address"] for peer in body}


@pytest.fixture
async def nodes(registry, own_store: MongoStore) -> None:
    def facts(**given):
        return {"peer_address": "http://10.0.0.1:2117", "templates": (HAS,)} | given

    await own_store.insert(
        NODES,
        [
            a_node("n1", facts=facts()),
            a_node("n2", facts=facts()),
            a_node("late", facts=facts(templates=())),
            a_node("off", facts=facts(), state=NodeState.OFFLINE),
            a_node("gone", facts=facts(), remove=True),
            a_node("shy", facts=facts(peer_address="")),
        ],
    )


async def test_nodes_that_report_the_manifest_or_the_layer_are_named(http, nodes):
    wanted = {"n1": "http://10.0.0.1:2117", "n2": "http://10.0.0.1:2117"}
    assert await peers(http, MANIFEST) == wanted
    assert await peers(http, LAYER) == wanted
    assert await peers(http, OTHER, LAYER) == wanted
    assert await peers(http, OTHER) == {}


async def test_the_one_that_asks_is_not_named(http, nodes):
    assert set(await peers(http, MANIFEST, node_id="n1")) == {"n2"}


async def test_a_node_where_a_distribution_is_done_is_named_at_once(http, nodes, own_store):
    template = msgspec.structs.replace(a_template(), digest=OTHER)
    document = a_distribution(template=template)
    done = {"late": NodePull(done=True), "n1": NodePull(), "shy": NodePull(done=True)}
    status = msgspec.structs.replace(document.status, nodes=done, observed_generation=1)
    await own_store.insert(
        DISTRIBUTIONS, [msgspec.structs.replace(document, status=status, pending=False)]
    )
    assert set(await peers(http, OTHER)) == {"late"}


@pytest.mark.parametrize("query", ["", "?digest=v1", f"?{f'digest={LAYER}&' * 9}"])
async def test_a_malformed_question_is_refused(http, query: str):
    async with http.get(f"/registry/peers{query}") as answer:
        assert answer.status == 400
        assert (await answer.json())["status"] == "FAIL"
