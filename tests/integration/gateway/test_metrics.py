"""The gateway's metrics port."""

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.gateway.cloud import Cloud
from tests.ports import free_port
from tests.samples import Since, sample
from tests.waiting import until


async def scrape(port: int) -> dict[str, list]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics") as answer,
    ):
        assert answer.status == 200
        families = text_string_to_metric_families((await answer.read()).decode())
    return {family.name: family.samples for family in families}


async def test_the_port_serves_our_metrics_and_the_exporters(cloud: Cloud):
    await cloud.add_template()
    await cloud.add_node()
    port = free_port()
    api = await cloud.gateway(metrics_port=port)
    await api.start(count=3)
    told = await scrape(port)
    counts = {
        (s.labels["arch"], s.labels["state"]): s.value for s in told["anka_instance_state_count"]
    }
    assert sum(counts.values()) == 3
    [node] = told["anka_node_instance_capacity"]
    assert node.labels["arch"] in {"arm64", "amd64"}
    [build] = [s for s in told["corral_build_info"] if s.labels["service"] == "gateway"]
    assert build.value == 1
    assert "process_cpu_seconds" in told


async def test_the_exporters_metrics_can_be_left_to_another_gateway(cloud: Cloud):
    port = free_port()
    await cloud.gateway(metrics_port=port, exporter_metrics=False)
    told = await scrape(port)
    assert "corral_http_requests" in told
    assert not [name for name in told if name.startswith("anka_")]


async def test_whatever_is_asked_for_adds_no_labels(cloud: Cloud):
    api = await cloud.gateway()
    wrong = Since(
        "corral_http_requests_total", service="gateway", path="other", verb="other", code="404"
    )
    barred = Since(
        "corral_http_requests_total", service="gateway", path="other", verb="other", code="405"
    )
    for path in ("/api/v1/nonsense", "/%22%7D", "/api/v1/vm/i-1"):
        await api("GET", path)
    await api("PROPFIND", "/api/v1/vm")
    assert (wrong(), barred()) == (3, 1)
    right = Since(
        "corral_http_requests_total", service="gateway", path="/api/v1/vm", verb="GET", code="200"
    )
    await api("GET", "/api/v1/vm?id=i-1")
    assert right() == 1


async def test_a_gateway_that_hears_everything_says_so(cloud: Cloud):
    await cloud.gateway()
    await until(lambda: sample("corral_gateway_projection_fresh") == 1)
    cloud.bus.cut()
    await until(lambda: sample("corral_gateway_projection_fresh") == 0)
