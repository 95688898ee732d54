"""Settings of the registry."""

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar, Literal

from chassis.auth.settings import AuthSettings
from registry.blobs.s3 import S3Place
from registry.domain.distribution import Limits
from registry.logs.folder import Rotation


class Settings(AuthSettings, frozen=True, kw_only=True):
    """``base_path`` holds the blobs. ``public_address`` is the URL that agents and people use.

    ``enable_registry_authorization``: a key may do what its permission groups may, else all.

    ``disk_reserve``: bytes of the disk that uploads leave free. ``upload_ttl``: seconds after
    which an upload that nobody continues is dropped. ``allow_cors``: origins whose pages may call
    the registry beside those of its own host, separated by commas, or ``*``.

    Log files are closed at ``max_log_size`` MiB and, if wished, at the end of a day, and kept
    ``keep_logs_for`` days (0: for ever). ``max_failure_log``: bytes of one file about a failed VM.

    ``blob_backend`` is ``disk`` or ``s3``. With the latter ``base_path`` holds only uploads under
    way, so it needs room for those, and each registry has its own. Without keys S3 is asked as
    the machine's role allows; an ``s3_endpoint`` is any server that speaks S3.

    ``gc_interval`` and ``gc_grace``: seconds between collections, and how long what nothing uses
    is kept, since pushes and pulls under way need it. ``scrub_interval``: seconds within which
    every blob is checked once, 0 for never; ``scrub_rate``: bytes read for that a second. Quotas
    in bytes, 0 for none.

    ``distribution_timeout``: seconds that one node has for its pull, or to come back for it.
    ``distribution_resend``: seconds without a word after which an order is sent again.
    ``distribution_parallel``: nodes that pull for one distribution at once; 0: all of them. Nodes
    that fetch from each other go in waves instead.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {
        "ANKA_ENABLE_AUTHORIZATION": "enable_registry_authorization",
        "ANKA_ENABLE_REGISTRY_AUTHORIZATION": "enable_registry_authorization",
        "ANKA_BASE_PATH": "base_path",
        "ANKA_ALLOW_CORS": "allow_cors",
        "ANKA_MAX_LOG_SIZE": "max_log_size",
        "ANKA_KEEP_LOGS_FOR": "keep_logs_for",
        "ANKA_ROTATE_LOG_FILES_AT_MAX_FILE_SIZE": "rotate_log_files_at_max_file_size",
        "ANKA_ROTATE_LOG_FILES_END_OF_DAY": "rotate_log_files_end_of_day",
        "ANKA_BACKEND_TYPE": "blob_backend",
        "ANKA_BACKEND_S3_BUCKET": "s3_bucket",
        "ANKA_BACKEND_S3_ENDPOINT": "s3_endpoint",
        "ANKA_BACKEND_S3_REGION": "s3_region",
        "ANKA_BACKEND_S3_ACCESS_KEY": "s3_access_key",
        "ANKA_BACKEND_S3_SECRET_KEY": "s3_secret_key",
        "ANKA_BACKEND_S3_PATH_STYLE": "s3_path_style",
        "ANKA_BACKEND_S3_SKIP_TLS": "s3_skip_tls",
    }
    SECRETS: ClassVar[frozenset[str]] = AuthSettings.SECRETS | {
        "s3_access_key",
        "s3_secret_key",
    }

    enable_registry_authorization: bool = False
    listen_host: str = "127.0.0.1"
    listen_port: int = 8089
    metrics_port: int = 2114
    base_path: str = "./registry"
    public_address: str = ""
    disk_reserve: int = 64 << 20
    upload_ttl: float = 86_400.0
    allow_cors: str = ""
    max_log_size: int = 1024
    rotate_log_files_at_max_file_size: bool = True
    rotate_log_files_end_of_day: bool = False
    keep_logs_for: float = 7
    max_failure_log: int = 16 << 20
    blob_backend: Literal["disk", "s3"] = "disk"
    s3_bucket: str = "anka-registry"
    s3_endpoint: str = ""
    s3_region: str = "us-east-1"
    s3_prefix: str = ""
    s3_access_key: str = ""
    s3_secret_key: str = ""
    s3_path_style: bool = True
    s3_skip_tls: bool = False
    gc_interval: float = 3_600.0
    gc_grace: float = 86_400.0
    scrub_interval: float = 30 * 86_400.0
    scrub_rate: int = 20 << 20
    quota_bytes: int = 0
    repository_quota_bytes: int = 0
    distribution_timeout: float = 14_400.0
    distribution_resend: float = 10.0
    distribution_parallel: int = 16

    def __post_init__(self) -> None:
        """Refuse what would look safe and not be."""
        super().__post_init__()
        if self.enable_registry_authorization and not self.enable_auth:
            raise ValueError("enable_registry_authorization: needs enable_auth")
        if self.enable_resource_management and not self.enable_registry_authorization:
            raise ValueError("enable_resource_management: needs enable_registry_authorization")
        for name in ("gc_interval", "gc_grace", "scrub_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name}: must be more than 0")
        if self.scrub_interval < 0:
            raise ValueError("scrub_interval: must be 0, for never, or more")

    @property
    def keep_logs(self) -> timedelta | None:
        """How long logs are kept; None: for ever."""
        return timedelta(days=self.keep_logs_for) if self.keep_logs_for else None

    @property
    def rotation(self) -> Rotation:
        """What becomes of log files."""
        return Rotation(
            max_bytes=self.max_log_size << 20 if self.rotate_log_files_at_max_file_size else None,
            daily=self.rotate_log_files_end_of_day,
            keep=self.keep_logs,
            reserve=self.disk_reserve,
        )

    @property
    def s3(self) -> S3Place:
        """The bucket that the settings name."""
        return S3Place(
            bucket=self.s3_bucket,
            endpoint=self.s3_endpoint,
            region=self.s3_region,
            prefix=self.s3_prefix,
            access_key_id=self.s3_access_key,
            secret_access_key=self.s3_secret_key,
            path_style=self.s3_path_style,
            verify_tls=not self.s3_skip_tls,
        )

    @property
    def limits(self) -> Limits:
        """What holds for distributions."""
        return Limits(
            timeout=timedelta(seconds=self.distribution_timeout),
            resend=timedelta(seconds=self.distribution_resend),
            parallel=self.distribution_parallel,
        )
