"""Settings of the registry."""

from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

from chassis import config
from registry.logs.folder import Rotation


class Settings(config.Settings, frozen=True, kw_only=True):
    """``base_path`` holds the blobs. ``public_address`` is the URL that agents and people use.

    ``disk_reserve``: bytes of the disk that uploads leave free. ``upload_ttl``: seconds after
    which an upload that nobody continues is dropped. ``allow_cors``: origins whose pages may call
    the registry beside those of its own host, separated by commas, or ``*``.

    Log files are closed at ``max_log_size`` MiB and, if wished, at the end of a day, and kept
    ``keep_logs_for`` days (0: for ever). ``max_failure_log``: bytes of one file about a failed VM.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {
        "ANKA_BASE_PATH": "base_path",
        "ANKA_ALLOW_CORS": "allow_cors",
        "ANKA_MAX_LOG_SIZE": "max_log_size",
        "ANKA_KEEP_LOGS_FOR": "keep_logs_for",
        "ANKA_ROTATE_LOG_FILES_AT_MAX_FILE_SIZE": "rotate_log_files_at_max_file_size",
        "ANKA_ROTATE_LOG_FILES_END_OF_DAY": "rotate_log_files_end_of_day",
    }

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
