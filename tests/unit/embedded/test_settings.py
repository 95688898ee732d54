from pathlib import Path

import pytest

from chassis.config import BadSettings, load
from embedded.config import EmbeddedSettings


def test_services_take_the_settings_they_share():
    settings = load(
        EmbeddedSettings,
        {"CORRAL_EVENT_LOG_URL": "http://127.0.0.1:1/", "CORRAL_INSTANCE_TIME_OUT": "5"},
        data="/data",
    )
    assert settings.event_pusher().event_log_url == "http://127.0.0.1:1/"
    assert settings.scheduler().instance_time_out == 5
    assert settings.agent("qemu").data == "/data/agent"
    assert settings.registry().base_path == "/data/registry"


def test_every_service_listens_on_its_documented_port():
    settings = EmbeddedSettings()
    assert settings.gateway().port == 8090
    assert settings.registry().listen_port == 8089
    metrics = [
        settings.gateway(),
        settings.scheduler(),
        settings.registry(),
        settings.event_pusher(),
        settings.agent("qemu"),
    ]
    assert [service.metrics_port for service in metrics] == [2112, 2113, 2114, 2115, 2116]


def test_gateway_and_agents_are_told_where_the_registry_is():
    settings = EmbeddedSettings(registry_port=0).settled()
    assert settings.registry_port != 0
    assert settings.gateway().registry_url == f"http://127.0.0.1:{settings.registry_port}"
    assert settings.registry().public_address == settings.gateway().registry_url


def test_central_logging_is_one_switch_for_all_services():
    assert not EmbeddedSettings().registry().central_logging
    settings = load(EmbeddedSettings, {"ANKA_ENABLE_CENTRAL_LOGGING": "true"}, registry_port=7)
    assert settings.gateway().central_logging
    assert settings.registry().central_logging
    for service in (settings.scheduler(), settings.event_pusher(), settings.agent("qemu")):
        assert service.central_logging
        assert service.registry_address == "http://127.0.0.1:7"


def test_nothing_listens_beyond_loopback_unless_asked():
    settings = EmbeddedSettings()
    assert {host for _, host, _ in settings.listens} == {"127.0.0.1"}
    assert settings.agent("qemu").host == "127.0.0.1"
    assert not settings.gateway().open_to_network


@pytest.mark.parametrize(
    ("given", "networks"),
    [
        ({}, "private,loopback"),
        ({"listen_host": "0.0.0.0"}, "private"),
        ({"webhook_networks": "10.0.0.0/8"}, "10.0.0.0/8"),
    ],
)
def test_webhooks_reach_loopback_only_while_only_this_machine_reaches_the_api(given, networks):
    assert EmbeddedSettings(**given).event_pusher().webhook_networks == networks


def test_a_broker_is_refused_rather_than_ignored():
    with pytest.raises(BadSettings, match="CORRAL_RABBITMQ_URL"):
        EmbeddedSettings(rabbitmq_url="amqp://broker/").settled()


def test_unknown_name_is_an_error():
    with pytest.raises(BadSettings, match="CORRAL_LISTEN_PROT"):
        load(EmbeddedSettings, {"CORRAL_LISTEN_PROT": "1"})


def test_data_is_kept_in_the_users_data_folder(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/home/me/data")
    assert EmbeddedSettings().folder == Path("/home/me/data/corral")
