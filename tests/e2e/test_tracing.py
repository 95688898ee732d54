"""One trace through every service, each a process of its own."""

from tests.collector import Collector

STEPS = {
    "corral-gateway": {"gateway.start"},
    "corral-scheduler": {"scheduler.waiting", "scheduler.attempt"},
    "corral-node-agent": {
        "agent.start",
        "agent.pull",
        "agent.clone",
        "agent.boot",
        "agent.network",
    },
}


async def test_each_service_tells_its_part_of_one_trace_at_its_end_at_the_latest(clouds, tmp_path):
    collector = Collector()
    await collector.start()
    try:
        async with clouds(tmp_path) as cloud:
            on = {"otlp_endpoint": collector.url}
            cloud.registry()
            cloud.gateway("gateway", **on)
            cloud.scheduler("scheduler", **on)
            cloud.agent("mini", heartbeat=1.0, **on)
            await cloud.up()
            await cloud.push_template()
            await cloud.api.ready(1)
            [vm] = await cloud.api.start()
            await cloud.api.reaches([vm], "Started")
    finally:
        await collector.stop()
    assert collector.services == {step: service for service in STEPS for step in STEPS[service]}
    root, start = collector.one("gateway.start"), collector.one("agent.start")
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    for name in ("scheduler.waiting", "scheduler.attempt", "agent.start"):
        assert collector.one(name).parent_span_id == root.span_id
    for name in STEPS["corral-node-agent"] - {"agent.start"}:
        assert collector.one(name).parent_span_id == start.span_id
