import asyncio

import msgspec
import pytest

from tests.registries import running_registry
from tests.waiting import until

VM = "0c1f4b1e-53a8-4c43-9df8-0f1a7c2f3b11"
LOG = b"[    0.000000] Linux version 6.1\n" * 100


async def put(http, path, body=LOG):
    async with http.put(f"/files/logs/{path}", data=body) as response:
        return response.status


async def listed(http, vm=VM):
    async with http.get(f"/files/logs/{vm}") as response:
        return (await response.json())["body"]


async def test_what_an_agent_leaves_is_listed_and_read(http, registry):
    assert await put(http, f"{VM}/console.log") == 200
    assert await put(http, f"{VM}/anka_agent.INFO", b"agent") == 200
    assert [(f["name"], f["size"]) for f in await listed(http)] == [
        ("anka_agent.INFO", 5),
        ("console.log", len(LOG)),
    ]
    async with http.get(f"/files/logs/{VM}/console.log") as response:
        assert await response.read() == LOG
        assert response.content_type == "text/plain"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert (registry.base / f"files/logs/{VM}/console.log").read_bytes() == LOG
    assert await listed(http, "other") == []


async def test_the_same_name_is_replaced(http):
    await put(http, f"{VM}/console.log", b"old")
    await put(http, f"{VM}/console.log", b"new")
    async with http.get(f"/files/logs/{VM}/console.log") as response:
        assert await response.read() == b"new"


async def test_a_file_has_a_limit_and_a_vm_has_one_too(own_store, tmp_path, http_to):
    async with running_registry(own_store, tmp_path, max_failure_log=1000) as registry:
        http = http_to(registry)
        assert await put(http, f"{VM}/big.log", b"x" * 1001) == 413
        assert await listed(http) == []
        for number in range(32):
            assert await put(http, f"{VM}/{number}.log", b"x" * 1000) == 200
        assert await put(http, f"{VM}/one-more.log", b"x") == 400
        assert await put(http, f"{VM}/0.log", b"y") == 200


@pytest.mark.parametrize(
    "path", ["..%2fx/a", "%2e%2e/a", f"{VM}/..%2f..%2fx", f"{VM}/.hidden", f"{VM}/a%00b", "a b/c"]
)
async def test_no_name_leads_elsewhere(http, registry, path):
    assert await put(http, path) in {400, 404, 405}
    async with http.get(f"/files/logs/{path}") as response:
        assert (await response.json())["status"] == "FAIL"
    assert [file for file in registry.base.rglob("*") if file.name in {"a", "x", "c"}] == []


async def test_an_upload_that_is_cut_off_leaves_nothing(http, registry):
    host, _, port = registry.address.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = f"PUT /files/logs/{VM}/console.log HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"
    writer.write(head.encode() + b"half")
    folder = registry.base / "files/logs" / VM
    await until(lambda: any(folder.glob(".*")))
    assert await listed(http) == []
    writer.close()
    await until(lambda: not folder.exists())


async def test_a_file_that_is_not_there_is_fail(http):
    async with http.get(f"/files/logs/{VM}/nope.log") as response:
        assert msgspec.json.decode(await response.read())["message"] == "Not found"
