# noqa: INP001 -- a script, no module of a package
"""Writes the dashboards as Grafana reads them from the table in panels.yml."""

import json
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
_WIDTH, _HEIGHT, _ROW = 8, 7, 24


def dashboards() -> dict[Path, str]:
    """File to content."""
    tables = yaml.safe_load((HERE / "panels.yml").read_text())
    return {
        HERE / "dashboards" / f"{name}.json": json.dumps(_dashboard(name, table), indent=1) + "\n"
        for name, table in tables.items()
    }


def _dashboard(name: str, table: list[Any]) -> dict[str, Any]:
    source = {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"}
    others = {"type": "dashboards", "tags": ["corral"], "title": "Corral", "asDropdown": True}
    return {
        "uid": f"corral-{name}",
        "title": f"Corral {name}",
        "tags": ["corral"],
        "schemaVersion": 38,
        "time": {"from": "now-3h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [source]},
        "links": [others],
        "panels": [_panel(place, *panel) for place, panel in enumerate(table)],
    }


def _panel(place: int, title: str, unit: str, queries: dict[str, str]) -> dict[str, Any]:
    across, down = place * _WIDTH % _ROW, place * _WIDTH // _ROW * _HEIGHT
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "id": place + 1,
        "title": title,
        "type": "timeseries" if any(queries.values()) else "stat",
        "datasource": source,
        "gridPos": {"x": across, "y": down, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": source,
                "expr": expression,
                "legendFormat": legend,
            }
            for number, (expression, legend) in enumerate(queries.items())
        ],
    }


if __name__ == "__main__":
    for file, content in dashboards().items():
        file.write_text(content)
