"""Settings of a service that may ask who its callers are."""

from collections.abc import Mapping
from typing import ClassVar

from chassis.config import Settings

MIN_ROOT_TOKEN = 10
"""Characters of a root token, at least (documented)."""


class AuthSettings(Settings, frozen=True, kw_only=True):
    """Everything is off unless ``enable_auth``; the others then add to it. Durations in seconds.

    ``api_keys_secret_ttl``: how long the secret of a login may be used. ``login_rate``: steps of
    a login per second and address, four times as many at once; one that fails counts as twenty.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {
        "ANKA_ENABLE_AUTH": "enable_auth",
        "ANKA_ENABLE_API_KEYS": "enable_api_keys",
        "ANKA_ENABLE_RESOURCE_MANAGEMENT": "enable_resource_management",
        "ANKA_API_KEYS_SESSION_TTL": "api_keys_session_ttl",
        "ANKA_API_KEYS_CLEANING_INTERVAL": "api_keys_cleaning_interval",
    }

    enable_auth: bool = False
    enable_api_keys: bool = False
    enable_resource_management: bool = False
    api_keys_session_ttl: float = 300.0
    api_keys_secret_ttl: float = 180.0
    api_keys_cleaning_interval: float = 4 * 3600.0
    login_rate: float = 100.0

    def __post_init__(self) -> None:
        """Refuse what would look safe and not be."""
        if (self.enable_auth or self.root_token) and len(self.root_token) < MIN_ROOT_TOKEN:
            raise ValueError(f"root_token: expected at least {MIN_ROOT_TOKEN} characters")
        if not self.enable_auth and (self.enable_api_keys or self.enable_resource_management):
            raise ValueError("enable_auth: everything else about access needs it")
