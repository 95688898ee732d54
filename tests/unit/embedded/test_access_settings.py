"""Switches of authentication: what would look safe and not be is refused."""

import pytest

from api_gateway.config import Settings as GatewaySettings
from chassis.config import BadSettings, load, printable
from embedded.config import EmbeddedSettings
from registry.config import Settings as RegistrySettings

ON = {"ANKA_ENABLE_AUTH": "true", "ANKA_ROOT_TOKEN": "1111111111"}
EVERY = (GatewaySettings, RegistrySettings, EmbeddedSettings)


@pytest.mark.parametrize("kind", EVERY)
def test_the_documented_names_are_understood(kind):
    given = {
        "ANKA_ENABLE_API_KEYS": "true",
        "ANKA_ENABLE_CONTROLLER_AUTHORIZATION": "true",
        "ANKA_ENABLE_REGISTRY_AUTHORIZATION": "true",
        "ANKA_ENABLE_RESOURCE_MANAGEMENT": "true",
        "ANKA_API_KEYS_SESSION_TTL": "7m30s",
        "ANKA_API_KEYS_CLEANING_INTERVAL": "4h0m0s",
    }
    settings = load(kind, ON | given)
    assert (settings.enable_auth, settings.root_token) == (True, "1111111111")
    assert (settings.enable_api_keys, settings.enable_resource_management) == (True, True)
    assert (settings.api_keys_session_ttl, settings.api_keys_cleaning_interval) == (450, 14400)
    assert '"root_token": "***"' in printable(settings)


@pytest.mark.parametrize("kind", EVERY)
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"ANKA_ENABLE_AUTH": "true"}, "root_token"),
        ({"ANKA_ENABLE_AUTH": "true", "ANKA_ROOT_TOKEN": "123456789"}, "root_token"),
        ({"ANKA_ENABLE_API_KEYS": "true"}, "enable_auth"),
        ({"ANKA_ENABLE_RESOURCE_MANAGEMENT": "true"}, "enable_auth"),
        (ON | {"ANKA_ENABLE_RESOURCE_MANAGEMENT": "true"}, "enable_resource_management"),
        (ON | {"ANKA_API_KEYS_SESSION_TTL": "soon"}, "api_keys_session_ttl"),
    ],
)
def test_a_switch_without_what_it_needs_is_an_error_at_the_start(kind, given, named):
    with pytest.raises(BadSettings, match=named):
        load(kind, given)


@pytest.mark.parametrize(
    ("kind", "switch"),
    [
        (GatewaySettings, "CONTROLLER_AUTHORIZATION"),
        (RegistrySettings, "REGISTRY_AUTHORIZATION"),
        (RegistrySettings, "AUTHORIZATION"),
        (EmbeddedSettings, "CONTROLLER_AUTHORIZATION"),
    ],
)
def test_authorization_needs_authentication(kind, switch):
    with pytest.raises(BadSettings, match="enable_auth"):
        load(kind, {f"ANKA_ENABLE_{switch}": "true"})


def test_one_token_opens_and_is_presented_everywhere():
    settings = load(EmbeddedSettings, ON | {"ANKA_ENABLE_API_KEYS": "true"}, registry_port=7)
    for service in (settings.gateway(), settings.registry()):
        assert (service.enable_auth, service.enable_api_keys) == (True, True)
    services = (settings.scheduler(), settings.event_pusher(), settings.agent("qemu"))
    assert {service.root_token for service in services} == {"1111111111"}


def test_resource_management_is_on_where_authorization_is():
    given = {"ANKA_ENABLE_CONTROLLER_AUTHORIZATION": "1", "ANKA_ENABLE_RESOURCE_MANAGEMENT": "1"}
    settings = load(EmbeddedSettings, ON | given)
    assert settings.gateway().enable_resource_management
    assert not settings.registry().enable_resource_management
