"""Settings: one frozen struct per service, from the environment and an optional TOML file.

A field ``listen_port`` is read from ``CORRAL_LISTEN_PORT``, from the file's ``listen_port``, or,
for a secret, from the file named by ``CORRAL_LISTEN_PORT_FILE``. The environment wins.
Times are numbers of seconds, or written like ``1m30s``.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec

from chassis.errors import CorralError

PREFIX = "CORRAL_"
CONFIG_FILE = "CORRAL_CONFIG"

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")


class BadSettings(CorralError):
    """The settings are wrong"""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service needs to know. Durations in seconds.

    ``ALIASES`` maps documented foreign names (``ANKA_LISTEN_ADDR``) to our fields, beside those
    of the base classes. ``central_logging`` ships the service's log to the registry.
    ``otlp_endpoint``: the OpenTelemetry collector that is sent traces, "" for none.
    ``root_token`` opens gateway and registry; a service that knows it presents it to the registry.
    ``SECRETS`` are never printed or logged.
    """

    ALIASES: ClassVar[Mapping[str, str]] = {
        "ANKA_ENABLE_CENTRAL_LOGGING": "central_logging",
        "ANKA_ROOT_TOKEN": "root_token",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "otlp_endpoint",
    }
    SECRETS: ClassVar[frozenset[str]] = frozenset({"mongodb_url", "rabbitmq_url", "root_token"})

    mongodb_url: str = "mongodb://127.0.0.1:27017/?replicaSet=rs0"
    mongodb_database: str = "corral"
    rabbitmq_url: str = "amqp://guest:guest@127.0.0.1:5672/"
    root_token: str = ""
    log_level: str = "info"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 0
    drain_seconds: float = 10.0
    central_logging: bool = False
    otlp_endpoint: str = ""


S = TypeVar("S", bound=Settings)


def load(kind: type[S], environ: Mapping[str, str], **given: Any) -> S:
    """Read settings; ``given`` (command line) wins over the environment over the file.

    Raises BadSettings that names what is unknown or of the wrong type.
    """
    known = {field.name for field in msgspec.structs.fields(kind)}
    values = _from_file(environ.get(CONFIG_FILE), known)
    values |= _from_environment(kind, environ, known)
    values |= {name: value for name, value in given.items() if value is not None}
    durations = {f.name for f in msgspec.structs.fields(kind) if f.type is float}
    for name in durations & values.keys():
        if isinstance(values[name], str):
            values[name] = _seconds(name, values[name])
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadSettings(f"settings: {error}") from None


def printable(settings: Settings) -> str:
    """The settings as ``--print-config`` shows them, in JSON: secrets hidden."""
    values = msgspec.to_builtins(settings)
    assert isinstance(values, dict)
    shown = {k: "***" if k in settings.SECRETS and v else v for k, v in values.items()}
    return msgspec.json.format(msgspec.json.encode(shown)).decode()


def _from_file(path: str | None, known: set[str]) -> dict[str, Any]:
    if not path:
        return {}
    values = tomllib.loads(Path(path).read_text())
    if unknown := sorted(set(values) - known):
        raise BadSettings(f"{path}: unknown settings {', '.join(unknown)}")
    return values


def _from_environment(
    kind: type[Settings], environ: Mapping[str, str], known: set[str]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    unknown: list[str] = []
    for each in reversed(kind.__mro__):
        for foreign, field in vars(each).get("ALIASES", {}).items():
            if foreign in environ:
                values[field] = environ[foreign]
    for name, value in environ.items():
        if not name.startswith(PREFIX) or name == CONFIG_FILE:
            continue
        field = name.removeprefix(PREFIX).lower()
        if field in known:
            values[field] = value
        elif field.removesuffix("_file") in known:
            values[field.removesuffix("_file")] = Path(value).read_text().strip()
        else:
            unknown.append(name)
    if unknown:
        raise BadSettings(f"unknown settings in the environment: {', '.join(sorted(unknown))}")
    return values


def _seconds(name: str, text: str) -> float:
    try:
        return parse_duration(text)
    except BadSettings as error:
        raise BadSettings(f"settings: {name}: {error}") from None


def parse_duration(text: str) -> float:
    """Seconds of ``5s``, ``1m30s``, ``500ms`` or a bare number. Raises BadSettings."""
    text = text.strip()
    try:
        return float(text)
    except ValueError:
        pass
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise BadSettings(f"{text!r} is not a duration such as 1m30s")
    hours, minutes, seconds, millis = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds + millis / 1000
