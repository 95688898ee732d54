"""The operators' files in deploy/, and a Prometheus that goes by them in a hurry."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import promql_parser
import yaml

from chassis.servers.process import Group, MissingServer, until_ready
from tests.ports import free_port
from tests.servers import ROOT

PROMETHEUS = ROOT / "deploy/prometheus"
GRAFANA = ROOT / "deploy/grafana"
_PROGRAMS = ROOT / ".local/prometheus/usr/bin"
_EVERY = "500ms"
_DURATION, _WINDOW = "2s", "[4s]"


def program(name: str) -> Path:
    """``prometheus`` or ``promtool``."""
    found = _PROGRAMS / name
    if not found.exists():
        raise MissingServer(f"{found} is missing; `make test` unpacks it from Debian's package")
    return found


def rules() -> list[dict[str, Any]]:
    """Every recording and alerting rule."""
    files = sorted((PROMETHEUS / "rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    """Every panel of every dashboard."""
    files = sorted((GRAFANA / "dashboards").glob("*.json"))
    return [panel for file in files for panel in msgspec.json.decode(file.read_bytes())["panels"]]


def expressions() -> list[str]:
    """Of all rules and panels."""
    shown = [target["expr"] for panel in panels() for target in panel["targets"]]
    return shown + [rule["expr"] for rule in rules()]


def metrics_in(expression: str) -> set[str]:
    """The names that an expression asks for; ValueError when it is none."""
    found: set[str] = set()

    def visit(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            found.add(part.name)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def hurried(text: str) -> str:
    """Rules that wait and look back for seconds, instead of minutes; days stay."""
    text = re.sub(r"\bfor: \d+m\b", f"for: {_DURATION}", text)
    return re.sub(r"\[\d+m\]", _WINDOW, text)


class Prometheus:
    """Scrapes ``targets`` (address to job) twice a second; ``folder`` keeps its data and log."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        self._folder = folder
        self._targets = targets
        self._group = Group(folder)
        self._url = f"http://127.0.0.1:{free_port()}"
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Run it on the rules of deploy/, hurried."""
        self._configure()
        self._http = aiohttp.ClientSession(self._url)
        log = self._folder / "log"
        argv = [
            program("prometheus"),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._url.removeprefix('http://')}",
            "--log.level=warn",
        ]
        self._group.spawn(argv, {}, log)
        await until_ready("prometheus", self._group, [log], 20, self._answers)

    async def stop(self) -> None:
        """End it."""
        if self._http is not None:
            await self._http.close()
        self._group.kill()

    async def names(self) -> set[str]:
        """Every metric that it has seen."""
        return set(await self._get("/api/v1/label/__name__/values"))

    async def firing(self) -> dict[str, list[dict[str, str]]]:
        """Alerts that fire now, by name, with the labels of each."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in (await self._get("/api/v1/alerts"))["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    async def value(self, expression: str) -> float | None:
        """Of an expression with one result; None while it has none."""
        result = (await self._get("/api/v1/query", query=expression))["result"]
        assert len(result) <= 1, result
        return float(result[0]["value"][1]) if result else None

    async def _answers(self) -> bool:
        assert self._http is not None
        try:
            async with self._http.get("/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def _get(self, path: str, **query: str) -> Any:
        assert self._http is not None
        async with self._http.get(path, params=query) as answer:
            told = await answer.json()
        assert told["status"] == "success", told
        return told["data"]

    def _configure(self) -> None:
        config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
        config["global"] = {
            "scrape_interval": _EVERY,
            "scrape_timeout": _EVERY,
            "evaluation_interval": _EVERY,
        }
        targets = [
            {"targets": [address], "labels": {"job": job}} for address, job in self._targets.items()
        ]
        config["scrape_configs"][0]["file_sd_configs"] = [{"files": ["targets.yml"]}]
        (self._folder / "rules").mkdir(parents=True)
        for file in (PROMETHEUS / "rules").glob("*.yml"):
            (self._folder / "rules" / file.name).write_text(hurried(file.read_text()))
        (self._folder / "targets.yml").write_text(yaml.safe_dump(targets))
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(config))
