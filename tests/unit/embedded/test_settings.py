import json
import sys
from pathlib import Path

import pytest

from chassis.config import BadSettings, load
from embedded.__main__ import main
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


KEPT_BACK = {
    "gateway": "listen_addr registry_local_address registry_poll_seconds registry_timeout version"
    " license max_waiting_commands compare_seconds groups_seconds events_seconds outbox_seconds",
    "scheduler": "validity_seconds skew_seconds unknown_vm_threshold sweep_seconds stats_seconds",
    "registry": "blob_backend s3_bucket s3_endpoint s3_region s3_prefix s3_access_key"
    " s3_secret_key s3_path_style s3_skip_tls distribution_timeout distribution_resend"
    " distribution_parallel",
    "event_pusher": "machine_name delivery_parallel delivery_window delivery_timeout retry_seconds"
    " delivery_patience delivery_longest_pause webhook_seconds",
    "agent": "nodes node_id force_overrides_in_resource_mode drain_mode shared_queue agent_socket"
    " peer_fetch peer_host peer_port upgrade_program sim_pull sim_clone sim_start sim_network"
    " sim_script sim_stop sim_lifetime sim_save sim_faults sim_state sim_arch sim_cpu_count"
    " sim_ram_gb sim_disk sim_usb sim_vlans",
}
"""Settings for several hosts, for other storage, for tuning and for pretending."""

DERIVED = {"base_path", "heartbeat_seconds", "public_address", "registry_address"}


def test_what_a_service_can_be_told_can_be_told_the_whole():
    whole = EmbeddedSettings()
    own = set(whole.__struct_fields__)
    services = {
        "gateway": whole.gateway(),
        "scheduler": whole.scheduler(),
        "registry": whole.registry(),
        "event_pusher": whole.event_pusher(),
        "agent": whole.agent("qemu"),
    }
    kept_back = {name: set(fields.split()) for name, fields in KEPT_BACK.items()}
    found = {name: set(s.__struct_fields__) - own - DERIVED for name, s in services.items()}
    assert found == kept_back


def test_settings_of_one_service_reach_it():
    environ = {
        "CORRAL_AGEING_SECONDS": "10m",
        "CORRAL_QUOTA_BYTES": "7",
        "CORRAL_PACKAGE_FOLDER": "/packages",
        "CORRAL_SEND_SECONDS": "9",
        "ANKA_ALLOW_CORS": "*",
        "CORRAL_ENABLE_VM_MONITOR": "true",
    }
    settings = load(EmbeddedSettings, environ)
    assert settings.scheduler().ageing_seconds == 600
    assert (settings.registry().quota_bytes, settings.registry().allow_cors) == (7, "*")
    gateway = settings.gateway()
    assert (gateway.package_folder, gateway.send_seconds) == ("/packages", 9)
    assert settings.agent("qemu").enable_vm_monitor


def test_what_a_service_could_not_work_with_is_refused_by_its_name():
    with pytest.raises(BadSettings, match="scrub_rate: must be more than 0"):
        load(EmbeddedSettings, {"CORRAL_SCRUB_RATE": "0"})


def test_settings_are_shown_as_an_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["corral-embedded", "--print-config"])
    main()
    assert json.loads(capsys.readouterr().out)["listen_port"] == 8090


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
