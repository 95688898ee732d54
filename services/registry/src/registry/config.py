"""Settings of the registry."""

from collections.abc import Mapping
from typing import ClassVar

from chassis import config


class Settings(config.Settings, frozen=True, kw_only=True):
    """``base_path`` holds the blobs. ``public_address`` is the URL that agents and people use.

    ``disk_reserve``: bytes of the disk that uploads leave free. ``upload_ttl``: seconds after
    which an upload that nobody continues is dropped. ``allow_cors``: origins whose pages may call
    the registry beside those of its own host, separated by commas, or ``*``.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {
        "ANKA_BASE_PATH": "base_path",
        "ANKA_ALLOW_CORS": "allow_cors",
    }

    listen_host: str = "127.0.0.1"
    listen_port: int = 8089
    metrics_port: int = 2114
    base_path: str = "./registry"
    public_address: str = ""
    disk_reserve: int = 64 << 20
    upload_ttl: float = 86_400.0
    allow_cors: str = ""
