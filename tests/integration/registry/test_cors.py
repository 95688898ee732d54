import pytest

from tests.registries import push, qcow2, running_registry

PORTAL = "http://127.0.0.1:8090"
STRANGER = "https://stranger.example"


async def read(http, origin, path="/registry/v2/vm"):
    async with http.get(path, headers={"Origin": origin}) as response:
        await response.read()
        return response.headers.get("Access-Control-Allow-Origin"), response.headers["Vary"]


async def test_pages_of_the_same_host_may_read_and_others_may_not(http, client):
    await push(client, "team/base", "v1", [qcow2()])
    for path in ("/registry/v2/vm", "/nope", "/v2/team/base/manifests/v1", "/v2/team/base/nope"):
        assert await read(http, PORTAL, path) == (PORTAL, "Origin"), path
        assert await read(http, STRANGER, path) == (None, "Origin"), path


@pytest.mark.parametrize("origin", ["null", "http://", "http://[", "127.0.0.1", "file:///x"])
async def test_an_origin_without_a_host_is_a_stranger(http, origin):
    assert await read(http, origin) == (None, "Origin")


async def test_a_preflight_is_answered_before_the_call(http, client):
    await push(client, "team/base", "v1", [qcow2()])
    asks = {"Access-Control-Request-Method": "DELETE"}
    async with http.options("/registry/vm?id=x", headers=asks | {"Origin": PORTAL}) as response:
        assert response.status == 204
        assert "DELETE" in response.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    async with http.options("/registry/vm?id=x", headers=asks | {"Origin": STRANGER}) as response:
        assert "Access-Control-Allow-Methods" not in response.headers
        assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("allowed", ["https://other.example, https://stranger.example/", "*"])
async def test_further_origins_are_a_setting(own_store, tmp_path, http_to, allowed):
    async with running_registry(own_store, tmp_path, allow_cors=allowed) as registry:
        assert await read(http_to(registry), STRANGER) == (STRANGER, "Origin")
