"""One trace from POST to Started, as an OpenTelemetry collector hears it."""

import asyncio
import base64
import contextlib
import os
import subprocess
import sys
import time

import pytest
import structlog
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from chassis import telemetry, tracing
from node_agent.drivers.simulated_faults import Faults
from node_agent.drivers.simulated_host import Fault, FaultKind
from tests.cloud import TEMPLATE_ID
from tests.collector import Collector, attributes
from tests.ports import free_port
from tests.waiting import until

CALLER_TRACE, CALLER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{CALLER_TRACE}-{CALLER_SPAN}-01"
SCRIPT = base64.b64encode(b"echo hello").decode()

GATEWAY_LEAVES = {"scheduler.waiting", "scheduler.attempt", "agent.start"}
AGENT_LEAVES = {"agent.pull", "agent.clone", "agent.boot", "agent.network", "agent.script"}


@pytest.fixture
def broker():
    """The bus in this process; tests/e2e/test_tracing.py has the other one."""


@pytest.fixture
async def collector(monkeypatch):
    """Listens while everything in this process is traced."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    collector = Collector()
    await collector.start()
    traced = contextlib.ExitStack()
    traced.enter_context(tracing.exporting("test", collector.url))
    yield collector
    await asyncio.to_thread(traced.close)  # what waits is still sent to this very loop
    await collector.stop()


async def test_gateway_scheduler_and_agent_tell_one_trace_from_post_to_started(cloud, collector):
    [vm] = await cloud.start(startup_script=SCRIPT, script_monitoring=True)
    await cloud.reaches([vm], "Started")
    names = {"gateway.start", *GATEWAY_LEAVES, *AGENT_LEAVES}
    await until(lambda: {span.name for span in collector.spans} >= names)

    root, start = collector.one("gateway.start"), collector.one("agent.start")
    assert root.parent_span_id == b""
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    parents = {span.name: span.parent_span_id for span in collector.spans}
    assert {parents[name] for name in GATEWAY_LEAVES} == {root.span_id}
    assert {parents[name] for name in AGENT_LEAVES} == {start.span_id}
    assert len(collector.spans) == len(names)

    waiting, attempt = collector.one("scheduler.waiting"), collector.one("scheduler.attempt")
    assert waiting.end_time_unix_nano == attempt.start_time_unix_nano
    assert attempt.start_time_unix_nano <= start.start_time_unix_nano
    assert start.end_time_unix_nano <= attempt.end_time_unix_nano
    node = (await cloud.show(vm))["node_id"]
    assert attributes(start) == {"instance": vm, "node": node, "attempt": 1}
    assert attributes(attempt) == attributes(start)


async def test_the_callers_trace_goes_on(cloud, collector):
    body = {"vmid": TEMPLATE_ID}
    answer = await cloud.call("POST", "vm", body, traceparent=TRACEPARENT)
    await cloud.reaches(answer["body"], "Started")
    await until(lambda: collector.named("scheduler.attempt"))
    assert {span.trace_id.hex() for span in collector.spans} == {CALLER_TRACE}
    assert collector.one("gateway.start").parent_span_id.hex() == CALLER_SPAN


async def test_a_caller_that_does_not_sample_is_obeyed_and_a_broken_header_begins_anew(
    cloud, collector
):
    unsampled = await cloud.call(
        "POST", "vm", {"vmid": TEMPLATE_ID}, traceparent=TRACEPARENT[:-1] + "0"
    )
    broken = await cloud.call("POST", "vm", {"vmid": TEMPLATE_ID}, traceparent="nonsense")
    await cloud.reaches([*unsampled["body"], *broken["body"]], "Started")
    await until(lambda: collector.named("scheduler.attempt"))
    root = collector.one("gateway.start")
    assert root.parent_span_id == b""
    assert {span.trace_id for span in collector.spans} == {root.trace_id}
    assert root.trace_id.hex() != CALLER_TRACE


async def test_every_attempt_has_its_spans_and_a_failed_one_says_why(cloud, collector):
    for driver in cloud.drivers.values():
        driver.faults = Faults([Fault(verb="start", nth=1, kind=FaultKind.HOST_FAULT)])
    [vm] = await cloud.start()
    await cloud.reaches([vm], "Started")
    [entry] = (await cloud.documents()).values()
    failures = [attempt.failure for attempt in entry.status.attempts]
    assert failures[0]
    assert failures[-1] == ""
    count = len(failures)
    for name in ("scheduler.attempt", "agent.start"):
        await until(lambda name=name: len(collector.named(name)) == count)
    told = {attributes(s)["attempt"]: s.status for s in collector.named("scheduler.attempt")}
    assert [told[number + 1].message for number in range(count)] == failures
    assert told[1].code == Status.STATUS_CODE_ERROR
    assert len(collector.named("scheduler.waiting")) == count
    codes = {attributes(s)["attempt"]: s.status.code for s in collector.named("agent.start")}
    assert codes[1] == Status.STATUS_CODE_ERROR
    assert codes[count] == Status.STATUS_CODE_UNSET


async def test_log_lines_of_a_traced_start_carry_its_trace_id(cloud, collector):
    lines = []

    def hear(event, _line):
        lines.append(dict(event))

    before = structlog.get_config()
    telemetry.configure("test", "debug")
    telemetry.listen(hear)
    try:
        [vm] = await cloud.start(startup_script=SCRIPT)
        await cloud.reaches([vm], "Started")
    finally:
        telemetry.unlisten(hear)
        structlog.configure(**before)
        structlog.contextvars.clear_contextvars()
    await until(lambda: collector.named("gateway.start"))
    trace_id = collector.one("gateway.start").trace_id.hex()
    told = {(line["event"], line["trace_id"]) for line in lines if "trace_id" in line}
    events = {"instances.accepted", "instance.changed", "vm.script_ended", "vm.started"}
    assert {(event, trace_id) for event in events} <= told
    assert {trace for _, trace in told} == {trace_id}


async def test_without_the_setting_a_start_has_no_trace(cloud):
    answer = await cloud.call("POST", "vm", {"vmid": TEMPLATE_ID}, traceparent=TRACEPARENT)
    await cloud.reaches(answer["body"], "Started")
    [entry] = (await cloud.documents()).values()
    assert entry.spec.trace == ""


def test_a_collector_that_is_away_holds_up_the_end_for_seconds_only():
    with tracing.exporting("test", f"http://127.0.0.1:{free_port()}"):
        for _ in range(2000):
            with tracing.span("lost", ""):
                pass
        begun = time.monotonic()
    assert time.monotonic() - begun < 8


OFF = """
import sys
import api_gateway.app, event_pusher.app, node_agent.cli, registry.app, scheduler.app
from chassis import tracing
with tracing.exporting("test", ""), tracing.span("nothing", "00-1-2-01", attempt=1):
    assert tracing.inject() == ""
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_without_the_setting_nothing_of_opentelemetry_is_imported():
    run = subprocess.run([sys.executable, "-c", OFF], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


ABSENT = """
import runpy, sys
sys.modules["opentelemetry"] = None
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("scheduler", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("node_agent join", "CORRAL_OTLP_ENDPOINT"),
        ("embedded", "CORRAL_OTLP_ENDPOINT"),
    ],
)
def test_the_setting_without_the_packages_is_an_error_at_the_start_that_names_them(command, name):
    run = subprocess.run(
        [sys.executable, "-c", ABSENT, *command.split()],
        env={**os.environ, name: "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 1
    assert "otlp_endpoint: tracing needs the extra corral-chassis[tracing]" in run.stderr
