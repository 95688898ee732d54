import pytest
from structlog.testing import capture_logs

from api_gateway.app import build
from api_gateway.config import Settings
from chassis.bus.memory import MemoryBus
from chassis.clock import SystemClock
from chassis.config import load
from chassis.store.mongo import MongoStore


def read(**environ: str) -> Settings:
    return load(Settings, environ)


def test_it_listens_on_loopback_unless_told_otherwise():
    settings = read()
    assert (settings.host, settings.port, settings.open_to_network) == ("127.0.0.1", 8090, False)


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [(":80", "0.0.0.0", 80), ("10.0.0.5:8090", "10.0.0.5", 8090), ("[::]:81", "::", 81)],
)
def test_the_documented_listen_address_is_understood(given, host, port):
    settings = read(ANKA_LISTEN_ADDR=given)
    assert (settings.host, settings.port, settings.open_to_network) == (host, port, True)


def test_the_gateway_may_have_its_own_way_to_the_registry():
    public = "http://registry.example:8089"
    assert read(ANKA_ANKA_REGISTRY=public).registry_url == public
    local = read(ANKA_ANKA_REGISTRY=public, ANKA_LOCAL_ANKA_REGISTRY="http://10.0.0.2:8089/")
    assert (local.registry_url, local.registry_address) == ("http://10.0.0.2:8089", public)


async def test_an_open_gateway_without_authentication_warns_loudly():
    bus = MemoryBus(SystemClock())
    store = MongoStore("mongodb://127.0.0.1:1", "nothing")
    for host, warned in (("0.0.0.0", True), ("127.0.0.1", False), ("localhost", False)):
        with capture_logs() as logs:
            build(Settings(listen_host=host), bus, store)
        events = [(line["log_level"], line["event"]) for line in logs]
        assert (("warning", "gateway.open_to_the_network") in events) is warned
    await store.stop()


async def test_a_gateway_that_asks_who_calls_is_not_warned_about():
    bus = MemoryBus(SystemClock())
    store = MongoStore("mongodb://127.0.0.1:1", "nothing")
    with capture_logs() as logs:
        build(Settings(listen_host="0.0.0.0", enable_auth=True, root_token="1" * 10), bus, store)
    assert "gateway.open_to_the_network" not in [line["event"] for line in logs]
    await store.stop()
